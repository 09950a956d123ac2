"""validatingadmissionpolicy.go and mutatingadmissionpolicy.go: what policies allow, change and say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_client import Api, Json
from definitions import create, definition
from eventually import eventually

_ROOT = "/apis/admissionregistration.k8s.io/v1"
_VALIDATING, _MUTATING = f"{_ROOT}/validatingadmissionpolicies", f"{_ROOT}/mutatingadmissionpolicies"


@pytest.fixture(autouse=True)
def _without_policies(api: Api) -> Iterator[None]:
    yield
    for path in (_VALIDATING, _MUTATING):
        for of in (path, path.replace("policies", "policybindings")):
            api.delete(of, labelSelector=f"e2e={api.namespace}")


def _policy(api: Api, path: str, name: str, group: str = "apps", resource: str = "deployments", **spec: Any) -> str:
    """Its name; it matches the test's own API namespace."""
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}
    match = {"namespaceSelector": {"matchLabels": {api.namespace: "true"}}, "resourceRules": [rule]}
    name = f"{api.namespace}.{name}.example.com"
    metadata = {"name": name, "labels": {"e2e": api.namespace}}
    api.post(path, {"metadata": metadata, "spec": {"matchConstraints": match, **spec}}).ok()
    return name


def _bind(api: Api, path: str, policy: str, **spec: Any) -> None:
    match = {"namespaceSelector": {"matchLabels": {api.namespace: "true"}}}
    metadata = {"name": f"{api.namespace}.binding.example.com", "labels": {"e2e": api.namespace}}
    binding = {"metadata": metadata, "spec": {"policyName": policy, "matchResources": match, **spec}}
    api.post(path.replace("policies", "policybindings"), binding).ok()


def _workload(api: Api, resource: str, name: str, replicas: int) -> tuple[str, Json]:
    template = {
        "metadata": {"labels": {"app": "nginx"}},
        "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "nginx"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{api.namespace}/{resource}"
    return path, {"metadata": {"name": name, "labels": {"app": "nginx"}}, "spec": spec}


def _wait_denied(api: Api) -> Json:
    """The marker is refused as Invalid once the policy acts."""
    path, obj = _workload(api, "deployments", "marker-deployment", 1)

    def denied() -> Json:
        answer = api.post(path, obj)
        api.delete(f"{path}/marker-deployment")
        if answer.code == 201:
            return {}
        return answer.refused(422, "Invalid")

    return eventually(denied)


def test_a_deployment_is_validated(api: Api) -> None:
    validations = [
        {"expression": "object.spec.replicas > 1", "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas"},
        {"expression": f"namespaceObject.metadata.name == '{api.namespace}'", "message": "Internal error! Other namespace should not be allowed."},
    ]  # fmt: skip
    policy = _policy(api, _VALIDATING, "policy", validations=validations)
    _bind(api, _VALIDATING, policy, validationActions=["Deny"])
    _wait_denied(api)
    api.post(*_workload(api, "deployments", "replicated", 2)).ok()
    api.post(*_workload(api, "replicasets", "non-replicated", 1)).ok()


def test_expressions_may_refer_to_variables(api: Api) -> None:
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
    ]
    validations = [{"expression": "variables.replicas > 1"}, {"expression": "variables.oddReplicas"}]
    policy = _policy(api, _VALIDATING, "policy", variables=variables, validations=validations)
    _bind(api, _VALIDATING, policy, validationActions=["Deny"])
    _wait_denied(api)
    api.post(*_workload(api, "deployments", "replicated", 3)).ok()
    api.post(*_workload(api, "deployments", "even", 2)).refused(422, "Invalid")
    api.post(*_workload(api, "replicasets", "non-replicated", 1)).ok()


def _warnings(api: Api, policy: str) -> list[Json]:
    """Of its type check, which comes to an end."""
    found = eventually(
        lambda: api.get(f"{_VALIDATING}/{policy}").ok().get("status", {}), lambda status: "typeChecking" in status
    )
    warnings: list[Json] = found["typeChecking"].get("expressionWarnings", [])
    return warnings


def test_types_of_expressions_are_checked(api: Api) -> None:
    right = _policy(api, _VALIDATING, "correct", validations=[{"expression": "object.spec.replicas > 1"}])
    assert _warnings(api, right) == []
    confused = {
        "expression": "object.spec.replicas > '1'",
        "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas",
    }
    first, second = _warnings(api, _policy(api, _VALIDATING, "confused", validations=[confused]))
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[0].messageExpression"
    assert "found no matching overload for '_+_' applied to '(string, int)'" in second["warning"]


def test_types_of_custom_resources_are_checked(api: Api) -> None:
    fields = {"cronSpec": {"type": "string"}, "image": {"type": "string"}, "replicas": {"type": "integer"}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    crd = create(api, definition(api, schema, ("v1",), "Namespaced"))
    where = {"group": crd["spec"]["group"], "resource": crd["spec"]["names"]["plural"]}
    right = _policy(api, _VALIDATING, "right", validations=[{"expression": "object.spec.replicas > 1"}], **where)
    assert _warnings(api, right) == []
    wrong = [{"expression": "object.spec.replicas > '1'"}, {"expression": "object.spec.maxRetries < 10"}]
    first, second = _warnings(api, _policy(api, _VALIDATING, "wrong", validations=wrong, **where))
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[1].expression"
    assert "undefined field 'maxRetries'" in second["warning"]


@pytest.mark.parametrize("patch_type", ["ApplyConfiguration", "JSONPatch"])
def test_a_deployment_is_mutated(api: Api, patch_type: str) -> None:
    apply = 'Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}'
    value = '{"mutated-by": "admission-policy"}'
    json_patch = f'[JSONPatch{{op: "add", path: "/metadata/annotations", value: {value}}}]'
    how = (
        {"applyConfiguration": {"expression": apply}}
        if patch_type != "JSONPatch"
        else {"jsonPatch": {"expression": json_patch}}
    )
    mutations = [{"patchType": patch_type, **how}]
    policy = _policy(api, _MUTATING, "policy", mutations=mutations, reinvocationPolicy="Never")
    _bind(api, _MUTATING, policy)
    path, obj = _workload(api, "deployments", "test-deployment", 2)

    def mutated() -> bool:
        made = api.post(path, obj).ok()
        api.delete(f"{path}/test-deployment").ok()
        return bool(made["metadata"].get("annotations", {}).get("mutated-by") == "admission-policy")

    eventually(mutated)
