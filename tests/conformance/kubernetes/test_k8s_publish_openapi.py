"""crd_publish_openapi.go: what /openapi/v2 says of definitions, and what kubectl makes of it."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from api_client import Api, Json
from definitions import CRDS, create, custom, definition
from eventually import eventually

_BAR = {
    "name": {"description": "Name of Bar.", "type": "string"},
    "age": {"description": "Age of Bar.", "type": "string"},
    "feeling": {"description": "Whether Bar is feeling great.", "type": "string", "enum": ["Great", "Down"]},
    "bazs": {"description": "List of Bazs.", "items": {"type": "string"}, "type": "array"},
}
_BAR_STATUS = {
    "name": {"description": "Name of Bar.", "type": "string"},
    "available": {"description": "Whether the Bar is installed.", "type": "boolean"},
    "quxType": {"description": "Indicates to external qux type.", "pattern": "in-tree|out-of-tree", "type": "string"},
}


def _bars(description: str, properties: Json, **more: Any) -> Json:
    items = {"type": "object", **more, **({"properties": properties} if properties else {})}
    return {"bars": {"description": description, "type": "array", "items": items}}


def _schema(description: str, what: str, spec: Json, status: Json, **more: Any) -> Json:
    properties = {
        "spec": {"type": "object", "description": f"Specification of {what}", "properties": spec},
        "status": {"description": f"Status of {what}", "type": "object", "properties": status},
    }
    return {"description": description, "type": "object", "properties": properties, **more}


_SPEC_BARS = _bars("List of Bars and their specs.", _BAR, required=["name"])
_FOO = _schema("Foo CRD for Testing", "Foo", _SPEC_BARS, _bars("List of Bars and their statuses.", _BAR_STATUS))
_DUMMY = {"dummy": {"description": "Dummy property.", "type": "object"}}
_WALDO_STATUS = _bars("List of Bars and their statuses.", {})
_WALDO = _schema("Waldo CRD for Testing", "Waldo", _DUMMY, _WALDO_STATUS)
_PRESERVE = {"x-kubernetes-preserve-unknown-fields": True}
_ROOT = _schema("preserve-unknown-properties at root for Testing", "Waldo", _DUMMY, _WALDO_STATUS, **_PRESERVE)
_NESTED = _schema("preserve-unknown-properties in nested field for Testing", "Waldo", _DUMMY, _WALDO_STATUS)
_NESTED = copy.deepcopy(_NESTED)
_NESTED["properties"]["spec"] |= _PRESERVE


def _name(crd: Json, version: str) -> str:
    spec = crd["spec"]
    return ".".join([*reversed(spec["group"].split(".")), version, spec["names"]["kind"]])


def _published(api: Api, crd: Json, version: str) -> Json | None:
    """Without what is added to every schema."""
    found = api.get("/openapi/v2").ok()["definitions"].get(_name(crd, version))
    if found is None:
        return None
    found.pop("x-kubernetes-group-version-kind")
    for name in ("metadata", "apiVersion", "kind"):
        found.get("properties", {}).pop(name, None)
    return dict(found)


def _expect(api: Api, crd: Json, version: str, schema: Json) -> None:
    assert eventually(lambda: _published(api, crd, version)) == schema


def _gone(api: Api, crd: Json, version: str) -> None:
    eventually(lambda: _published(api, crd, version) is None)


def _explain(api: Api, what: str, pattern: str) -> None:
    assert re.search(pattern, api.served.kubectl("explain", what).out, re.DOTALL), what


def _kubectl(api: Api, verb: str, obj: Json, fails: bool = False) -> str:
    done = api.served.kubectl("-n", api.namespace, verb, "-f", "-", stdin=json.dumps(obj), fails=fails)
    return done.out + done.err


def _accepted(api: Api, crd: Json, obj: Json) -> None:
    for verb in ("create", "apply"):
        _kubectl(api, verb, obj)
        api.served.kubectl("-n", api.namespace, "delete", crd["spec"]["names"]["plural"], obj["metadata"]["name"])


def test_kubectl_knows_a_definition_with_a_schema(api: Api) -> None:
    crd = create(api, definition(api, _FOO, versions=("v1",), scope="Namespaced"))
    plural = crd["spec"]["names"]["plural"]
    _expect(api, crd, "v1", _FOO)
    _accepted(api, crd, custom(crd, "test-foo", spec={"bars": [{"name": "test-bar"}]}))
    wrong = {
        'Unsupported value: "NonExistentValue"': {"bars": [{"name": "test-bar", "feeling": "NonExistentValue"}]},
        'unknown field "spec.foo"': {"foo": True},
        "spec.bars[0].name: Required value": {"bars": [{"age": "10"}]},
    }
    for verb in ("create", "apply"):
        for told, spec in wrong.items():
            assert told in _kubectl(api, verb, custom(crd, "test-foo", spec=spec), fails=True)
    _explain(
        api,
        plural,
        "DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*Specification of Foo",
    )
    _explain(
        api,
        f"{plural}.metadata",
        "DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a timestamp",
    )
    _explain(
        api,
        f"{plural}.spec",
        r"DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs",
    )
    _explain(
        api,
        f"{plural}.spec.bars",
        r"(RESOURCE|FIELD):.*bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*bazs.*<\[\]string>.*List of Bazs.*name.*<string>.*Name of Bar",
    )
    shown = api.served.kubectl("explain", f"{plural}.spec.bars2", fails=True).err
    assert 'field "bars2" does not exist' in shown
    api.delete(f"{CRDS}/{crd['metadata']['name']}").ok()
    _gone(api, crd, "v1")


@pytest.mark.parametrize(
    ("schema", "fields", "pattern"),
    [
        ({"type": "object", **_PRESERVE}, {"a": {"b": [{"c": "d"}]}}, "DESCRIPTION:.*<empty>"),
        (_ROOT, {"a": {"b": [{"c": "d"}]}}, "KIND:.*{kind}"),
        (_NESTED, {"spec": {"a": None, "b": [{"c": "d"}]}}, "DESCRIPTION:.*preserve-unknown-properties in nested field for Testing"),
    ],
    ids=["without a schema", "at the root", "nested"],
)  # fmt: skip
def test_kubectl_accepts_what_is_preserved(api: Api, schema: Json, fields: Json, pattern: str) -> None:
    crd = create(api, definition(api, schema, versions=("v1",), scope="Namespaced"))
    _accepted(api, crd, custom(crd, "test-cr", **fields))
    _explain(api, crd["spec"]["names"]["plural"], pattern.format(kind=crd["spec"]["names"]["kind"]))
    assert _published(api, crd, "v1") is not None


@pytest.mark.parametrize(
    ("groups", "versions"),
    [(("foo", "waldo"), ("v1", "v1beta1")), (("common", "common"), ("v4", "v5")), (("common", "common"), ("v6", "v6"))],
    ids=["of different groups", "of different versions", "of different kinds"],
)
def test_two_definitions_are_both_published(api: Api, groups: tuple[str, str], versions: tuple[str, str]) -> None:
    made = []
    for group, version, schema in zip(groups, versions, (_FOO, _WALDO), strict=True):
        crd = definition(api, schema, (version,), "Namespaced", f"{group}-{api.namespace}.example.com")
        made.append((create(api, crd), version, schema))
    for crd, version, schema in made:
        _expect(api, crd, version, schema)
    for crd, version, _ in made:
        api.delete(f"{CRDS}/{crd['metadata']['name']}").ok()
        _gone(api, crd, version)


def test_a_version_that_is_renamed_is_published_by_its_new_name(api: Api) -> None:
    crd = create(api, definition(api, _FOO, versions=("v2", "v3"), scope="Namespaced"))
    for version in ("v2", "v3"):
        _expect(api, crd, version, _FOO)
    at = "/spec/versions/1/name"
    patch = [{"op": "test", "path": at, "value": "v3"}, {"op": "replace", "path": at, "value": "v4"}]
    api.patch("json", f"{CRDS}/{crd['metadata']['name']}", patch).ok()
    _expect(api, crd, "v4", _FOO)
    _gone(api, crd, "v3")
    _expect(api, crd, "v2", _FOO)


def test_a_version_that_is_not_served_any_more_is_not_published(api: Api) -> None:
    crd = create(api, definition(api, _FOO, versions=("v5", "v6alpha1"), scope="Namespaced"))
    for version in ("v5", "v6alpha1"):
        _expect(api, crd, version, _FOO)
    found = api.get(f"{CRDS}/{crd['metadata']['name']}").ok()
    found["spec"]["versions"][1]["served"] = False
    api.put(f"{CRDS}/{crd['metadata']['name']}", found).ok()
    _gone(api, crd, "v6alpha1")
    _expect(api, crd, "v5", _FOO)
