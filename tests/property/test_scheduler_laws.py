"""Laws of the scheduler: no node is ever over-committed, the same input gives the same answer, row order is nothing."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from corerig import Rig, node, pod
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.api.key import Key
from actors.api.quantity import parse_resource
from actors.reconcile.actions import Delete, Patch, Reply
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.core import SchedulerCore
from actors.scheduler.cycle import schedule
from actors.scheduler.nodes import Node, Nodes
from actors.scheduler.plugins.node_resources_allocated import NodeResourcesMostAllocated
from actors.scheduler.plugins.node_resources_fit import NodeResourcesFit
from actors.scheduler.profile import DEFAULT_PROFILE
from actors.scheduler.shape import Pending, PodSpec, parse_shape

GPU = "nvidia.com/gpu"


def gpu_node(name: str, count: int, cpu: int) -> dict[str, Any]:
    devices = [{"id": f"{name}-gpu{n}", "healthy": True, "attributes": {}} for n in range(count)]
    return node(name, cpu=cpu, gpu=count, annotations={"raypod.io/devices": json.dumps({GPU: devices})})


def check_no_overcommit(rig: Rig) -> None:
    """From the store's own objects: what is bound and lives fits its node, ids and ports are given out once."""
    nodes = {n["metadata"]["name"]: n for n in rig.list("nodes")}
    used: Counter[tuple[str, str]] = Counter()
    given_out: set[tuple[str, str]] = set()
    ports: set[tuple[str, int]] = set()
    for each in rig.list("pods"):
        at = each["spec"].get("nodeName")
        if at not in nodes or each["status"]["phase"] in ("Succeeded", "Failed"):
            continue
        (container,) = each["spec"]["containers"]
        used[at, "pods"] += 1
        for resource, quantity in (container["resources"].get("requests") or {}).items():
            used[at, resource] += parse_resource(resource, quantity)
        asked = int((container["resources"].get("requests") or {}).get(GPU, 0))
        chosen = json.loads(each["metadata"].get("annotations", {}).get("raypod.io/devices", "{}"))
        ids = [(at, id_) for id_ in chosen.get("main", {}).get(GPU, [])]
        assert len(ids) == asked and not given_out & set(ids)
        given_out |= set(ids)
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                assert (at, port["hostPort"]) not in ports
                ports.add((at, port["hostPort"]))
    for (at, resource), total in used.items():
        assert total <= parse_resource(resource, nodes[at]["status"]["allocatable"].get(resource, "0")), (at, resource)


VIP = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "vip"},
    "value": 10,
}


class World:
    """Random users, nodes and failures around one scheduler with lagging news and lost or refused binds."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.core = SchedulerCore(SchedulerConfig(seed=seed))
        self.rig = Rig(self.core)
        self.serial = 0
        for name in ("a", "b", "c"):
            self.rig.create(gpu_node(name, self.random.choice([0, 2, 4]), self.random.choice([2, 4])))
        self.rig.create(VIP)
        self.rig.relist(self.core)

    def step(self) -> None:
        acts = [self.add_pod] * 5 + [self.end_pod] * 2 + [self.hear] * 4 + [self.decide] * 6
        acts += [self.force_delete, self.restart, self.touch_pod, self.lose_node, self.wait]
        self.random.choice(acts)()

    def add_pod(self) -> None:
        self.serial += 1
        gpu = self.random.choice([None, None, 1, 2])
        one = pod(f"p{self.serial}", cpu=f"{self.random.choice([100, 500, 1500])}m", memory="1Gi", gpu=gpu)
        if self.random.random() < 0.2:
            one["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": self.random.choice([80, 81])}]
        if self.random.random() < 0.33:
            one["spec"]["priorityClassName"] = "vip"
        self.rig.create(one)

    def any_pod(self) -> Key | None:
        pods = self.rig.list("pods")
        return Key("pods", "default", self.random.choice(pods)["metadata"]["name"]) if pods else None

    def end_pod(self) -> None:
        key = self.any_pod()
        if key:
            self.rig.patch(key, {"status": {"phase": "Succeeded"}}, "status")

    def touch_pod(self) -> None:
        """A change that the scheduler has not heard of: its bind will be refused."""
        key = self.any_pod()
        if key:
            self.rig.patch(key, {"metadata": {"labels": {"touched": str(self.rig.now)}}})

    def force_delete(self) -> None:
        key = self.any_pod()
        if key:
            self.rig.delete(key, grace_period_seconds=0)

    def lose_node(self) -> None:
        """For another of another name: a bind to the old one under way is no bind to the new one."""
        nodes = [n["metadata"]["name"] for n in self.rig.list("nodes")]
        if len(nodes) > 2:
            name = self.random.choice(nodes)
            for each in self.rig.list("pods"):
                if each["spec"].get("nodeName") == name:
                    self.rig.delete(Key("pods", "default", each["metadata"]["name"]), grace_period_seconds=0)
            self.rig.commit(Delete(key=Key("nodes", "", name)))
        else:
            self.serial += 1
            self.rig.create(gpu_node(f"n{self.serial}", self.random.choice([0, 2]), 2))

    def hear(self) -> None:
        """A part of the news, cut anywhere."""
        since = self.rig.since[id(self.core)]
        batch = self.rig.engine.changes(self.core.selection(), since)
        if not batch.events:
            return
        count = self.random.randint(1, len(batch.events))
        upto = batch.revision if count == len(batch.events) else batch.events[count - 1].stored.revision
        self.core.observe(type(batch)(batch.events[:count], upto), self.rig.now)
        self.rig.since[id(self.core)] = upto

    def decide(self) -> None:
        writes = self.core.decide(self.rig.now)
        if not writes:
            return
        refused = {n for n in range(len(writes)) if self.random.random() < 0.1}
        error = {"reason": "ServiceUnavailable", "message": "by chance"}
        replies = [Reply(error=error) if n in refused else self.rig.commit(write)[0] for n, write in enumerate(writes)]
        if self.random.random() < 0.1:
            self.rig.relist(self.core)  # the reply is lost; what became of the binds shows in the list
        else:
            self.core.replied(writes, replies, self.rig.now)

    def restart(self) -> None:
        if self.random.random() < 0.3:
            self.core = SchedulerCore(SchedulerConfig())
            self.rig.cores = [self.core]
        self.rig.relist(self.core)

    def wait(self) -> None:
        self.rig.now += self.random.choice([1, 100, 20_000])


def check_books(core: SchedulerCore) -> None:
    """The arrays say what the tracked pods add up to."""
    cache, nodes = core.cache, core.cache.nodes
    for name, row in nodes.rows.items():
        loads = [t.load for t in cache.tracked() if t.node == name]
        assert list(nodes.requested[row]) == [
            sum(int(nodes.vector(load.shape)[c]) for load in loads) for c in range(len(nodes.columns))
        ]


@settings(max_examples=60)
@given(st.integers(0, 2**32))
@example(2295)  # its group is parked while one of it waits to be bound again
def test_never_over_commits_and_places_all_that_fits_in_the_end(seed: int) -> None:
    world = World(seed)
    for _ in range(150):
        world.step()
        check_no_overcommit(world.rig)
    world.rig.advance(60_000)
    check_no_overcommit(world.rig)
    check_books(world.core)
    waiting = [p for p in world.rig.list("pods") if not p["spec"].get("nodeName") and p["status"]["phase"] == "Pending"]
    for each in waiting:
        rows = [c for c in each["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        assert rows and rows[0]["reason"] == "Unschedulable", each["metadata"]["name"]
    fresh = SchedulerCore()
    page = world.rig.engine.list(fresh.selection())
    fresh.relist(page.items, page.revision, world.rig.now)
    assert not [w for w in fresh.decide(world.rig.now) if isinstance(w, Patch) and w.subresource == "binding"]


# -- the pure function

SHAPES = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from([0, 100, 500, 900]),
        "gpu": st.sampled_from([0, 0, 1, 2]),
        "priority": st.sampled_from([0, 0, 5]),
    }
)
CLUSTER = st.lists(st.tuples(st.sampled_from([1000, 2000, 3000]), st.sampled_from([0, 1, 4])), min_size=1, max_size=8)


def build(cluster: list[tuple[int, int]], order: list[int]) -> Nodes:
    nodes = Nodes()
    for index in order:
        cpu, gpus = cluster[index]
        devices = json.dumps({GPU: [{"id": f"{index}-{n}"} for n in range(gpus)]})
        nodes.put(
            msgspec.convert(
                {
                    "metadata": {"name": f"n{index}", "annotations": {"raypod.io/devices": devices}},
                    "status": {"allocatable": {"cpu": f"{cpu}m", "memory": "8Gi", "pods": "5", GPU: str(gpus)}},
                },
                Node,
            )
        )
    return nodes


def pendings(shapes: list[dict[str, int]]) -> list[Pending]:
    found = []
    for number, one in enumerate(shapes):
        requests = {"cpu": f"{one['cpu']}m", GPU: str(one["gpu"])}
        spec = msgspec.convert(
            {"containers": [{"name": "main", "resources": {"requests": requests}}], "priority": one["priority"]},
            PodSpec,
        )
        found.append(Pending(Key("pods", "default", f"p{number}"), f"u{number}", 1, number, parse_shape(spec)))
    return found


def answer(nodes: Nodes, pods: list[Pending], profile: Any = DEFAULT_PROFILE) -> Any:
    outcome = schedule(nodes, pods, profile, seed=7)
    placements = {p.pod.key.name: (p.node, p.assignment) for p in outcome.placements}
    return placements, {f.shape.fingerprint: f.message for f in outcome.failures}


@given(CLUSTER, st.lists(SHAPES, max_size=25), st.randoms(use_true_random=False))
def test_the_order_of_nodes_and_of_pods_in_the_input_is_nothing(cluster: Any, shapes: Any, rng: random.Random) -> None:
    order = list(range(len(cluster)))
    pods = pendings(shapes)
    first = answer(build(cluster, order), pods)
    assert answer(build(cluster, order), pods) == first
    rng.shuffle(order)
    rng.shuffle(pods)
    assert answer(build(cluster, order), pods) == first


@given(CLUSTER, st.lists(SHAPES, max_size=25))
def test_the_input_is_not_changed(cluster: Any, shapes: Any) -> None:
    nodes = build(cluster, list(range(len(cluster))))
    before = (nodes.requested.copy(), nodes.devices_free.copy())
    first = answer(nodes, pendings(shapes))
    assert (nodes.requested == before[0]).all() and (nodes.devices_free == before[1]).all()
    assert answer(nodes, pendings(shapes)) == first


@pytest.mark.parametrize("profile", [DEFAULT_PROFILE, (NodeResourcesFit(), NodeResourcesMostAllocated())])
@given(cluster=CLUSTER, shape=SHAPES, count=st.integers(1, 12))
def test_equal_pods_together_go_where_they_would_go_one_by_one(
    profile: Any, cluster: Any, shape: dict[str, int], count: int
) -> None:
    pods = pendings([shape] * count)
    together, _ = answer(build(cluster, list(range(len(cluster)))), pods, profile)
    nodes, singly = build(cluster, list(range(len(cluster)))), {}
    for one in pods:
        outcome = schedule(nodes, [one], profile, seed=7)
        nodes = outcome.nodes
        singly |= {p.pod.key.name: (p.node, p.assignment) for p in outcome.placements}
    assert Counter(at for at, _ in together.values()) == Counter(at for at, _ in singly.values())


@given(CLUSTER, st.lists(SHAPES, max_size=25))
def test_what_is_left_over_fits_nowhere(cluster: Any, shapes: Any) -> None:
    outcome = schedule(build(cluster, list(range(len(cluster)))), pendings(shapes), DEFAULT_PROFILE)
    for failure in outcome.failures:
        again = schedule(outcome.nodes, failure.pods, DEFAULT_PROFILE)
        assert not again.placements


@given(CLUSTER, st.lists(SHAPES, max_size=20))
def test_charge_and_discharge_are_inverse(cluster: Any, shapes: Any) -> None:
    nodes = build(cluster, list(range(len(cluster))))
    outcome = schedule(nodes, pendings(shapes), DEFAULT_PROFILE)
    for placement in outcome.placements:
        outcome.nodes.discharge(outcome.nodes.rows[placement.node], placement.load)
    assert (outcome.nodes.requested == nodes.requested).all()
    assert (outcome.nodes.devices_free == nodes.devices_free).all()
