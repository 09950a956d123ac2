"""kubectl, unmodified, before admission policies: what it is told, and what policies make of what it sends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from custom_resources import CRON_TAB, cron_tab
from gateway_server import Output, RunningGateway, served

__all__ = ["served"]
_API = "admissionregistration.k8s.io/v1"


def apply(served: RunningGateway, *objects: dict[str, Any]) -> Output:
    bundle = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return served.kubectl("apply", "-f", "-", stdin=json.dumps(bundle), fails=None)


def rule(group: str, resource: str) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}


def policy(
    name: str, group: str, resource: str, kind: str = "ValidatingAdmissionPolicy", **spec: Any
) -> dict[str, Any]:
    constraints = {"resourceRules": [rule(group, resource)]}
    obj = {"apiVersion": _API, "kind": kind, "metadata": {"name": name}}
    return {**obj, "spec": {"matchConstraints": constraints, **spec}}


def binding(name: str, kind: str = "ValidatingAdmissionPolicyBinding", **spec: Any) -> dict[str, Any]:
    actions = {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"policyName": name, **actions, **spec},
    }


def eventually(look: Callable[[], Output], holds: Callable[[Output], bool]) -> Output:
    """Policies act a moment after they are acknowledged, as kube-apiserver's do."""
    for _ in range(50):
        if holds(output := look()):
            return output
        time.sleep(0.1)
    raise AssertionError(f"{output.code}: {output.out} {output.err}")


@pytest.fixture(autouse=True)
def clean(served: RunningGateway) -> Iterator[None]:
    yield
    for kind in ("validatingadmissionpolicy", "mutatingadmissionpolicy"):
        served.kubectl("delete", f"{kind}bindings", "--all")
        served.kubectl("delete", kind, "--all")


def create_deployment(served: RunningGateway, name: str, replicas: int) -> Output:
    return served.kubectl("create", "deployment", name, "--image=host", f"--replicas={replicas}", fails=None)


def test_a_deployment_is_denied_with_the_policys_message(served: RunningGateway) -> None:
    validation = {
        "expression": "object.spec.replicas > 1",
        "messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)",
    }
    done = apply(served, policy("replicas", "apps", "deployments", validations=[validation]), binding("replicas"))
    assert done.code == 0, done.err
    denied = eventually(lambda: create_deployment(served, "marker", 1), lambda output: "denied" in output.err)
    assert (
        "ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: wants replicas > 1, got 1"
        in denied.err
    )
    assert create_deployment(served, "replicated", 2).code == 0
    scaled = served.kubectl("scale", "deployment/replicated", "--replicas=1", fails=None)
    assert scaled.code == 0, "a scale is no deployment to the rule"
    edited = served.kubectl("label", "deployment/replicated", "a=b", fails=None)
    assert "got 1" in edited.err


def test_warnings_reach_the_terminal(served: RunningGateway) -> None:
    warn = policy("warned", "", "configmaps", validations=[{"expression": "has(object.data)", "message": "empty"}])
    apply(served, warn, binding("warned", validationActions=["Warn"]))
    told = eventually(
        lambda: served.kubectl("create", "configmap", "w", "--dry-run=server"), lambda output: "Warning" in output.err
    )
    assert (
        told.err.strip()
        == "Warning: Validation failed for ValidatingAdmissionPolicy 'warned' with binding 'warned': empty"
    )


def test_type_checks_are_told_in_the_status(served: RunningGateway) -> None:
    confused = {"expression": "object.spec.replicas > '1'", "messageExpression": "'got ' + object.spec.replicas"}
    assert apply(served, CRON_TAB).code == 0
    apply(
        served,
        policy("right", "apps", "deployments", validations=[{"expression": "object.spec.replicas > 1"}]),
        policy("confused", "apps", "deployments", validations=[confused]),
        policy("custom", "stable.example.com", "crontabs", validations=[{"expression": "object.spec.replica > 1"}]),
    )
    found = served.kubectl("get", "validatingadmissionpolicies", "-o", "json").json["items"]
    status = {item["metadata"]["name"]: item["status"] for item in found}
    assert status["right"] == {"observedGeneration": 1, "typeChecking": {}}
    first, second = status["confused"]["typeChecking"]["expressionWarnings"]
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[0].messageExpression"
    [custom] = status["custom"]["typeChecking"]["expressionWarnings"]
    assert custom["warning"].startswith(
        "stable.example.com/v1, Kind=CronTab: ERROR: <input>:1:12: undefined field 'replica'"
    )


def test_what_does_not_compile_is_refused_with_its_place(served: RunningGateway) -> None:
    done = apply(
        served, policy("broken", "", "pods", validations=[{"expression": "object.spec.x >"}, {"expression": "nope"}])
    )
    assert done.code == 1
    assert "spec.validations[0].expression: Invalid value" in done.err
    assert "undeclared reference to 'nope' (in container '')" in done.err


def test_custom_resources_give_parameters_and_are_judged(served: RunningGateway) -> None:
    assert apply(served, CRON_TAB).code == 0
    assert apply(served, cron_tab("limit", replicas=3)).code == 0
    limited = policy(
        "limited",
        "stable.example.com",
        "crontabs",
        paramKind={"apiVersion": "stable.example.com/v1", "kind": "CronTab"},
        validations=[{"expression": "object.spec.replicas <= params.spec.replicas", "message": "too many"}],
    )
    apply(served, limited, binding("limited", paramRef={"name": "limit", "parameterNotFoundAction": "Deny"}))
    denied = eventually(lambda: apply(served, cron_tab("big", replicas=4)), lambda output: output.code == 1)
    assert "denied request: too many" in denied.err
    assert apply(served, cron_tab("small", replicas=2)).code == 0


def test_the_authorizer_knows_rbac(served: RunningGateway) -> None:
    asks = "authorizer.group('').resource('secrets').namespace('default').check('delete').allowed()"
    apply(
        served,
        policy("asks", "", "configmaps", validations=[{"expression": asks, "message": "not you"}]),
        binding("asks"),
    )
    served.kubectl("create", "role", "maps", "--verb=create", "--resource=configmaps")
    served.kubectl("create", "rolebinding", "maps", "--role=maps", "--user=ann")

    def as_ann() -> Output:
        return served.kubectl("create", "configmap", "m", "--as=ann", "--dry-run=server", fails=None)

    assert "not you" in eventually(as_ann, lambda output: "denied request" in output.err).err
    served.kubectl("create", "configmap", "m", "--dry-run=server")


def test_mutations_are_stored_and_shown(served: RunningGateway) -> None:
    sidecar = """Object{spec: Object.spec{
        initContainers: [Object.spec.initContainers{name: "mesh", image: "host", restartPolicy: "Always"}]
    }}"""
    mutated = policy(
        "mesh",
        "",
        "pods",
        kind="MutatingAdmissionPolicy",
        reinvocationPolicy="Never",
        matchConditions=[
            {"name": "once", "expression": "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh')"}
        ],
        mutations=[{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": sidecar}}],
    )
    done = apply(served, mutated, binding("mesh", kind="MutatingAdmissionPolicyBinding"))
    assert done.code == 0, done.err

    def shown() -> Output:
        return served.kubectl("run", "meshed", "--image=host", "--dry-run=server", "-o", "json")

    pod = eventually(shown, lambda output: "mesh" in json.dumps(output.json["spec"].get("initContainers", []))).json
    assert [item["name"] for item in pod["spec"]["initContainers"]] == ["mesh"]
    assert pod["spec"]["initContainers"][0]["terminationMessagePath"], "what is added has its defaults"
