"""What rules may be estimated to cost: what is not bounded may be as large as a request."""

import pytest

from actors.api.structural.rule_check import check_schema_rules

TEXT = {"type": "string"}


def array(items, **bounds):
    return {"type": "array", "items": items, **bounds}


def problems(properties, rule, **more):
    spec = {"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule, **more}]}
    found = check_schema_rules({"type": "object", "properties": {"spec": spec}}, "schema")
    return [(cause.field, cause.message) for cause in found]


ADVICE = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"  # fmt: skip


@pytest.mark.parametrize(
    ("properties", "rule"),
    [
        ({"x": TEXT, "y": {"type": "integer"}}, "self.x.startsWith('kube') && self.y < 10 && self.x.matches('^[a-z]+$')"),
        ({"x": array(TEXT)}, "self.x.all(a, a == 'one' || a == 'two')"),
        ({"x": array({**TEXT, "maxLength": 64}, maxItems=64)}, "self.x.all(a, self.x.exists_one(b, a == b))"),
        ({"x": {"type": "object", "additionalProperties": TEXT}}, "self.x.all(k, k != '')"),
    ],
)  # fmt: skip
def test_what_can_be_afforded(properties, rule):
    assert problems(properties, rule) == []


@pytest.mark.parametrize(
    ("properties", "rule"),
    [
        ({"x": array(TEXT)}, "self.x.all(a, self.x.all(b, a == b))"),
        ({"x": array(array(array(TEXT)))}, "self.x.all(a, a.all(b, b.all(c, c.contains('x'))))"),
        ({"x": TEXT, "y": TEXT}, "self.x.contains(self.y)"),
    ],
)
def test_what_cannot(properties, rule):
    found = problems(properties, rule)
    where = "schema.properties[spec].x-kubernetes-validations[0].rule"
    assert found[0] == (where, f"Forbidden: estimated rule cost exceeds budget by factor of more than 100x {ADVICE}")


def test_bounds_make_it_affordable_and_the_factor_is_told():
    rule = "self.x.all(a, self.x.all(b, a == b))"
    found = problems({"x": array({**TEXT, "maxLength": 100}, maxItems=1000)}, rule)
    assert "exceeds budget by factor of 4" in found[0][1]
    assert problems({"x": array({**TEXT, "maxLength": 100}, maxItems=300)}, rule) == []


def test_a_rule_on_items_costs_as_often_as_there_can_be_items():
    item = {"type": "object", "properties": {"t": {**TEXT, "maxLength": 2000}}}
    item["x-kubernetes-validations"] = [{"rule": "self.t.contains('abcdefghijklmnopqrstuvwxyz')"}]
    assert problems({"x": array(item, maxItems=100)}, "true") == []
    found = problems({"x": array(item)}, "true")
    assert found[0][0] == "schema.properties[spec].properties[x].items.x-kubernetes-validations[0].rule"
    assert any(
        "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema" in told for _, told in found
    )


def test_messages_are_priced_too():
    found = problems({"x": TEXT}, "true", messageExpression="self.x.replace('a', self.x) + 'b'")
    assert found[0][1].startswith("Forbidden: estimated messageExpression cost exceeds budget")


def test_optional_old_self_is_checked_as_an_optional_and_errors_name_the_expression_alone():
    number = {"x": {"type": "integer"}}
    good = "oldSelf.hasValue() ? self.x >= oldSelf.value().x : true"
    assert problems(number, good, optionalOldSelf=True) == []
    [(_, told)] = problems(number, "oldSelf.x > 1", optionalOldSelf=True)
    assert "| oldSelf.x > 1\n" in told or "optional" not in told
    [(_, told)] = problems(number, "oldSelf.value().y > 1", optionalOldSelf=True)
    assert told.endswith(
        "<input>:1:16: undefined field 'y' not found in struct 'Object0'\n | oldSelf.value().y > 1\n | ...............^"
    )
