from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.api.key import Key
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.cycle import Outcome, schedule
from actors.scheduler.framework import Plugin
from actors.scheduler.nodes import Load, Node, Nodes
from actors.scheduler.plugins.node_resources_allocated import NodeResourcesMostAllocated
from actors.scheduler.plugins.node_resources_fit import NodeResourcesFit
from actors.scheduler.profile import DEFAULT_PROFILE
from actors.scheduler.shape import Pending, PodSpec, Shapes, parse_shape

GPU = "nvidia.com/gpu"


def cluster(**specs: dict[str, Any]) -> Nodes:
    """By name: `cpu`, `memory`, `pods`, `gpus` (ids), `unhealthy`, `labels`, `taints`, `unschedulable`, `more`."""
    nodes = Nodes()
    for name, spec in specs.items():
        gpus, sick = spec.get("gpus", ()), spec.get("unhealthy", ())
        devices = {GPU: [{"id": id_, "healthy": id_ not in sick} for id_ in gpus]} if gpus else {}
        allocatable = {"cpu": spec.get("cpu", "4"), "memory": spec.get("memory", "8Gi"), "pods": spec.get("pods", 110)}
        if gpus:
            allocatable[GPU] = len(gpus)
        obj = {
            "metadata": {
                "name": name,
                "labels": spec.get("labels", {}),
                "annotations": {"raypod.io/devices": json.dumps(devices)},
            },
            "spec": {"taints": spec.get("taints", []), "unschedulable": spec.get("unschedulable", False)},
            "status": {"allocatable": allocatable | spec.get("more", {})},
        }
        nodes.put(msgspec.convert(obj, Node))
    return nodes


def wait(name: str = "p", created: int = 1, **spec: Any) -> Pending:
    """`ask`: requests of the only container; the rest is the pod's spec."""
    container = {"name": "main", "resources": {"requests": spec.pop("ask", {})}, "ports": spec.pop("ports", [])}
    pod = msgspec.convert({"containers": [container]} | spec, PodSpec)
    return Pending(Key("pods", "default", name), f"uid-{name}", 1, created, parse_shape(pod))


def run(nodes: Nodes, *pods: Pending, profile: tuple[Plugin, ...] = DEFAULT_PROFILE) -> Outcome:
    return schedule(nodes, pods, profile)


def placed(nodes: Nodes, *pods: Pending, **options: Any) -> dict[str, str]:
    return {p.pod.key.name: p.node for p in run(nodes, *pods, **options).placements}


def refusal(nodes: Nodes, pod: Pending) -> str:
    (failure,) = run(nodes, pod).failures
    return failure.message


def test_reasons_are_counted_per_node_and_say_what_is_short() -> None:
    taint = {"key": "dedicated", "value": "team", "effect": "NoSchedule"}
    nodes = cluster(a={"cpu": "1"}, b={"taints": [taint]}, c={"taints": [taint]})
    assert refusal(nodes, wait(ask={"cpu": "1500m"})) == (
        "0/3 nodes are available: 1 Insufficient cpu (asked 1500m, most free on one node 4), "
        "2 node(s) had untolerated taint {dedicated: team}."
    )
    assert refusal(cluster(a={"gpus": ["x"]}), wait(ask={GPU: 2})) == (
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu (asked 2, most free on one node 1)."
    )
    assert refusal(Nodes(), wait()) == "no nodes available to schedule pods"


def test_a_node_short_of_two_things_counts_for_both() -> None:
    message = refusal(cluster(a={"cpu": "1", "memory": "1Gi"}), wait(ask={"cpu": 2, "memory": "2Gi"}))
    assert "1 Insufficient cpu (asked 2, most free on one node 1)" in message
    assert "1 Insufficient memory (asked 2Gi, most free on one node 1Gi)" in message


def test_an_amount_beyond_all_counting_is_told_as_it_is() -> None:
    huge = {"cpu": "2", "memory": "99999999Ti", "example.com/fpga": "4000000000000000"}
    pod = wait(ask=huge)
    message = refusal(cluster(a={}), pod)
    assert "1 Insufficient memory (asked 99999999Ti, most free on one node 8Gi)" in message
    assert "1 Insufficient example.com/fpga (asked 4000000000000000, most free on one node 0)" in message
    assert max(pod.shape.requests.values()) < 1 << 51  # what is summed in 64 bits stays small
    assert wait(ask={"memory": "1Ti"}).shape.beyond == {}


def test_a_resource_that_no_node_offers() -> None:
    assert "2 Insufficient example.com/fpga (asked 1, most free on one node 0)" in refusal(
        cluster(a={}, b={}), wait(ask={"example.com/fpga": 1})
    )


def test_too_many_pods() -> None:
    nodes = cluster(a={"pods": 2})
    pods = [wait(f"p{n}") for n in range(3)]
    outcome = run(nodes, *pods)
    assert len(outcome.placements) == 2
    assert outcome.failures[0].message == "0/1 nodes are available: 1 Too many pods."


@pytest.mark.parametrize(
    ("containers", "init", "overhead", "cpu"),
    [
        ([1, 2], [], None, 3000),
        ([1, 2], [5], None, 5000),
        ([1, 2], [2], "500m", 3500),
        ([2], [("sidecar", 1), 2], None, 3000),
        ([2], [4, ("sidecar", 1)], None, 4000),
        ([1], [("sidecar", 1), 4], None, 5000),
    ],
)
def test_requests_are_kubernetes_sums(containers: Any, init: Any, overhead: Any, cpu: int) -> None:
    def container(name: str, asked: Any) -> dict[str, Any]:
        always = {"restartPolicy": "Always"} if isinstance(asked, tuple) else {}
        cpus = asked[1] if isinstance(asked, tuple) else asked
        return {"name": name, "resources": {"requests": {"cpu": cpus}}} | always

    spec = {
        "containers": [container(f"c{n}", c) for n, c in enumerate(containers)],
        "initContainers": [container(f"i{n}", c) for n, c in enumerate(init)],
        "overhead": {"cpu": overhead} if overhead else None,
    }
    assert parse_shape(msgspec.convert(spec, PodSpec)).requests == {"cpu": cpu, "pods": 1}


def test_limits_stand_in_for_requests_and_huge_ones_do_not_overflow() -> None:
    spec = {"containers": [{"name": "m", "resources": {"limits": {"memory": "8E", "cpu": "1"}}}]}
    shape = parse_shape(msgspec.convert(spec, PodSpec))
    nodes = cluster(a={"memory": "7E"})
    for _ in range(1000):
        nodes.charge(0, Load(shape))
    assert nodes.free()[0, nodes.columns["memory"]] < 0


def test_what_cannot_be_read_is_told_and_no_exception() -> None:
    shape = Shapes().of(
        msgspec.convert({"containers": [{"name": "m", "resources": {"requests": {"cpu": "much"}}}]}, PodSpec)
    )
    outcome = run(cluster(a={}), Pending(Key("pods", "d", "p"), "u", 1, 1, shape))
    assert "'much' is not a quantity" in outcome.failures[0].message


def test_selector_and_affinity() -> None:
    nodes = cluster(
        a={"labels": {"disk": "ssd", "zone": "1"}},
        b={"labels": {"disk": "hdd", "size": "9"}},
        c={"labels": {"zone": "2"}},
    )

    def required(**requirement: Any) -> dict[str, Any]:
        terms = [{"matchExpressions": [requirement]}]
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}

    assert placed(nodes, wait(nodeSelector={"disk": "hdd"})) == {"p": "b"}
    assert placed(nodes, wait(affinity=required(key="zone", operator="In", values=["2", "3"]))) == {"p": "c"}
    assert placed(nodes, wait(affinity=required(key="size", operator="Gt", values=["8"]))) == {"p": "b"}
    assert placed(nodes, wait(affinity=required(key="zone", operator="DoesNotExist"))) == {"p": "b"}
    assert refusal(nodes, wait(nodeSelector={"disk": "tape"})) == (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    )
    fields = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}]
    by_name = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": fields}}}
    assert placed(nodes, wait(affinity=by_name)) == {"p": "c"}
    empty = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}}
    assert placed(nodes, wait(affinity=empty)) == {}


def test_preferred_affinity_outweighs_a_tie() -> None:
    nodes = cluster(**{f"n{n}": {"labels": {"zone": str(n)}} for n in range(6)})
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["4"]}]}
    preferred = [{"weight": 1, "preference": term}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert placed(nodes, wait(affinity=affinity)) == {"p": "n4"}


def test_taints_and_cordons() -> None:
    hard, soft = {"key": "k", "value": "v", "effect": "NoExecute"}, {"key": "s", "effect": "PreferNoSchedule"}
    nodes = cluster(a={"taints": [hard]}, b={"taints": [soft]}, c={"unschedulable": True})
    assert placed(nodes, wait()) == {"p": "b"}
    assert placed(nodes, wait(tolerations=[{"key": "k", "value": "v"}])) == {"p": "a"}
    assert placed(nodes, wait(tolerations=[{"key": "k", "value": "other"}])) == {"p": "b"}
    every = [{"operator": "Exists"}]
    assert placed(cluster(c={"unschedulable": True}), wait(tolerations=every)) == {"p": "c"}
    assert (
        refusal(cluster(c={"unschedulable": True}), wait()) == "0/1 nodes are available: 1 node(s) were unschedulable."
    )


def test_host_ports() -> None:
    nodes = cluster(a={}, b={})

    def listening(name: str, port: int, ip: str = "", protocol: str = "TCP") -> Pending:
        return wait(name, ports=[{"hostPort": port, "hostIP": ip, "protocol": protocol}])

    three = run(nodes, *(listening(f"p{n}", 80) for n in range(3)))
    assert sorted(p.node for p in three.placements) == ["a", "b"]
    assert "2 node(s) didn't have free ports for the requested pod ports" in three.failures[0].message
    assert len(run(three.nodes, listening("q", 80, protocol="UDP")).placements) == 1
    one = run(cluster(a={}), listening("p", 80, "10.0.0.1")).nodes
    assert len(run(one, listening("q", 80, "10.0.0.2")).placements) == 1
    assert len(run(one, listening("q", 80, "0.0.0.0")).placements) == 0


def test_least_allocated_spreads_and_most_allocated_packs() -> None:
    pods = [wait(f"p{n}", ask={"cpu": 1}) for n in range(4)]
    nodes = cluster(a={}, b={}, c={}, d={})
    assert len(set(placed(nodes, *pods).values())) == 4
    packing = (NodeResourcesFit(), NodeResourcesMostAllocated())
    assert len(set(placed(nodes, *pods, profile=packing).values())) == 1
    assert len(set(placed(nodes, *(wait(f"p{n}") for n in range(4))).values())) == 4, "pods that ask for nothing"


def test_gpus_are_packed_and_kept_for_those_that_ask() -> None:
    nodes = cluster(big={"gpus": list("abcd")}, small={"gpus": list("xy")}, plain={"cpu": "1"})
    assert placed(nodes, wait(ask={GPU: 2})) == {"p": "small"}
    assert placed(nodes, wait(ask={"cpu": "900m"})) == {"p": "plain"}
    first = run(nodes, wait("p0", ask={GPU: 1}))
    assert first.placements[0].node == "small"
    assert placed(first.nodes, wait("p1", ask={GPU: 1})) == {"p1": "small"}
    assert placed(first.nodes, wait("p2", ask={GPU: 4})) == {"p2": "big"}


def test_devices_are_healthy_distinct_and_per_container() -> None:
    nodes = cluster(a={"gpus": ["g0", "g1", "g2", "g3"], "unhealthy": ["g1"]})
    asking = [{"name": n, "resources": {"requests": {GPU: c}}} for n, c in (("one", 1), ("two", 2))]
    init = [{"name": "warm", "resources": {"requests": {GPU: 1}}}]
    spec = msgspec.convert({"containers": asking, "initContainers": init}, PodSpec)
    (placement,) = run(nodes, Pending(Key("pods", "d", "p"), "u", 1, 1, parse_shape(spec))).placements
    assert placement.assignment == {"warm": {GPU: ("g0",)}, "one": {GPU: ("g0",)}, "two": {GPU: ("g2", "g3")}}
    assert refusal(nodes, wait(ask={GPU: 4})).endswith("(asked 4, most free on one node 3).")


def test_an_unreadable_device_annotation_offers_counts_only() -> None:
    nodes = cluster(a={"more": {GPU: 2}})
    (placement,) = run(nodes, wait(ask={GPU: 1})).placements
    assert placement.assignment == {}
    assert (
        nodes.put(msgspec.convert({"metadata": {"name": "b", "annotations": {"raypod.io/devices": "{nonsense"}}}, Node))
        is False
    )


def test_gates_keep_a_pod_out() -> None:
    (failure,) = run(cluster(a={}), wait(schedulingGates=[{"name": "example.com/wait"}])).failures
    assert (failure.reason, failure.message) == (
        "SchedulingGated",
        "waiting for scheduling gates: [example.com/wait]",
    )


def test_priority_before_age_before_name() -> None:
    nodes = cluster(a={"pods": 2})
    old, young = wait("old", 1, ask={"cpu": 1}), wait("young", 2, ask={"cpu": 1})
    vip = wait("vip", 3, ask={"cpu": 2}, priority=100)
    assert set(placed(nodes, young, old, vip)) == {"vip", "old"}


def test_a_typo_in_the_profile_is_an_error_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"unknown field `wieght` - at `\$\.profile\[0\]`"):
        msgspec.convert({"profile": [{"plugin": "NodeResourcesFit", "wieght": 2}]}, SchedulerConfig)
    with pytest.raises(msgspec.ValidationError, match="NodeResourcesFitt"):
        msgspec.convert({"profile": [{"plugin": "NodeResourcesFitt"}]}, SchedulerConfig)
    config = msgspec.convert({"profile": [{"plugin": "DevicePacking", "resource": "amd.com/gpu"}]}, SchedulerConfig)
    assert config.profile[0].resource == "amd.com/gpu"
