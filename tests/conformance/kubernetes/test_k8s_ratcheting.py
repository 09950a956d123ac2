"""crd_validation_ratcheting.go: what was invalid before a schema changed may stay, if it can be told that it has."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Answer, Api, Json
from definitions import CRDS, collection, create, definition
from eventually import eventually

_SENTINEL = "__update_schema_sentinel_field__"
_PATHS = ("field", "struct.field", "list[0].field", "list[1].field")
_OPTIONAL = {"rule": "!oldSelf.hasValue() || self != oldSelf.value()", "optionalOldSelf": True}
_NOT = {"enum": ["notfoo", "notbar", "notbaz"]}
_EMPTY: Json = {}


def _rule(text: str) -> Json:
    return {"x-kubernetes-validations": [{"rule": text}]}


def _schema(inner: Json, bounds: Json = _EMPTY) -> Json:
    """Of a field, and of the same in a struct, in the items of a keyed list and in the values of a map."""
    other = {"otherField": {"type": "string"}}
    fields = {"field": {"type": "string", **inner, **({"maxLength": 5} if bounds else {})}, **other}
    items = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}, **fields}}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "items": items}
    return {
        **fields,
        "struct": {"type": "object", "properties": fields},
        "list": {"type": "array", **keyed, **({"maxItems": 5} if bounds else {})},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": fields}, **({"maxProperties": 5} if bounds else {})},
    }  # fmt: skip


def _arrays(inner: Json) -> Json:
    items = {"type": "string", **inner}
    plain = {"type": "array", "items": items}
    return {"atomicArray": plain, "setArray": {**plain, "x-kubernetes-list-type": "set"}}


def _object(value: str, *more: str, **other: str) -> Json:
    one = {"field": value, **other}
    return {
        **one,
        "struct": one,
        "list": [
            *({"key": key, **one} for key in ("foo", "bar")),
            *({"key": key, **one, "field": "foo"} for key in more),
        ],
        "map": {"foo": one, "bar": one},
    }


class _Crd:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.crd = create(api, definition(api, versions=("v1",), scope="Namespaced"))
        self.path = collection(self.crd, api.namespace)

    def apply(self, fields: Json, name: str = "test-resource", **metadata: Any) -> Answer:
        spec = self.crd["spec"]
        head = {"apiVersion": f"{spec['group']}/v1", "kind": spec["names"]["kind"]}
        return self.api.apply(
            f"{self.path}/{name}", {**head, "metadata": {"name": name, **metadata}, **fields}, "manager"
        )

    def update_schema(self, properties: Json) -> None:
        """And wait until it acts: all that is wrong with an object is told at once, a unique value among it."""
        sentinel = {_SENTINEL: {"type": "string", "enum": [f"unique-{self.api.namespace}"]}}
        path = f"{CRDS}/{self.crd['metadata']['name']}"
        found = self.api.get(path).ok()
        schema = {"type": "object", "properties": {**properties, **sentinel}}
        found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
        self.api.put(path, found, fieldManager="manager").ok()
        bad = {"finalizers": ["unqualified-finalizer"], "labels": {"#inv/($%)/alid=": ">htt$://"}}

        def told() -> bool:
            answer = self.apply({_SENTINEL: "1"}, "sentinel-resource", **bad)
            assert answer.code == 422, answer.body
            return f"unique-{self.api.namespace}" in answer.json["message"]

        eventually(told)


@pytest.fixture
def crd(api: Api) -> _Crd:
    return _Crd(api)


def _all_told(answer: Answer, by_rule: bool) -> None:
    message = answer.refused(422, "Invalid")["message"]
    maps = ("map[foo].field", "map[bar].field") if by_rule else ("map.foo.field", "map.bar.field")
    for path in (*_PATHS, *maps):
        assert path in message


@pytest.mark.parametrize("inner", [{"enum": ["foo"]}, _rule("self == 'foo'")])
def test_what_has_not_changed_may_stay_invalid(crd: _Crd, inner: Json) -> None:
    crd.apply(_object("notfoo")).ok()
    crd.update_schema(_schema(inner))
    crd.apply(_object("notfoo"), labels={"foo": "bar"}).ok()
    crd.apply(_object("notfoo", "baz", otherField="doesntmatter")).ok()


@pytest.mark.parametrize("inner", [{"enum": ["foo"]}, _rule("self == 'foo'")])
def test_what_changes_must_be_valid(crd: _Crd, inner: Json) -> None:
    crd.apply(_object("foo")).ok()
    crd.update_schema(_schema(inner))
    _all_told(crd.apply(_object("notfoo")), by_rule="enum" not in inner)


@pytest.mark.parametrize("inner", [_NOT, _rule("self != 'foo'")])
def test_items_that_nothing_identifies_must_be_valid(crd: _Crd, inner: Json) -> None:
    items = ["foo", "bar", "baz"]
    crd.apply({"setArray": items, "atomicArray": items}).ok()
    crd.update_schema(_arrays(inner))
    more = [*items, "notfoo"]
    answer = crd.apply({"setArray": more, "atomicArray": more}, labels={"foo": "bar"})
    message = answer.refused(422, "Invalid")["message"]
    assert "atomicArray" in message and "setArray" in message


def test_transition_rules_hold_for_what_has_not_changed(crd: _Crd) -> None:
    crd.apply(_object("foo")).ok()
    crd.update_schema(_schema(_rule("self != oldSelf"), {"bounded": True}))
    _all_told(crd.apply(_object("foo"), labels={"foo": "bar"}), by_rule=True)


def test_a_rule_may_have_no_old_self(crd: _Crd) -> None:
    crd.update_schema(_schema({"x-kubernetes-validations": [_OPTIONAL]}, {"bounded": True}))
    crd.apply(_object("foo")).ok()
    _all_told(crd.apply(_object("foo"), labels={"foo": "bar"}), by_rule=True)
    crd.apply(_object("new")).ok()
