"""Definitions of custom resources in the store: names, conditions, approvals; their objects while schemas change."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, error_of, obj_of

from actors.api.key import Key
from actors.reconcile.actions import PatchType

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
GROUP = "example.com"


def definition(schema: dict[str, Any] | None = None, plural: str = "tests", **spec: Any) -> dict[str, Any]:
    group = spec.pop("group", GROUP)
    kind = plural[:-1].title()
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema or FREE}}
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version], **spec}
    meta = {"name": f"{plural}.{group}"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


class Custom:
    """One definition whose schema changes under an object that is applied."""

    def __init__(self, schema: dict[str, Any] | None = None) -> None:
        self.desk = Desk()
        obj_of(self.desk.create(DEFINITIONS, definition(schema), ""))

    def schema(self, properties: dict[str, Any]) -> None:
        key = Key(DEFINITIONS, "", f"tests.{GROUP}")
        path = "/spec/versions/0/schema/openAPIV3Schema"
        patch = [{"op": "replace", "path": path, "value": {"type": "object", "properties": properties}}]
        obj_of(self.desk.patch(key, patch, PatchType.JSON))

    def apply(self, **content: Any) -> Any:
        head = {"apiVersion": f"{GROUP}/v1", "kind": "Test"}
        metadata = {"name": "t", "namespace": "default", "labels": content.pop("labels", {})}
        body = {**head, "metadata": metadata, **content}
        return self.desk.patch(Key(f"tests.{GROUP}", "default", "t"), body, PatchType.APPLY, manager="m", force=True)


def conditions(obj: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {known["type"]: (known["status"], known["reason"]) for known in obj["status"]["conditions"]}


def test_rules_are_asked_of_what_has_the_types_and_sizes_of_its_schema() -> None:
    """strategy.go hasBlockingErr: what is only wrong as a value is told together with what rules say of it."""
    sized = {"type": "string", "maxLength": 3, "pattern": "^a"}
    rules = [{"rule": "self.field == 'abc'", "message": "not abc"}]
    ruled = {"type": "object", "properties": {"field": sized}, "x-kubernetes-validations": rules}
    custom = Custom({"type": "object", "properties": {"spec": ruled}})
    for field, told in (("xyz", ["spec.field", "spec"]), ("abcd", ["spec.field", "<nil>"]), ("abx", ["spec"])):
        causes = error_of(custom.apply(spec={"field": field}))["details"]["causes"]
        assert [cause["field"] for cause in causes] == told
    assert (
        '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid'
        in (error_of(custom.apply(spec={"field": "abcd"}))["message"])
    )


# --- objects that a new schema would refuse (KEP-4008) --------------------------------------------------------------

FOO, RULE = (
    {"type": "string", "enum": ["notfoo"]},
    {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'foo'"}]},
)
INSTANCE = {
    "field": "foo",
    "struct": {"field": "foo"},
    "list": [{"key": "first", "field": "foo"}],
    "map": {"foo": {"field": "foo"}},
}


def correlatable(field: dict[str, Any]) -> dict[str, Any]:
    other = {"type": "string"}
    struct = {"type": "object", "properties": {"field": field, "other": other}}
    item = {"type": "object", "required": ["key"], "properties": {"key": other, "field": field, "other": other}}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "items": item}
    return {"field": field, "struct": struct, "list": keyed, "map": {"type": "object", "additionalProperties": struct}}


@pytest.mark.parametrize("field", [FOO, RULE])
def test_what_was_there_and_has_not_changed_is_let_through(field: dict[str, Any]) -> None:
    at = Custom()
    obj_of(at.apply(**INSTANCE))
    at.schema(correlatable(field))
    obj_of(at.apply(**INSTANCE, labels={"a": "b"}))
    more = {
        "field": "foo",
        "struct": {"field": "foo", "other": "x"},
        "list": [{"key": "new", "field": "notfoo"}, {"key": "first", "field": "foo", "other": "x"}],
        "map": {"foo": {"field": "foo", "other": "x"}},
    }
    obj_of(at.apply(**more))


@pytest.mark.parametrize("field", [FOO, RULE])
def test_what_has_changed_is_not(field: dict[str, Any]) -> None:
    at = Custom()
    obj_of(at.apply(field="a", struct={"field": "a"}, list=[{"key": "k", "field": "a"}], map={"m": {"field": "a"}}))
    at.schema(correlatable(field))
    bad = error_of(
        at.apply(field="foo", struct={"field": "foo"}, list=[{"key": "k", "field": "foo"}], map={"m": {"field": "foo"}})
    )
    fields = {cause["field"] for cause in bad["details"]["causes"]}
    of_map = "map[m].field" if "x-kubernetes-validations" in field else "map.m.field"
    assert fields == {"field", "struct.field", "list[0].field", of_map}, "as the two validations of Kubernetes word it"


@pytest.mark.parametrize("item", [{"type": "string", "enum": ["notfoo", "bar"]}, RULE])
def test_items_without_keys_are_judged_when_their_list_changes(item: dict[str, Any]) -> None:
    at = Custom()
    obj_of(at.apply(atomic=["foo", "bar"], set=["foo", "bar"]))
    lists = {"type": "array", "items": item}
    at.schema({"atomic": lists, "set": {**lists, "x-kubernetes-list-type": "set"}})
    obj_of(at.apply(atomic=["foo", "bar"], set=["foo", "bar"], labels={"a": "b"}))
    bad = error_of(at.apply(atomic=["foo", "bar", "notfoo"], set=["foo", "bar", "notfoo"]))
    assert {cause["field"] for cause in bad["details"]["causes"]} == {"atomic[0]", "set[0]"}


# --- resources within resources -------------------------------------------------------------------------------------


def embedding() -> dict[str, Any]:
    template = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "properties": {"template": template}}


def test_an_embedded_resource_has_what_every_object_has() -> None:
    at = Custom(embedding())
    good = {"apiVersion": "v1", "kind": "Sub", "metadata": {"name": "a:b", "labels": {"a": "b"}}, "spec": {"any": 1}}
    assert obj_of(at.apply(template=good))["template"] == good
    bad = {"kind": "Sub Kind", "metadata": {"labels": {"a b": "c"}, "name": "a/b"}}
    found = {cause["field"] for cause in error_of(at.apply(template=bad))["details"]["causes"]}
    assert found == {"template.apiVersion", "template.kind", "template.metadata.name", "template.metadata.labels"}


def test_metadata_that_no_object_has_is_dropped_from_an_embedded_one() -> None:
    at = Custom(embedding())
    head = {"apiVersion": f"{GROUP}/v1", "kind": "Test", "metadata": {"name": "t"}}
    template = {"apiVersion": "v1", "kind": "Sub", "metadata": {"name": "x", "foo": "bar"}, "kept": 1}
    stored = obj_of(at.desk.create(f"tests.{GROUP}", {**head, "template": template}))
    assert stored["template"] == {**template, "metadata": {"name": "x"}}


# --- definitions ----------------------------------------------------------------------------------------------------


def test_names_that_others_have_are_told_and_the_free_ones_are_kept() -> None:
    desk = Desk()
    obj_of(desk.create(DEFINITIONS, definition(), ""))
    late = obj_of(
        desk.create(
            DEFINITIONS,
            definition(plural="lates", names={"kind": "Test", "singular": "late", "listKind": "LateList"}),
            "",
        )
    )
    assert conditions(late) == {"NamesAccepted": ("False", "KindConflict"), "Established": ("False", "NotAccepted")}
    assert late["status"]["acceptedNames"] == {
        "plural": "lates",
        "singular": "late",
        "listKind": "LateList",
        "kind": "",
    }
    assert late["status"]["storedVersions"] == ["v1"]


def test_groups_of_kubernetes_own_need_an_approval() -> None:
    desk = Desk()
    own = definition(group="things.k8s.io")
    bad = error_of(desk.create(DEFINITIONS, own, ""))
    assert bad["details"]["causes"][0]["field"] == "metadata.annotations[api-approved.kubernetes.io]"
    own["metadata"]["annotations"] = {"api-approved.kubernetes.io": "somebody said so"}
    assert "with either a URL or a reason" in error_of(desk.create(DEFINITIONS, own, ""))["message"]
    for text, expected in (
        ("https://github.com/kubernetes/kubernetes/pull/1", ("True", "ApprovedAnnotation")),
        ("unapproved, a test", ("False", "UnapprovedAnnotation")),
    ):
        own["metadata"]["annotations"] = {"api-approved.kubernetes.io": text}
        made = obj_of(desk.create(DEFINITIONS, own, "", dry_run=True))
        assert conditions(made)["KubernetesAPIApprovalPolicyConformant"] == expected


def test_preserving_everything_is_for_schemas_to_say() -> None:
    bad = error_of(Desk().create(DEFINITIONS, definition(preserveUnknownFields=True), ""))
    assert "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead" in bad["message"]


def test_a_definition_that_goes_says_so_and_its_objects_can_still_be_changed() -> None:
    at = Custom()
    obj_of(at.apply(a="1"))
    going = obj_of(at.desk.delete(Key(DEFINITIONS, "", f"tests.{GROUP}")))
    assert conditions(going)["Terminating"] == ("True", "InstanceDeletionPending")
    assert conditions(going)["Established"][0] == "True"
    head = {"apiVersion": f"{GROUP}/v1", "kind": "Test", "metadata": {"name": "new"}}
    assert error_of(at.desk.create(f"tests.{GROUP}", head))["code"] == 405
    obj_of(at.apply(a="2"))


def test_status_is_written_and_keeps_what_is_ours_to_tell() -> None:
    desk = Desk()
    obj_of(desk.create(DEFINITIONS, definition(), ""))
    key = Key(DEFINITIONS, "", f"tests.{GROUP}")
    patch = [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]
    patched = obj_of(desk.patch(key, patch, PatchType.JSON, subresource="status"))
    assert [known.get("message") for known in patched["status"]["conditions"]][-1] == "patched"
    assert desk.read(key)["status"]["conditions"][-1] == {"message": "patched"}


def test_a_scale_below_zero_is_refused() -> None:
    scaled = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    one = definition(scaled)
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    one["spec"]["versions"][0]["subresources"] = {"scale": scale}
    desk = Desk()
    obj_of(desk.create(DEFINITIONS, one, ""))
    head = {"apiVersion": f"{GROUP}/v1", "kind": "Test", "metadata": {"name": "t"}, "spec": {"n": 1}}
    obj_of(desk.create(f"tests.{GROUP}", head))
    key = Key(f"tests.{GROUP}", "default", "t")
    bad = error_of(desk.patch(key, {"spec": {"replicas": -1}}, subresource="scale"))
    assert (
        bad["message"]
        == 'Scale.autoscaling "t" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    assert obj_of(desk.patch(key, {"spec": {"replicas": 0}}, subresource="scale"))["spec"]["n"] == 0
