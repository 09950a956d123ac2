from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, finish, node, pod, start

from actors.api.clock import format_micro_time
from actors.api.key import Key

OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


def beat(rig: Rig, *names: str) -> None:
    for name in names:
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format_micro_time(rig.now)}
        if rig.get("leases.coordination.k8s.io", name, "kube-node-lease"):
            rig.patch(Key("leases.coordination.k8s.io", "kube-node-lease", name), {"spec": spec})
        else:
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
            rig.create(lease, "kube-node-lease")


@pytest.fixture
def world(rig: Rig) -> Rig:
    for name in ("a", "b"):
        rig.create(node(name))
    beat(rig, "a", "b")
    rig.settle()
    return rig


def live_for(rig: Rig, seconds: int, *names: str) -> None:
    for _ in range(seconds // 10):
        beat(rig, *names)
        rig.advance(10_000)


def ready(rig: Rig, name: str) -> str:
    return next(c["status"] for c in rig.get("nodes", name, "")["status"]["conditions"] if c["type"] == "Ready")


def taints(rig: Rig, name: str) -> list[tuple[str, str]]:
    return sorted(
        (t["key"].partition("/")[2], t["effect"]) for t in rig.get("nodes", name, "")["spec"].get("taints") or []
    )


def bind(rig: Rig, name: str, to: str, **spec: Any) -> None:
    rig.create(pod(name, nodeName=to, **spec))
    start(rig, name)


def test_a_silent_node_is_unknown_and_tainted_and_comes_back(world: Rig) -> None:
    live_for(world, 30, "b")
    assert ready(world, "a") == "True" and taints(world, "a") == []
    live_for(world, 20, "b")
    assert ready(world, "a") == "Unknown" and ready(world, "b") == "True"
    assert taints(world, "a") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
    beat(world, "a")
    row = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    world.patch(Key("nodes", "", "a"), {"status": {"conditions": [row]}}, "status")
    world.settle()
    assert taints(world, "a") == []


def test_with_no_other_node_ready_nothing_is_evicted(world: Rig) -> None:
    world.advance(60_000)
    assert taints(world, "a") == taints(world, "b") == [("unreachable", "NoSchedule")]


def test_a_node_that_says_it_is_not_ready(world: Rig) -> None:
    row = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "no network"}
    world.patch(Key("nodes", "", "a"), {"status": {"conditions": [row]}}, "status")
    world.settle()
    assert taints(world, "a") == [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")]


def test_cordon_is_a_taint_and_strange_taints_stay(world: Rig) -> None:
    mine = {"key": "example.com/mine", "value": "v", "effect": "NoSchedule"}
    world.patch(Key("nodes", "", "a"), {"spec": {"unschedulable": True, "taints": [mine]}})
    world.settle()
    assert taints(world, "a") == [("mine", "NoSchedule"), ("unschedulable", "NoSchedule")]
    world.patch(Key("nodes", "", "a"), {"spec": {"unschedulable": None}})
    world.settle()
    assert taints(world, "a") == [("mine", "NoSchedule")]


def test_no_execute_evicts_by_toleration(world: Rig) -> None:
    def tolerating(**more: Any) -> list[dict[str, Any]]:
        return [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", **more}]

    bind(world, "plain", "a")
    bind(world, "patient", "a", tolerations=tolerating(tolerationSeconds=20))
    bind(world, "brave", "a", tolerations=tolerating())
    from actors.api.clock import format_time

    taint = {"key": "maintenance", "effect": "NoExecute", "timeAdded": format_time(world.now)}
    world.patch(Key("nodes", "", "a"), {"spec": {"taints": [taint]}})
    live_for(world, 10, "a", "b")

    def evicted() -> set[str]:
        return {p["metadata"]["name"] for p in world.list("pods") if "deletionTimestamp" in p["metadata"]}

    assert evicted() == {"plain"}
    reasons = [
        c["reason"] for c in world.get("pods", "plain")["status"]["conditions"] if c["type"] == "DisruptionTarget"
    ]
    assert reasons == ["DeletionByTaintManager"]
    live_for(world, 20, "a", "b")
    assert evicted() == {"plain", "patient"}


def test_silence_says_nothing_of_the_pods_network(world: Rig) -> None:
    network = {"type": "NetworkUnavailable", "status": "False", "reason": "PodNetworkReady", "message": "set up"}
    known = world.get("nodes", "a", "")["status"]["conditions"]
    world.patch(Key("nodes", "", "a"), {"status": {"conditions": [*known, network]}}, "status")
    live_for(world, 60, "b")
    assert ready(world, "a") == "Unknown"
    assert network in world.get("nodes", "a", "")["status"]["conditions"]


def test_pods_of_a_node_declared_out_of_service_are_replaced_at_once(world: Rig) -> None:
    bind(world, "running", "a")
    bind(world, "done", "a")
    finish(world, "done")
    world.patch(Key("nodes", "", "a"), {"spec": {"taints": [OUT_OF_SERVICE]}})
    world.settle()
    assert ready(world, "a") == "Unknown"
    assert world.get("pods", "running") is None
    assert world.get("pods", "done")


def test_pods_of_a_node_that_is_gone_go_after_a_grace(world: Rig) -> None:
    bind(world, "p", "a")
    world.settle()
    world.delete(Key("nodes", "", "a"))
    world.advance(9_000)
    assert world.get("pods", "p")
    world.advance(2_000)
    assert world.get("pods", "p") is None


def test_a_node_that_comes_back_in_time_keeps_its_pods(world: Rig) -> None:
    bind(world, "p", "a")
    world.settle()
    world.delete(Key("nodes", "", "a"))
    world.advance(5_000)
    world.create(node("a"))
    live_for(world, 30, "a", "b")
    assert world.get("pods", "p")


def test_terminating_pods_do_not_wait_for_a_silent_node_for_ever(world: Rig) -> None:
    bind(world, "p", "a", terminationGracePeriodSeconds=5)
    live_for(world, 50, "b")
    assert ready(world, "a") == "Unknown"
    world.delete(Key("pods", "default", "p"))
    live_for(world, 10, "b")
    assert world.get("pods", "p")
    live_for(world, 10, "b")
    assert world.get("pods", "p") is None


def test_finished_pods_beyond_the_limit_go_oldest_first() -> None:
    from actors.controllers.config import ControllersConfig
    from actors.controllers.core import ControllersCore
    from actors.controllers.pod_gc import pod_gc

    rig = Rig(ControllersCore([pod_gc(ControllersConfig(terminated_pods_max=2))]))
    for number in range(5):
        rig.create(pod(f"p{number}"))
        rig.now += 1000
        finish(rig, f"p{number}")
    rig.settle()
    assert [p["metadata"]["name"] for p in rig.list("pods")] == ["p3", "p4"]


def test_a_pod_that_ended_by_itself_meanwhile_is_not_told_to_have_failed(world: Rig) -> None:
    bind(world, "done", "a")
    world.patch(Key("pods", "default", "done"), {"metadata": {"finalizers": ["test/hold"]}})
    world.delete(Key("nodes", "", "a"))
    world.settle()
    finish(world, "done", "Succeeded")
    world.now += 15_000
    world.step(world.cores[0])
    assert world.get("pods", "done")["status"]["phase"] == "Succeeded"
    world.settle()
    assert world.get("pods", "done")["status"]["phase"] == "Succeeded"
