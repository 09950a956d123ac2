"""Pruning, defaulting and validation of objects by a structural schema."""

import time

import pytest

from actors.api.errors import TooLarge
from actors.api.structural.defaults import apply_defaults
from actors.api.structural.node import compile_node
from actors.api.structural.prune import prune
from actors.api.structural.validate import validate


def told(value, **schema):
    return [
        (cause.field, cause.message, cause.reason)
        for cause in validate({"v": value}, compile_node({"type": "object", "properties": {"v": schema}}))
    ]


def test_pruning_drops_what_no_schema_knows_and_says_where():
    node = compile_node(
        {
            "type": "object",
            "properties": {
                "spec": {"type": "object", "properties": {"a": {"type": "string"}}},
                "open": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"deep": {"type": "object"}},
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"k": {"type": "string"}}},
                },
                "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
                "pod": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
            },
        }
    )
    obj = {
        "apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "anything": 1}, "extra": 1,
        "spec": {"a": "x", "b": 1},
        "open": {"any": {"thing": 1}, "deep": {"gone": 1}},
        "map": {"x": {"k": "v", "no": 1}},
        "list": [{"k": "v"}, {"no": 1}],
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}}, "spec": {"no": 1}, "status": {}},
    }  # fmt: skip
    unknown = []
    pruned = prune(obj, node, root=True, unknown=unknown)
    assert pruned == {
        "apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "anything": 1},
        "spec": {"a": "x"},
        "open": {"any": {"thing": 1}, "deep": {}},
        "map": {"x": {"k": "v"}},
        "list": [{"k": "v"}, {}],
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}}, "spec": {}},
    }  # fmt: skip
    assert sorted(unknown) == [
        "extra",
        "list[1].no",
        "map.x.no",
        "open.deep.gone",
        "pod.spec.no",
        "pod.status",
        "spec.b",
    ]


def test_defaults_fill_what_is_missing_and_nulls_that_may_not_be():
    leaf = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "default": 7},
            "z": {"type": "string", "nullable": True, "default": "q"},
        },
    }
    node = compile_node(
        {"type": "object", "properties": {"spec": {**leaf, "default": {}}, "list": {"type": "array", "items": leaf}}}
    )
    assert apply_defaults({}, node) == {"spec": {"n": 7, "z": "q"}}
    filled = apply_defaults({"spec": {"n": None, "z": None}, "list": [{}, {"n": 1}]}, node)
    assert filled == {"spec": {"n": 7, "z": None}, "list": [{"n": 7, "z": "q"}, {"n": 1, "z": "q"}]}
    filled["spec"]["n"] = 99
    assert apply_defaults({}, node)["spec"]["n"] == 7


def test_defaults_that_multiply_are_counted():
    """A large default for each of many small items."""
    leaf = {"type": "object", "properties": {"d": {"type": "array", "default": [1] * 100}}}
    node = compile_node({"type": "object", "properties": {"list": {"type": "array", "items": leaf}}})
    assert len(apply_defaults({"list": [{}] * 9}, node, 1000)["list"]) == 9
    with pytest.raises(TooLarge, match="add more than 1000 values"):
        apply_defaults({"list": [{}] * 10}, node, 1000)
    given = {"list": [{"d": [1] * 100}] * 100}
    assert apply_defaults(given, node, 1000) == given, "what the object has itself is not added"


@pytest.mark.parametrize(
    ("value", "schema", "message", "reason"),
    [
        ("x", {"type": "integer"}, 'Invalid value: "string": v in body must be of type integer: "string"', "FieldValueTypeInvalid"),
        (True, {"type": "integer"}, 'Invalid value: "boolean": v in body must be of type integer: "boolean"', "FieldValueTypeInvalid"),
        (None, {"type": "string"}, 'Invalid value: "null": v in body must be of type string: "null"', "FieldValueTypeInvalid"),
        (1.5, {"type": "integer"}, 'Invalid value: "number": v in body must be of type integer: "number"', "FieldValueTypeInvalid"),
        (0, {"type": "integer", "minimum": 1}, "Invalid value: 0: v in body should be greater than or equal to 1", "FieldValueInvalid"),
        (5, {"type": "integer", "maximum": 5, "exclusiveMaximum": True}, "Invalid value: 5: v in body should be less than 5", "FieldValueInvalid"),
        (7, {"type": "integer", "multipleOf": 5}, "Invalid value: 7: v in body should be a multiple of 5", "FieldValueInvalid"),
        (2**40, {"type": "integer", "format": "int32"}, f"Invalid value: {2**40}: v in body must be of type int32: {2**40}", "FieldValueTypeInvalid"),
        ("ab", {"type": "string", "minLength": 3}, 'Invalid value: "ab": v in body should be at least 3 chars long', "FieldValueInvalid"),
        ("abcd", {"type": "string", "maxLength": 3}, "Too long: may not be more than 3 bytes", "FieldValueTooLong"),
        ("a", {"type": "string", "pattern": r"^\d+$"}, "Invalid value: \"a\": v in body should match '^\\d+$'", "FieldValueInvalid"),
        ("nope", {"type": "string", "format": "date-time"}, 'Invalid value: "nope": v in body must be of type date-time: "nope"', "FieldValueTypeInvalid"),
        ("c", {"type": "string", "enum": ["a", "b"]}, 'Unsupported value: "c": supported values: "a", "b"', "FieldValueNotSupported"),
        ([1, 2, 3], {"type": "array", "maxItems": 2, "items": {"type": "integer"}}, "Too many: 3: must have at most 2 items", "FieldValueTooMany"),
        ({"a": 1}, {"type": "object", "required": ["b"], "x-kubernetes-preserve-unknown-fields": True}, "Required value", "FieldValueRequired"),
        (1, {"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": -5}]}, 'Invalid value: "": "v" must validate one and only one schema (oneOf). Found none valid', "FieldValueInvalid"),
        (9, {"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 50}]}, 'Invalid value: "": "v" must validate one and only one schema (oneOf). Found 2 valid alternatives', "FieldValueInvalid"),
        (1, {"type": "integer", "anyOf": [{"minimum": 5}]}, 'Invalid value: "": "v" must validate at least one schema (anyOf)', "FieldValueInvalid"),
        (1, {"type": "integer", "not": {"minimum": 0}}, 'Invalid value: "": "v" must not validate the schema (not)', "FieldValueInvalid"),
        (True, {"x-kubernetes-int-or-string": True}, 'Invalid value: "boolean": v in body must be of type integer,string: "boolean"', "FieldValueTypeInvalid"),
    ],
)  # fmt: skip
def test_each_rule_in_kubernetes_words(value, schema, message, reason):
    [(field, said, why)] = told(value, **schema)
    assert (said, why) == (message, reason)
    assert field == ("v.b" if reason == "FieldValueRequired" else "v")


def test_lists_that_are_sets_and_maps():
    assert told(["a", "b", "a"], **{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}) == [
        ("v[2]", 'Duplicate value: "a"', "FieldValueDuplicate")
    ]
    keyed = {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}}},
    }  # fmt: skip
    found = told([{"name": "a"}, {"name": "a", "port": 80}, {"name": "a", "port": 81}], **keyed)
    assert [field for field, _, _ in found] == ["v[1]"]


def test_what_has_not_changed_is_not_held_against_the_object():
    node = compile_node(
        {
            "type": "object",
            "properties": {"a": {"type": "string", "maxLength": 1}, "b": {"type": "integer", "minimum": 5}},
        }
    )
    old = {"a": "long", "b": 9}
    assert validate({"a": "long", "b": 10}, node, "", old) == []
    assert [cause.field for cause in validate({"a": "longer", "b": 1}, node, "", old)] == ["a", "b"]


def test_a_catastrophic_pattern_costs_no_time():
    began = time.process_time()
    assert told("a" * 100_000 + "!", type="string", pattern="^(a+)+$")
    assert time.process_time() - began < 2


def test_a_hostile_object_has_no_more_than_so_many_causes_and_no_depth():
    node = compile_node({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"}}}})
    assert len(validate({"l": ["x"] * 10_000}, node)) == 200
