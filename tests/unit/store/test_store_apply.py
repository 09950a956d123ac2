"""Server-side apply: merging, ownership, conflicts, giving up fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.api.codec import Object, decode
from actors.api.key import Key
from actors.api.kinds import kind_of
from actors.api.schema import Field
from actors.reconcile.actions import Create, Patch, PatchType, Reply
from actors.store.admission.fieldset import decode_fields, encode_fields, flatten, format_path, item_steps, root_of
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.engine import Engine
from actors.store.ids import SeededIds

KEY = Key("configmaps", "default", "smp")
DEPLOYMENT = Key("deployments.apps", "default", "web")


def new_engine() -> Engine:
    engine = Engine(MemoryBackend(), SeededIds(1))
    engine.commit(bootstrap_writes(), 0)
    return engine


def apply(engine: Engine, key: Key, obj: Object, manager: str, force: bool = False, **more: Any) -> Reply:
    patch = Patch(key=key, patch=obj, type=PatchType.APPLY, manager=manager, force=force, **more)
    return engine.commit([patch], 1_000)[0]


def applied(engine: Engine, key: Key, obj: Object, manager: str, force: bool = False) -> Object:
    reply = apply(engine, key, obj, manager, force)
    assert reply.error is None, reply.error
    return decode(engine.get(key))


def managers(obj: Object) -> dict[str, set[str]]:
    return {
        f"{e['manager']}/{e['operation']}": {format_path(path) for path in decode_fields(e["fieldsV1"])}
        for e in obj["metadata"].get("managedFields", [])
    }


def web(image: str = "nginx:1", **container: Any) -> Object:
    labels = {"app": "web"}
    containers = [{"name": "c", "image": image, **container}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def containers_of(obj: Object) -> list[Object]:
    containers: list[Object] = obj["spec"]["template"]["spec"]["containers"]
    return containers


def test_what_is_not_there_is_created_and_owned() -> None:
    created = applied(new_engine(), KEY, {"data": {"k": "v"}}, "me")
    assert created["data"] == {"k": "v"}
    assert managers(created) == {"me/Apply": {".data.k"}}, "an entry, not the map that it is in"


def test_what_is_not_there_cannot_have_a_uid() -> None:
    """Who applies it means an object that is gone."""
    engine = new_engine()
    error = apply(engine, KEY, {"metadata": {"name": "smp", "uid": "gone"}}, "a").error or {}
    assert (error["code"], error["reason"]) == (409, "Conflict")
    told = "uid mismatch: the provided object specified uid gone, and no existing object was found"
    assert error["message"] == f'Operation cannot be fulfilled on configmaps "smp": {told}'


def test_the_same_again_changes_nothing() -> None:
    engine = new_engine()
    applied(engine, DEPLOYMENT, web(), "me")
    before = engine.get(DEPLOYMENT)
    reply = engine.commit([Patch(key=DEPLOYMENT, patch=web(), type=PatchType.APPLY, manager="me")], 99_000)[0]
    assert reply.error is None and not reply.changed
    assert engine.get(DEPLOYMENT) == before


def test_another_value_of_anothers_field_is_a_conflict_in_kubernetes_words() -> None:
    engine = new_engine()
    obj = {"metadata": {"name": "smp"}, "data": {"k": "v"}}
    engine.commit([Create(resource="configmaps", namespace="default", object=obj, manager="x")], 0)
    reply = apply(engine, KEY, {"data": {"k": "other"}}, "me")
    assert reply.error is not None
    assert reply.error["message"] == 'Apply failed with 1 conflict: conflict with "x" using v1: .data.k'
    assert (reply.error["code"], reply.error["reason"]) == (409, "Conflict")
    assert reply.error["details"] == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "x" using v1', "field": ".data.k"}]
    }


def test_two_conflicts_are_told_at_once() -> None:
    engine = new_engine()
    applied(engine, KEY, {"data": {"a": "1", "b": "1"}}, "x")
    reply = apply(engine, KEY, {"data": {"a": "2", "b": "2"}}, "me")
    assert reply.error is not None
    assert reply.error["message"] == 'Apply failed with 2 conflicts: conflicts with "x" using v1:\n- .data.a\n- .data.b'


def test_force_takes_the_field_over() -> None:
    engine = new_engine()
    applied(engine, KEY, {"data": {"k": "v", "other": "o"}}, "x")
    taken = applied(engine, KEY, {"data": {"k": "mine"}}, "me", force=True)
    assert taken["data"] == {"k": "mine", "other": "o"}
    assert managers(taken) == {"x/Apply": {".data.other"}, "me/Apply": {".data.k"}}


def test_the_same_value_is_shared_and_stays_until_the_last_gives_it_up() -> None:
    engine = new_engine()
    applied(engine, KEY, {"data": {"k": "v"}}, "x")
    applied(engine, KEY, {"data": {"k": "v", "mine": "1"}}, "me")
    assert applied(engine, KEY, {"data": {"mine": "1"}}, "me")["data"] == {"k": "v", "mine": "1"}
    assert applied(engine, KEY, {}, "x")["data"] == {"mine": "1"}


def test_what_a_manager_gives_up_goes_and_what_nobody_claims_stays() -> None:
    engine = new_engine()
    applied(engine, KEY, {"metadata": {"annotations": {"a": "1"}}, "data": {"k": "v"}}, "me")
    engine.commit([Patch(key=KEY, patch={"metadata": {"annotations": {"controller": "x"}}})], 0)
    left = applied(engine, KEY, {"data": {}}, "me")
    assert left["metadata"]["annotations"] == {"controller": "x"}
    assert "k" not in left.get("data", {})


def test_items_of_keyed_lists_are_merged_by_key() -> None:
    engine = new_engine()
    applied(engine, DEPLOYMENT, web(), "me")
    sidecar = web()
    sidecar["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "s:1"}]
    both = applied(engine, DEPLOYMENT, sidecar, "other")
    assert {c["name"]: c["image"] for c in containers_of(both)} == {"c": "nginx:1", "side": "s:1"}
    without = web()
    del without["spec"]["template"]["spec"]
    left = apply(engine, DEPLOYMENT, without, "other")
    assert left.error is None, left.error
    assert [c["name"] for c in containers_of(decode(engine.get(DEPLOYMENT)))] == ["c"]


@pytest.mark.parametrize(
    ("live", "wanted", "merged"),
    [
        ("a", "b", "ab"),  # what another has put there first stays first
        ("xa", "a", "xa"),
        ("axb", "ab", "axb"),
        ("axb", "ba", "xba"),  # moved by who applies: the others keep their place before what follows
        ("axc", "abc", "axbc"),
        ("ax", "ab", "axb"),
        ("xbyaz", "anb", "xyaznb"),
    ],
)
def test_items_of_others_keep_their_place(live: str, wanted: str, merged: str) -> None:
    engine = new_engine()
    others, mine = web(), web()
    others["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": "i"} for name in live]
    mine["spec"]["template"]["spec"]["containers"] = [{"name": name, "image": "i"} for name in wanted]
    applied(engine, DEPLOYMENT, others, "webhook")
    assert "".join(c["name"] for c in containers_of(applied(engine, DEPLOYMENT, mine, "me"))) == merged
    revision = engine.get(DEPLOYMENT).revision
    assert "".join(c["name"] for c in containers_of(applied(engine, DEPLOYMENT, mine, "me"))) == merged
    assert engine.get(DEPLOYMENT).revision == revision


def test_a_field_of_an_item_that_is_given_up_goes_and_defaults_come_back() -> None:
    engine = new_engine()
    applied(engine, DEPLOYMENT, web(imagePullPolicy="Never", env=[{"name": "A", "value": "1"}]), "me")
    [container] = containers_of(applied(engine, DEPLOYMENT, web(), "me"))
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert not container.get("env")


def test_an_update_by_a_named_manager_takes_what_it_changes() -> None:
    engine = new_engine()
    applied(engine, DEPLOYMENT, {**web(), "spec": {**web()["spec"], "replicas": 2}}, "me")
    scale = Patch(key=DEPLOYMENT, patch={"spec": {"replicas": 5}}, subresource="scale", manager="kubectl")
    assert engine.commit([scale], 0)[0].error is None
    scaled = decode(engine.get(DEPLOYMENT))
    assert ".spec.replicas" in managers(scaled)["kubectl/Update"]
    assert ".spec.replicas" not in managers(scaled)["me/Apply"]
    reply = apply(engine, DEPLOYMENT, {**web(), "spec": {**web()["spec"], "replicas": 2}}, "me")
    assert reply.error is not None
    assert reply.error["details"]["causes"][0]["field"] == ".spec.replicas"
    assert applied(engine, DEPLOYMENT, web(), "me")["spec"]["replicas"] == 5


def test_a_manager_is_required_and_managed_fields_may_not_be_applied() -> None:
    engine = new_engine()
    for reply in (
        apply(engine, KEY, {"data": {}}, ""),
        apply(engine, KEY, {"metadata": {"managedFields": [{"manager": "x"}]}}, "me"),
        apply(engine, KEY, {"metadata": {"name": "other"}}, "me"),
    ):
        assert reply.error is not None and reply.error["code"] == 400


def test_what_nobody_recorded_is_of_before_the_first_apply() -> None:
    """Whoever wants it otherwise must say so; the same, or more, is no conflict."""
    engine = new_engine()
    create = Create(
        resource="configmaps", namespace="default", object={"metadata": {"name": "smp"}, "data": {"k": "v"}}
    )
    engine.commit([create], 0)
    error = apply(engine, KEY, {"data": {"k": "mine"}}, "me").error or {}
    assert error["message"] == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k'
    obj = applied(engine, KEY, {"data": {"k": "v", "l": "w"}}, "me")
    assert managers(obj) == {"before-first-apply/Update": {".data.k"}, "me/Apply": {".data.k", ".data.l"}}
    assert applied(engine, KEY, {"data": {"l": "w"}}, "me")["data"] == {"k": "v", "l": "w"}


def test_broken_managed_fields_are_nobodys() -> None:
    engine = new_engine()
    applied(engine, KEY, {"data": {"k": "v"}}, "x")
    for broken in ([3], [{"manager": "x", "fieldsV1": [1]}], [{"fieldsV1": {"f:data": 3, "k:no": {"v:": {}}}}]):
        engine.commit([Patch(key=KEY, patch={"metadata": {"managedFields": broken}})], 0)
        assert applied(engine, KEY, {"data": {"k": "mine"}}, "me", force=True)["data"]["k"] == "mine"
        applied(engine, KEY, {"data": {"k": "v"}}, "me", force=True)


def test_fieldsets_survive_their_encoding() -> None:
    paths = frozenset(
        flatten(
            {**web(env=[{"name": "A"}], ports=[{"containerPort": 80}]), "status": {}},
            root_of(kind_of("deployments.apps")),
        )
    )
    assert decode_fields(encode_fields(paths)) == paths
    ports = '.spec.template.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort'
    assert ports in {format_path(path) for path in paths}


@pytest.mark.parametrize(
    "text", ["", "plain/name", 'a"b', "back\\slash", "line\nbreak", "\x7f", "ümlaut", "\ud83d\ude00", "[]"]
)
def test_steps_of_sets_are_json_whatever_the_text(text: str) -> None:
    [step] = item_steps([text], Field("[]string", list_type="set")) or []
    assert step == "v:" + json.dumps(text)
    assert decode_fields({"f:a": {step: {}}}) == {("f:a", step)}


@pytest.mark.parametrize("step", ['v:"', 'v:"a"b"', 'v:"\\"', "v:", "v:{", "k:[]", 'k:"a"', "x:1", 'v:"\x01"'])
def test_what_is_no_step_is_left_out(step: str) -> None:
    assert decode_fields({"f:a": {step: {}}}) == frozenset()
