"""The nodelet is killed at every boundary, and its operations fail, are lost, repeated and late: nothing shows of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodelet_world import Crash, World, make_container, make_pod

from actors.api.codec import decode
from actors.api.key import Key
from actors.nodelet.config import NodeletConfig
from actors.nodelet.operations import Failure, Operation, PullImage
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import ContainerSpec, ContainerState
from actors.reconcile.watch import Selection


def script(spec: ContainerSpec) -> Script:
    match spec.name:
        case "short" | "init":
            return Script(run_ms=700, exit_code=0)
        case "failing":
            return Script(run_ms=300, exit_code=7)
        case "nothing":
            return Script(start_error=127)
        case _:
            return Script(run_ms=FOREVER)


PODS = (
    make_pod("server"),
    make_pod("job", containers=[make_container("short")], restartPolicy="Never"),
    make_pod("wrong", containers=[make_container("nothing")], restartPolicy="Never"),
    make_pod("retried", containers=[make_container("failing")], restartPolicy="OnFailure"),
    make_pod(
        "staged",
        containers=[make_container("short", volumeMounts=[{"name": "v", "mountPath": "/v"}])],
        initContainers=[make_container("init"), make_container("proxy", restartPolicy="Always")],
        volumes=[{"name": "v", "emptyDir": {}}],
        restartPolicy="Never",
    ),
)


#: Heartbeats are not what this is about.
RARE = NodeletConfig(lease_renew_ms=600_000, lease_duration_seconds=3_600, status_ms=600_000, relist_ms=60_000)


async def play_through_a_crash(crash_at: int) -> World:
    """Time that passes while nobody watches passes for the crashed run, too."""
    world = World(script, RARE)
    world.crash_at = crash_at
    await world.start()
    plan: list[Callable[[], Any]] = [lambda pod=pod: world.create_object(pod) for pod in PODS]
    plan.append(lambda: world.advance(2_000))
    plan.append(lambda: delete(world, "server", 5))
    plan.append(lambda: delete(world, "retried", 0))
    plan.append(lambda: world.advance(2_000))
    for act in plan:
        end = world.now + (2_000 if act in (plan[len(PODS)], plan[-1]) else 0)
        try:
            await act()
        except Crash:
            await world.start()
            await world.advance(max(0, end - world.now))
    return world


async def delete(world: World, name: str, grace_seconds: int) -> None:
    await world.delete(Key("pods", "default", name), grace_seconds)


async def outcome(world: World) -> dict[str, Any]:
    told: dict[str, Any] = {}
    page = await world.store.list(Selection(resources=("pods",)))
    for item in page.items:
        status = decode(item)["status"]
        lists = (*status["containerStatuses"], *status.get("initContainerStatuses", ()))
        ends = {
            entry["name"]: (entry["restartCount"], entry["state"].get("terminated", {}).get("exitCode"))
            for entry in lists
        }
        told[item.key.name] = (status["phase"], ends)
    return told


async def test_killed_at_every_boundary() -> None:
    reference = await play_through_a_crash(-1)
    wanted = await outcome(reference)
    assert set(wanted) == {"job", "wrong", "staged"}
    assert wanted["job"] == ("Succeeded", {"short": (0, 0)})
    assert reference.is_clean()
    assert reference.steps > 50
    for crash_at in range(1, reference.steps):
        world = await play_through_a_crash(crash_at)
        assert await outcome(world) == wanted, f"killed at step {crash_at} of {reference.steps}"
        assert world.is_clean(), f"killed at step {crash_at}: {world.machine.sandboxes}"
        assert world.machine.pids == reference.machine.pids, f"killed at step {crash_at}: something ran twice"


class Faulty(World):
    """Operations fail before or after they are done, are lost, repeated, or answered much later."""

    def __init__(self, seed: int, rate: float) -> None:
        super().__init__(script, RARE)
        self.chance, self.rate = random.Random(seed), rate
        self.late: list[Operation] = []

    async def perform(self, operation: Operation) -> None:
        failure = Failure(reason="Injected", message="the fault of this test")
        if self.chance.random() >= self.rate:
            await super().perform(operation)
        else:
            match self.chance.choice(["before", "after", "lost", "unheard", "repeated", "late"]):
                case "before":
                    self.core.completed(operation, failure, self.now)
                case "after":
                    await self.executor.attempt(operation)
                    self.core.completed(operation, failure, self.now)
                case "lost":
                    pass
                case "unheard":
                    await self.executor.attempt(operation)
                case "repeated":
                    await super().perform(operation)
                    await super().perform(operation)
                case "late":
                    self.late.append(operation)
        self.check()
        if self.late and self.chance.random() < 0.2:
            await super().perform(self.late.pop(0))
            self.check()

    def check(self) -> None:
        """Safety: of one container at most one attempt runs, and none beside a younger one."""
        running: dict[tuple[str, str], int] = {}
        for status in self.machine.containers.values():
            if status.state == ContainerState.RUNNING:
                key = (status.spec.labels["io.kubernetes.pod.uid"], status.spec.name)
                assert key not in running, f"two attempts of {key} run at once"
                running[key] = status.spec.attempt


@settings(max_examples=30)
@given(seed=st.integers(0, 1 << 32), rate=st.sampled_from([0.05, 0.2, 0.5]), crashes=st.integers(0, 3))
async def test_faults_end_and_the_node_converges(seed: int, rate: float, crashes: int) -> None:
    world = Faulty(seed, rate)
    await world.start()
    for pod in PODS:
        await world.create_object(pod)
    for _ in range(crashes):
        await world.advance(world.chance.randrange(3_000))
        await world.start()
    await world.advance(3_000)
    await delete(world, "server", 5)
    await world.advance(world.chance.randrange(200_000))
    world.rate = 0.0
    for operation in world.late:
        await World.perform(world, operation)
    await world.advance(2 * PullImage.TIMEOUT_MS)
    await delete(world, "retried", 5)
    await world.advance(300_000)
    told = await outcome(world)
    assert set(told) == {"job", "wrong", "staged"}, told
    assert told["wrong"][0] == "Failed"
    assert told["job"][0] == "Succeeded"
    assert told["staged"][0] == "Succeeded"
    assert world.is_clean(), (world.machine.sandboxes, world.machine.containers, world.storage.volumes)


@pytest.mark.parametrize("jump_ms", [-3_600_000, -5_000, 3_600_000])
async def test_a_clock_that_jumps_delays_nothing_for_long(jump_ms: int) -> None:
    world = World(script)
    await world.start()
    keys = [await world.create_object(pod) for pod in PODS]
    await world.advance(500)
    world.now += jump_ms
    await world.advance(120_000)
    assert (await world.status(keys[0]))["phase"] == "Running"
    await world.delete(keys[0], 5)
    await world.advance(30_000)
    assert await world.get(keys[0]) is None
