"""What is refused when a policy is written, and what its status warns of."""

from typing import Any

import msgspec
import pytest

from actors.api.policies.policy import Policy
from actors.api.policies.type_check import Typed, find_warnings, schema_of
from actors.api.validation import validate

RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}


def written(kind: str = "ValidatingAdmissionPolicy", **spec: Any) -> dict[str, Any]:
    common = {"matchConstraints": {"resourceRules": [RULE]}, "failurePolicy": "Fail"}
    obj = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "p"}}
    return {**obj, "spec": {**common, **spec}}


def causes(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in validate(obj, old)]


def test_every_expression_that_does_not_compile_is_told_of_at_once() -> None:
    policy = written(
        matchConditions=[{"name": "c", "expression": "1"}],
        variables=[{"name": "v", "expression": "nope"}, {"name": "for", "expression": "1"}],
        validations=[
            {"expression": "object.spec.replicas >"},
            {"expression": "true", "messageExpression": "1"},
            {"expression": "variables.v == 1"},
            {"expression": "variables.zz == 1"},
            {"expression": "params == null"},
            {"expression": "object.x"},
            {"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"},
        ],
        auditAnnotations=[{"key": "k", "valueExpression": "1"}],
    )
    found = dict(causes(policy))
    assert found.keys() == {
        "spec.matchConditions[0].expression", "spec.variables[0].expression", "spec.variables[1].name",
        "spec.validations[0].expression", "spec.validations[1].messageExpression", "spec.validations[3].expression",
        "spec.validations[4].expression", "spec.validations[5].expression", "spec.validations[6].messageExpression",
        "spec.auditAnnotations[0].valueExpression",
    }  # fmt: skip
    assert found["spec.matchConditions[0].expression"] == 'Invalid value: "1": must evaluate to bool but got int'
    assert (
        "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope'"
        in found["spec.variables[0].expression"]
    )
    assert found["spec.variables[1].name"] == 'Invalid value: "for": name is not a valid CEL identifier'
    assert "Syntax error" in found["spec.validations[0].expression"]
    assert found["spec.auditAnnotations[0].valueExpression"].endswith(
        "must evaluate to one of [string null_type] but got int"
    )


@pytest.mark.parametrize(
    ("mutation", "path", "told"),
    [
        ({"patchType": "JSONPatch"}, "jsonPatch", "Required value"),
        (
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add'}]"}, "applyConfiguration": {"expression": "Object{}"}},
            "applyConfiguration",
            "must not be specified when patchType is JSONPatch",
        ),
        (
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "{'a': 'b'}"}},
            "applyConfiguration.expression",
            "must evaluate to Object but got map(string, string)",
        ),
        (
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{opp: 'add'}]"}},
            "jsonPatch.expression",
            "undefined field 'opp'",
        ),
    ],
)  # fmt: skip
def test_mutations(mutation: dict[str, Any], path: str, told: str) -> None:
    policy = written("MutatingAdmissionPolicy", mutations=[mutation], reinvocationPolicy="Never")
    [(field, message)] = causes(policy)
    assert field == f"spec.mutations[0].{path}"
    assert told in message


def test_rules_between_fields() -> None:
    policy = written(
        matchConstraints={"namespaceSelector": {}},
        validations=[{"expression": "true\n&& true"}, {"expression": "true", "message": "a\nb", "reason": "NotFound"}],
    )
    assert {field for field, _ in causes(policy)} == {
        "spec.matchConstraints.resourceRules", "spec.validations[0].message", "spec.validations[1].message",
        "spec.validations[1].reason",
    }  # fmt: skip
    binding = written("ValidatingAdmissionPolicyBinding")
    for ref, expected in (
        ({"name": "x", "selector": {}, "parameterNotFoundAction": "Deny"}, {"spec.paramRef.name", "spec.paramRef.selector"}),
        ({}, {"spec.paramRef", "spec.paramRef.parameterNotFoundAction"}),
        ({"name": "x", "parameterNotFoundAction": "Skip"}, {"spec.paramRef.parameterNotFoundAction"}),
    ):  # fmt: skip
        spec = {"policyName": "p", "validationActions": ["Deny"], "paramRef": ref}
        assert {field for field, _ in causes({**binding, "spec": spec})} == expected


def test_what_stays_as_it_was_is_not_judged_again() -> None:
    policy = written(validations=[{"expression": "no.such.thing"}])
    assert causes(policy)
    assert causes({**policy, "metadata": {"name": "p", "labels": {"a": "b"}}}, policy) == []


def warnings(**spec: Any) -> list[dict[str, Any]]:
    policy = msgspec.convert(written(**spec), Policy)
    deployment = Typed("apps/v1, Kind=Deployment", schema_of("apps.v1.Deployment"))
    return find_warnings(policy.spec, lambda *place: deployment if place == ("apps", "v1", "deployments") else None)


def test_types_that_do_not_fit_are_warned_of() -> None:
    confused = {
        "expression": "object.spec.replicas > '1'",
        "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas",
    }
    first, second = warnings(validations=[confused])
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert first["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:22: ")
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[0].messageExpression"
    assert "found no matching overload for '_+_' applied to '(string, int)'" in second["warning"]


def test_what_is_right_is_not() -> None:
    good = [
        {
            "expression": "object.spec.replicas > 1 && object.metadata.namespace == 'a' && variables.image.startsWith('x')"
        },
        {"expression": "object.spec.template.spec.containers.all(c, has(c.resources.limits))"},
    ]
    variables = [{"name": "image", "expression": "object.spec.template.spec.containers[0].image"}]
    assert warnings(validations=good, variables=variables) == []
    assert "undefined field 'foo'" in warnings(validations=[{"expression": "object.foo == 1"}])[0]["warning"]
    anything = {"resourceRules": [{**RULE, "resources": ["*"]}]}
    assert warnings(validations=[{"expression": "object.foo == 1"}], matchConstraints=anything) == []
