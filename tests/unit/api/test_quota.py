"""What objects use by the names of quotas, which quotas are about them, and what is said when it is too much."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.amount import format_amounts, parse_amounts
from actors.api.codec import Object
from actors.api.quota import (
    ScopeTerm,
    counted_by,
    exceeded,
    matches_scope,
    missing_requirements,
    read_quota,
    resources_counted,
    usage_of,
)


def used(resource: str, **obj: Any) -> dict[str, str]:
    return format_amounts(usage_of(resource, obj))


def pod(*resources: Object, phase: str = "Running", **spec: Any) -> Object:
    containers = [{"name": f"c{n}", "resources": found} for n, found in enumerate(resources)]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}, "status": {"phase": phase}}


def test_a_pod_uses_requests_and_limits_by_all_their_names() -> None:
    needs = {
        "requests": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "2", "hugepages-2Mi": "4Mi"},
        "limits": {"cpu": "1", "ephemeral-storage": "1Gi", "nvidia.com/gpu": "2"},
    }
    assert used("pods", **pod(needs)) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "500m",
        "requests.cpu": "500m",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "requests.nvidia.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
        "limits.cpu": "1",
        "limits.ephemeral-storage": "1Gi",
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_an_object_and_no_more(phase: str) -> None:
    assert used("pods", **pod({"requests": {"cpu": "1"}}, phase=phase)) == {"count/pods": "1"}


def test_services_by_their_kind() -> None:
    ports = [{"port": 1}, {"port": 2, "nodePort": 30000}]
    assert used("services", spec={"ports": ports})["services.nodeports"] == "0"
    assert used("services", spec={"type": "NodePort", "ports": ports})["services.nodeports"] == "2"
    balancer = used("services", spec={"type": "LoadBalancer", "ports": ports})
    assert (balancer["services.nodeports"], balancer["services.loadbalancers"]) == ("2", "1")
    spare = {"type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": False}
    assert used("services", spec=spare)["services.nodeports"] == "1"


def test_claims_by_class_and_in_whole_bytes() -> None:
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "1.5"}}}
    assert used("persistentvolumeclaims", spec=spec) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "2",
        "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "fast.storageclass.storage.k8s.io/requests.storage": "2",
    }
    grown = {"allocatedResources": {"storage": "3"}}
    assert used("persistentvolumeclaims", spec=spec, status=grown)["requests.storage"] == "3"


def test_devices_of_alternatives_the_most() -> None:
    requests = [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2}},
        {
            "name": "b",
            "firstAvailable": [{"deviceClassName": "gpu", "count": 1}, {"deviceClassName": "gpu", "count": 3}],
        },
        {"name": "c", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
    ]
    found = used("resourceclaims.resource.k8s.io", spec={"devices": {"requests": requests}})
    assert found["gpu.deviceclass.resource.k8s.io/devices"] == "5"
    assert found["nic.deviceclass.resource.k8s.io/devices"] == "32"


def test_everything_else_counts() -> None:
    assert used("configmaps") == {"count/configmaps": "1", "configmaps": "1"}
    assert used("widgets.example.com") == {"count/widgets.example.com": "1"}


def test_names_know_whose_they_are() -> None:
    names = ["pods", "requests.nvidia.com/gpu", "services.nodeports", "count/jobs.batch", "requests.storage", "secrets"]
    assert counted_by("pods", names) == ["pods", "requests.nvidia.com/gpu"]
    assert counted_by("jobs.batch", names) == ["count/jobs.batch"]
    assert resources_counted(names) == {"pods", "services", "jobs.batch", "persistentvolumeclaims", "secrets"}
    assert counted_by("pods", ["gold.storageclass.storage.k8s.io/requests.storage"]) == []


@pytest.mark.parametrize(
    ("scope", "spec", "holds"),
    [
        ("Terminating", {"activeDeadlineSeconds": 0}, True),
        ("Terminating", {}, False),
        ("NotTerminating", {}, True),
        ("PriorityClass", {"priorityClassName": "high"}, True),
        ("PriorityClass", {}, False),
        (
            "CrossNamespacePodAffinity",
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}},
            True,
        ),
        (
            "CrossNamespacePodAffinity",
            {
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 1, "podAffinityTerm": {"namespaceSelector": {}}}
                        ]
                    }
                }
            },
            True,
        ),
        ("CrossNamespacePodAffinity", {"affinity": {"podAffinity": {}}}, False),
    ],
)
def test_scopes_of_pods(scope: str, spec: Object, holds: bool) -> None:
    assert matches_scope(ScopeTerm(scope), "pods", pod({}, **spec)) is holds
    assert not matches_scope(ScopeTerm(scope), "services", {"spec": spec})


def test_best_effort_is_what_asks_for_nothing() -> None:
    busy = pod({"requests": {"cpu": "1"}})
    assert matches_scope(ScopeTerm("BestEffort"), "pods", pod({})) and not matches_scope(
        ScopeTerm("BestEffort"), "pods", busy
    )
    assert matches_scope(ScopeTerm("NotBestEffort"), "pods", busy)


@pytest.mark.parametrize(
    ("operator", "of_high", "of_none"),
    [("In", True, False), ("NotIn", False, True), ("Exists", True, False), ("DoesNotExist", False, True)],
)
def test_operators(operator: str, of_high: bool, of_none: bool) -> None:
    term = ScopeTerm("PriorityClass", operator, ("high", "higher"))
    assert matches_scope(term, "pods", pod({}, priorityClassName="high")) is of_high
    assert matches_scope(term, "pods", pod({})) is of_none
    claims = ScopeTerm("VolumeAttributesClass", operator, ("high",))
    claim = {"spec": {"volumeAttributesClassName": "high"}}
    assert matches_scope(claims, "persistentvolumeclaims", claim) is of_high
    assert matches_scope(claims, "persistentvolumeclaims", {"spec": {}}) is of_none


def test_what_a_quota_makes_compulsory() -> None:
    hard = {"requests.cpu": "1", "limits.memory": "1Gi", "pods": "3", "requests.nvidia.com/gpu": "1"}
    mixed = pod({"requests": {"cpu": "1"}}, {"limits": {"memory": "1Gi"}}, initContainers=[{"name": "i"}])
    assert missing_requirements(hard, mixed) == "limits.memory for: c0,i; requests.cpu for: c1,i"
    assert missing_requirements({"pods": "1"}, mixed) == ""
    whole = pod({}, resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}})
    assert missing_requirements(hard, whole) == ""


def test_what_is_too_much_is_told_with_numbers() -> None:
    quota = read_quota({"metadata": {"name": "q"}, "spec": {"hard": {"cpu": "1", "memory": "1Gi", "pods": "5"}}})
    more = parse_amounts({"cpu": "600m", "memory": "1Mi", "pods": "1"})
    assert exceeded(quota, parse_amounts({"cpu": "500m", "memory": "1Gi"}), more) == (
        "exceeded quota: q, requested: cpu=600m,memory=1Mi, used: cpu=500m,memory=1Gi, limited: cpu=1,memory=1Gi"
    )
    assert exceeded(quota, parse_amounts({"cpu": "400m"}), more) == ""
    assert exceeded(quota, parse_amounts({"cpu": "9"}), parse_amounts({"cpu": "-1"})) == ""
