"""kubectl, unmodified, before the built-in admission plugins: what is refused, warned of, filled in and counted."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from gateway_server import RunningGateway, served

__all__ = ["served"]


_NUMBERS = itertools.count()


@pytest.fixture
def team(served: RunningGateway) -> str:
    """An API namespace of a test's own. No controller empties it: another test gets another."""
    name = f"team-{next(_NUMBERS)}"
    served.kubectl("create", "namespace", name)
    return name


def make(served: RunningGateway, team: str, obj: dict[str, Any], *args: str, fails: bool = False) -> Any:
    return served.kubectl("create", "-n", team, "-f", "-", *args, stdin=json.dumps(obj), fails=fails)


def pod(name: str, resources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i:1", "resources": resources or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def test_pod_security_warns_and_refuses(served: RunningGateway, team: str) -> None:
    labels = ("enforce=baseline", "enforce-version=v1.37", "warn=restricted")
    served.kubectl("label", "ns", team, *(f"pod-security.kubernetes.io/{label}" for label in labels))
    done = make(served, team, pod("modest"))
    assert done.out == "pod/modest created\n"
    assert done.err == (
        'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set '
        'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")\n'
    )
    refused = make(served, team, pod("wide", hostNetwork=True), fails=True)
    assert refused.err == (
        'Error from server (Forbidden): error when creating "STDIN": pods "wide" is forbidden: violates PodSecurity '
        '"baseline:v1.37": host namespaces (hostNetwork=true)\n'
    )
    web = served.kubectl("create", "deployment", "web", "-n", team, "--image=i:1")
    assert web.err.startswith('Warning: would violate PodSecurity "restricted:latest"') and "created" in web.out
    told = served.kubectl("label", "ns", team, "--overwrite", "pod-security.kubernetes.io/enforce=restricted").err
    assert (
        f'Warning: existing pods in namespace "{team}" violate the new PodSecurity enforce level "restricted:v1.37"'
        in told
    )
    assert "Warning: modest: allowPrivilegeEscalation != false, unrestricted capabilities" in told
    wrong = served.kubectl("label", "ns", team, "--overwrite", "pod-security.kubernetes.io/warn=no", fails=True).err
    assert 'metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: "no": must be one of privileged' in wrong


def test_limit_ranges_fill_in_and_refuse_also_in_a_dry_run(served: RunningGateway, team: str) -> None:
    item = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "2"}}
    make(
        served, team, {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [item]}}
    )
    shown = make(served, team, pod("dry"), "--dry-run=server", "-o", "json").json
    assert shown["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}}
    assert shown["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    )
    assert "NotFound" in served.kubectl("get", "pod", "dry", "-n", team, fails=True).err
    refused = make(served, team, pod("big", {"limits": {"cpu": "3"}}), fails=True).err
    assert refused.endswith('pods "big" is forbidden: maximum cpu usage per Container is 2, but limit is 3\n')
    told = served.kubectl("describe", "limits", "l", "-n", team).rows
    assert ["Container", "cpu", "-", "2", "100m", "500m", "-"] in told


def test_a_quota_is_counted_shown_and_kept(served: RunningGateway, team: str) -> None:
    hard = "--hard=pods=2,requests.cpu=1,count/configmaps=1,requests.nvidia.com/gpu=1"
    served.kubectl("create", "quota", "q", "-n", team, hard)
    served.kubectl("create", "configmap", "a", "-n", team)
    refused = served.kubectl("create", "configmap", "b", "-n", team, fails=True).err
    assert refused == (
        'error: failed to create configmap: configmaps "b" is forbidden: exceeded quota: q, '
        "requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1\n"
    )
    assert "failed quota: q: must specify requests.cpu for: c" in make(served, team, pod("bare"), fails=True).err
    gpu = {"limits": {"cpu": "600m", "nvidia.com/gpu": "1"}}
    make(served, team, pod("a", gpu))
    refused = make(served, team, pod("b", gpu), fails=True).err
    assert (
        "exceeded quota: q, requested: requests.cpu=600m,requests.nvidia.com/gpu=1, "
        "used: requests.cpu=600m,requests.nvidia.com/gpu=1, limited: requests.cpu=1,requests.nvidia.com/gpu=1"
        in refused
    )
    told = served.kubectl("describe", "quota", "q", "-n", team).rows
    assert {tuple(row) for row in told} >= {
        ("count/configmaps", "1", "1"),
        ("pods", "1", "2"),
        ("requests.cpu", "600m", "1"),
        ("requests.nvidia.com/gpu", "1", "1"),
    }
    assert "pods: 1/2" in served.kubectl("get", "quota", "-n", team).out
    served.kubectl("delete", "pod", "a", "-n", team, "--wait=false")
    assert "pods: 0/2" in served.kubectl("get", "quota", "-n", team).out


def test_scoped_quotas_part_the_pods(served: RunningGateway, team: str) -> None:
    served.kubectl("create", "quota", "best", "-n", team, "--hard=pods=1", "--scopes=BestEffort")
    make(served, team, pod("a"))
    assert "exceeded quota: best" in make(served, team, pod("b"), fails=True).err
    make(served, team, pod("c", {"limits": {"cpu": "1"}}))
    assert "BestEffort" in served.kubectl("describe", "quota", "best", "-n", team).out


def test_priorities(served: RunningGateway, team: str) -> None:
    assert {"system-cluster-critical", "system-node-critical"} <= {
        row[0] for row in served.kubectl("get", "priorityclass").rows
    }
    served.kubectl("create", "priorityclass", "high", "--value=1000", "--preemption-policy=Never")
    make(served, team, pod("p", priorityClassName="high"))
    assert served.kubectl(
        "get", "pod", "p", "-n", team, "-o", "jsonpath={.spec.priority} {.spec.preemptionPolicy}"
    ).out == ("1000 Never")
    refused = make(served, team, pod("q", priorityClassName="none"), fails=True).err
    assert refused.endswith('pods "q" is forbidden: no PriorityClass with name none was found\n')
    change = served.kubectl("patch", "priorityclass", "high", "--type=merge", "-p", '{"value": 1}', fails=True).err
    assert "value: Invalid value: 1: field is immutable" in change or "Forbidden" in change


def test_the_control_plane_has_its_namespaces(served: RunningGateway) -> None:
    for name in ("default", "kube-system", "kube-public"):
        told = served.kubectl("delete", "ns", name, fails=True).err
        assert told.endswith(f'namespaces "{name}" is forbidden: this namespace may not be deleted\n')


def test_ephemeral_containers_and_resizes_are_judged_too(served: RunningGateway, team: str) -> None:
    item = {"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}}
    make(
        served, team, {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [item]}}
    )
    served.kubectl("create", "quota", "q", "-n", team, "--hard=limits.cpu=900m")
    make(served, team, pod("p"))
    served.place("p", "n1", team)
    patch = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}}]}}
    args = ("patch", "pod", "p", "-n", team, "--subresource=resize", "-p")
    assert (
        "maximum cpu usage per Container is 1, but limit is 2"
        in served.kubectl(*args, json.dumps(patch), fails=True).err
    )
    patch["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert "exceeded quota: q, requested: limits.cpu=500m" in served.kubectl(*args, json.dumps(patch), fails=True).err
    patch["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "800m"}, "requests": {"cpu": "800m"}}
    served.kubectl(*args, json.dumps(patch))
    assert ["limits.cpu", "800m", "900m"] in served.kubectl("describe", "quota", "q", "-n", team).rows
    served.kubectl("label", "ns", team, "pod-security.kubernetes.io/enforce=baseline")
    guest = {"name": "e", "image": "i:1", "securityContext": {"privileged": True}}
    args = ("patch", "pod", "p", "-n", team, "--subresource=ephemeralcontainers", "-p")
    refused = served.kubectl(*args, json.dumps({"spec": {"ephemeralContainers": [guest]}}), fails=True).err
    assert 'privileged (container "e" must not set securityContext.privileged=true)' in refused
