"""Jobs and Deployments under crashes between any two writes, lagging news and refusals: counts are exact, none is lost."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from corerig import Rig, node
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.key import Key
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.reconcile.actions import Delete, Reply
from actors.scheduler.core import SchedulerCore

JOBS = "jobs.batch"
INDEX = "batch.kubernetes.io/job-completion-index"


def controllers() -> ControllersCore:
    """Without leases here: no node is ever silent."""
    return ControllersCore(all_controllers(ControllersConfig(node_grace_ms=10**12)))


class World:
    """A nodelet that ends pods at random, users that delete some, and a controller process that keeps dying."""

    def __init__(self, seed: int, indexed: bool) -> None:
        self.random = random.Random(seed)
        self.indexed = indexed
        self.core = controllers()
        self.rig = Rig(self.core, SchedulerCore())
        self.rig.create(node("n", cpu=64))
        pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "host"}]}
        spec = {"template": {"spec": pod}, "completions": 6, "parallelism": 3, "backoffLimit": 1000}
        spec["completionMode"] = "Indexed" if indexed else "NonIndexed"
        self.rig.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": spec})
        self.ended: dict[str, tuple[str, str]] = {}  # uid: phase, index

    def step(self) -> None:
        acts = [self.decide] * 8 + [self.hear] * 4 + [self.schedule] * 4 + [self.end_pod] * 2
        acts += [self.remove_pod, self.crash, self.wait]
        self.random.choice(acts)()

    def schedule(self) -> None:
        self.rig.deliver(self.rig.cores[1])
        self.rig.step(self.rig.cores[1])

    def decide(self) -> None:
        """A crash may come after any number of the writes, before the reply."""
        if id(self.core) not in self.rig.since:
            self.rig.relist(self.core)
        writes = self.core.decide(self.rig.now)
        if writes and self.random.random() < 0.2:
            self.rig.commit(*writes[: self.random.randint(0, len(writes))])
            self.crash()
            return
        refused = Reply(error={"reason": "Conflict", "message": "by chance"})
        replies = [refused if self.random.random() < 0.05 else self.rig.commit(write)[0] for write in writes]
        if writes:
            self.core.replied(writes, replies, self.rig.now)
        self.check()

    def hear(self) -> None:
        self.rig.deliver(self.core)

    def crash(self) -> None:
        self.core = controllers()
        self.rig.cores[0] = self.core
        self.rig.since.pop(id(self.core), None)

    def wait(self) -> None:
        self.rig.now += self.random.choice([1, 1000, 20_000])

    def pods(self) -> list[dict[str, Any]]:
        return self.rig.list("pods")

    def end_pod(self, *phases: str) -> None:
        running = [p for p in self.pods() if p["spec"].get("nodeName") and p["metadata"]["uid"] not in self.ended]
        running = [p for p in running if "deletionTimestamp" not in p["metadata"]]
        if running:
            one = self.random.choice(running)
            phase = self.random.choice(phases or ("Succeeded", "Failed"))
            self.ended[one["metadata"]["uid"]] = (phase, one["metadata"].get("annotations", {}).get(INDEX, ""))
            self.rig.patch(Key("pods", "default", one["metadata"]["name"]), {"status": {"phase": phase}}, "status")

    def remove_pod(self) -> None:
        """Somebody deletes a finished pod with force, counted or not."""
        over = [p for p in self.pods() if p["metadata"]["uid"] in self.ended]
        if over:
            key = Key("pods", "default", self.random.choice(over)["metadata"]["name"])
            self.rig.commit(Delete(key=key, grace_period_seconds=0))

    def status(self) -> dict[str, Any]:
        return self.rig.get(JOBS, "train")["status"]

    def is_over(self) -> bool:
        return any(c["type"] == "Complete" for c in self.status().get("conditions") or ())

    def check(self) -> None:
        """Never more pods than parallelism allows, no index twice, no pod counted twice."""
        pods = [p for p in self.pods() if p["status"]["phase"] in ("Pending", "Running")]
        live = [p for p in pods if "deletionTimestamp" not in p["metadata"]]
        assert len(live) <= 3
        if self.indexed:
            indexes = Counter(p["metadata"]["annotations"][INDEX] for p in live)
            assert not indexes or max(indexes.values()) == 1
        tally, status = Counter(phase for phase, _ in self.ended.values()), self.status()
        assert status.get("failed", 0) <= tally["Failed"]
        assert status.get("succeeded", 0) <= tally["Succeeded"]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.booleans())
def test_every_ended_pod_is_counted_exactly_once(seed: int, indexed: bool) -> None:
    world = World(seed, indexed)
    for _ in range(200):
        world.step()
    for _ in range(100):
        world.rig.advance(20_000)
        if world.is_over():
            break
        for _ in range(2):
            world.end_pod("Succeeded")
    assert world.is_over()
    status, tally = world.status(), Counter(phase for phase, _ in world.ended.values())
    assert status.get("failed", 0) == tally["Failed"]
    if indexed:
        assert status["completedIndexes"] == "0-5" and status["succeeded"] == 6
    else:
        assert status["succeeded"] == tally["Succeeded"] == 6
    assert not any(p["metadata"].get("finalizers") for p in world.pods())
    assert not status.get("uncountedTerminatedPods", {}).get("failed")


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_a_deployment_converges_whatever_crashes(seed: int) -> None:
    chance = random.Random(seed)
    world = World.__new__(World)
    world.random, world.core = chance, controllers()
    world.rig = Rig(world.core, SchedulerCore())
    world.check = lambda: None
    world.rig.create(node("n", cpu=64))
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "app:0"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    world.rig.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    version = 0
    for _ in range(120):
        act = chance.choice(["decide"] * 6 + ["hear"] * 3 + ["node"] * 3 + ["crash", "update", "resize"])
        if act == "decide":
            world.decide()
        elif act == "hear":
            world.hear()
        elif act == "crash":
            world.crash()
        elif act == "node":
            nodelet(world.rig)
        elif act == "update":
            version += 1
            change = {"template": {"spec": {"containers": [{"name": "main", "image": f"app:{version}"}]}}}
            world.rig.patch(Key("deployments.apps", "default", "web"), {"spec": change})
        else:
            world.rig.patch(Key("deployments.apps", "default", "web"), {"spec": {"replicas": chance.randint(0, 5)}})
    for _ in range(40):
        world.rig.settle()
        nodelet(world.rig)
    world.rig.advance(120_000)  # what was refused by chance is tried again after its back-off
    obj = world.rig.get("deployments.apps", "web")
    pods = world.rig.list("pods")
    assert len(pods) == obj["spec"]["replicas"]
    assert {p["spec"]["containers"][0]["image"] for p in pods} <= {f"app:{version}"}
    assert obj["status"].get("availableReplicas", 0) == obj["spec"]["replicas"]
    rows = {c["type"]: c["reason"] for c in obj["status"]["conditions"]}
    assert rows["Progressing"] == "NewReplicaSetAvailable"


def nodelet(rig: Rig) -> None:
    ready = {"type": "Ready", "status": "True"}
    for each in rig.list("pods"):
        key = Key("pods", "default", each["metadata"]["name"])
        if "deletionTimestamp" in each["metadata"]:
            rig.commit(Delete(key=key, grace_period_seconds=0))
        elif each["spec"].get("nodeName") and each["status"]["phase"] == "Pending":
            rig.patch(key, {"status": {"phase": "Running", "conditions": [ready]}}, "status")
