"""Which schemas are structural: Kubernetes' path and sentence for every place that is not, all at once."""

import pytest

from actors.api.crd.check import check_schema

ROOT = "spec.validation.openAPIV3Schema"


def told(schema):
    return {(cause.field.removeprefix(ROOT), cause.message) for cause in check_schema(schema, ROOT)}


def obj(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({}, ".type", "Required value: must not be empty at the root"),
        ({"type": "string"}, ".type", 'Invalid value: "string": must be object at the root'),
        (obj(spec={}), ".properties[spec].type", "Required value: must not be empty for specified object fields"),
        (
            obj(spec={"type": "array", "items": {}}),
            ".properties[spec].items.type",
            "Required value: must not be empty for specified array items",
        ),
        (
            obj(a={"type": "null"}),
            ".properties[a].type",
            "Forbidden: type cannot be set to null, use nullable as an alternative",
        ),
        (
            obj(a={"$ref": "#/definitions/a", "type": "object"}),
            ".properties[a].$ref",
            "Forbidden: $ref is not supported",
        ),
        (
            obj(a={"type": "array", "uniqueItems": True, "items": {"type": "string"}}),
            ".properties[a].uniqueItems",
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        (
            {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "object",
                        "properties": {"b": {"type": "string"}},
                        "additionalProperties": {"type": "string"},
                    }
                },
            },
            ".properties[a].additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            obj(a={"type": "string", "anyOf": [{"type": "string"}]}),
            ".properties[a].anyOf[0].type",
            "Forbidden: must be empty to be structural",
        ),
        (
            {**obj(a={"type": "string"}), "not": {"properties": {"b": {"minLength": 1}}}},
            ".properties[b]",
            f"Required value: because it is defined in {ROOT}.not.properties[b]",
        ),
        (
            {**obj(), "allOf": [{"properties": {"metadata": {"minProperties": 1}}}]},
            ".allOf[0].properties[metadata]",
            "Forbidden: must not be specified in a nested context",
        ),
        (
            obj(metadata={"type": "object", "properties": {"labels": {"type": "object"}}}),
            ".properties[metadata]",
            "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
        (
            obj(a={"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}),
            ".properties[a].x-kubernetes-list-map-keys",
            "Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            obj(a={"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
            ".properties[a].x-kubernetes-preserve-unknown-fields",
            'Invalid value: "true": must be false if x-kubernetes-int-or-string is true',
        ),
        (
            obj(a={"type": "object", "x-kubernetes-embedded-resource": True}),
            ".properties[a].properties",
            "Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ),
        (
            obj(a={"type": "integer", "default": "x"}),
            ".properties[a].default",
            f'Invalid value: "string": {ROOT}.properties[a].default in body must be of type integer: "string"',
        ),
        (
            obj(a={"type": "object", "properties": {"b": {"type": "string"}}, "default": {"c": 1}}),
            ".properties[a].default.c",
            'Invalid value: "": must not have unknown fields',
        ),
    ],
)
def test_each_rule_names_its_place(schema, field, message):
    assert (field, message) in told(schema)


def test_every_bad_place_at_once():
    schema = obj(
        a={}, b={"type": "array", "items": {}}, c={"type": "string", "pattern": "("}, d={"type": "string", "id": "x"}
    )
    fields = {field for field, _ in told(schema)}
    assert fields == {".properties[a].type", ".properties[b].items.type", ".properties[c].pattern", ".properties[d].id"}


def test_int_or_string_may_say_its_types():
    both = [{"type": "integer"}, {"type": "string"}]
    assert told(obj(a={"x-kubernetes-int-or-string": True, "anyOf": both})) == set()
    assert told(obj(a={"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": both}, {"pattern": "x"}]})) == set()


@pytest.mark.parametrize(
    ("rule", "told_of"),
    [
        ("self.replicas <= self.nope", "undefined field 'nope'"),
        ("self.replicas <= 'a'", "found no matching overload for '_<=_' applied to '(int, string)'"),
        ("self.replicas", "must evaluate to a bool"),
        ("self.replicas <=", "Syntax error"),
    ],
)
def test_rules_are_compiled_against_the_schema(rule, told_of):
    schema = obj(
        spec={
            "type": "object",
            "properties": {"replicas": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": rule}],
        }
    )
    [(field, message)] = told(schema)
    assert field == ".properties[spec].x-kubernetes-validations[0].rule"
    assert told_of in message


def test_transition_rules_need_a_place_that_can_be_followed():
    items = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.a >= oldSelf.a"}],
    }
    [(field, message)] = told(obj(list={"type": "array", "items": items}))
    assert field == ".properties[list].items.x-kubernetes-validations[0].rule"
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in message


def test_a_schema_of_absurd_depth_is_refused_not_recursed_into():
    schema = leaf = {"type": "object"}
    for _ in range(5000):
        leaf["properties"] = {"a": {"type": "object"}}
        leaf = leaf["properties"]["a"]
    assert any("nested at most" in message for _, message in told(schema))
