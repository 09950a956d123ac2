"""Pods on a node where something goes wrong: what dies, vanishes, is away or comes late."""

from __future__ import annotations

import pytest
from nodelet_world import NODE, World, conditions, make_container

from actors.api.key import Key
from actors.nodelet.operations import StartContainer
from actors.plugins.errors import PluginError
from actors.plugins.runtime.fake import FOREVER, Script
from actors.reconcile.actions import Reply


async def test_a_sandbox_that_died_is_replaced() -> None:
    world = World()
    await world.start()
    key = await world.create("a", initContainers=[make_container("one", command=["x"])])
    world.runtime._scripts = lambda spec: Script() if spec.name == "one" else Script(run_ms=FOREVER)
    await world.settle()
    assert (await world.status(key))["phase"] == "Running"
    (sandbox_id,) = world.machine.sandboxes
    await world.runtime.stop_pod_sandbox(sandbox_id)
    await world.advance(11_000)
    status = await world.status(key)
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["restartCount"] == 1
    assert status["initContainerStatuses"][0]["restartCount"] == 1, "its work is done again in the new sandbox"
    assert len([s for s in world.machine.sandboxes.values() if s.state == "READY"]) == 1


async def test_a_container_that_vanished_is_run_again_or_failed() -> None:
    world = World()
    await world.start()
    always = await world.create("a")
    never = await world.create("b", restartPolicy="Never")
    await world.settle()
    for container_id in list(world.machine.containers):
        await world.runtime.remove_container(container_id)
    world.machine.containers.clear()
    await world.advance(11_000)
    assert (await world.status(always))["phase"] == "Running"
    assert (await world.status(always))["containerStatuses"][0]["restartCount"] == 1
    status = await world.status(never)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


async def test_a_namesake_waits_for_nothing_of_the_old_pod() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    old = dict(world.machine.containers)
    await world.delete(key, 0)
    await world.create("a")
    await world.settle()
    assert (await world.status(key))["phase"] == "Running"
    assert not set(old) & set(world.machine.containers)
    assert len(world.machine.sandboxes) == 1


async def test_a_pod_deleted_while_its_nodelet_was_away() -> None:
    world = World()
    await world.start()
    kept = await world.create("a")
    forced = await world.create("b")
    await world.settle()
    await world.delete(forced, 0)
    await world.start()
    await world.settle()
    assert (await world.status(kept))["phase"] == "Running"
    assert {s.spec.pod_name for s in world.machine.sandboxes.values()} == {"a"}


async def test_the_node_and_its_lease_are_kept_fresh() -> None:
    world = World(gpus=2)
    await world.start()
    await world.settle()
    node = await world.get(Key("nodes", "", NODE))
    assert node is not None
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
    assert node["metadata"]["labels"]["nvidia.com/gpu.count"] == "2"
    assert node["status"]["capacity"]["nvidia.com/gpu"] == "2"
    assert node["status"]["allocatable"]["cpu"] == "4"
    assert "GPU-fake-0001" in node["metadata"]["annotations"]["raypod.io/devices"]
    assert conditions(node["status"])["Ready"] == "True"
    lease_key = Key("leases.coordination.k8s.io", "kube-node-lease", NODE)
    before = await world.get(lease_key)
    await world.advance(2_000)
    after = await world.get(lease_key)
    assert before is not None and after is not None
    assert before["spec"]["renewTime"] != after["spec"]["renewTime"]
    await world.delete(Key("nodes", "", NODE))
    await world.advance(11_000)
    assert await world.get(Key("nodes", "", NODE)) is not None, "a deleted node registers again"


async def test_a_node_whose_runtime_does_not_answer_says_so_and_recovers() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    gone = PluginError("runtime", "list_containers", "RuntimeUnavailable", "the launcher does not start")
    world.fault = lambda verb, name: gone if verb == "list_pod_sandboxes" else None
    await world.advance(10_000)
    node = await world.get(Key("nodes", "", NODE))
    assert node is not None
    (ready,) = [c for c in node["status"]["conditions"] if c["type"] == "Ready"]
    assert ready["status"] == "False"
    assert "the launcher does not start" in ready["message"]
    assert (await world.status(key))["phase"] == "Running"
    world.fault = lambda verb, name: None
    await world.advance(5_000)
    node = await world.get(Key("nodes", "", NODE))
    assert node is not None and conditions(node["status"])["Ready"] == "True"


@pytest.mark.parametrize("policy", ["Always", "Never"])
async def test_a_deadline_that_passed_has_passed_though_the_clock_goes_back(policy: str) -> None:
    world = World()
    await world.start()
    key = await world.create("a", restartPolicy=policy, activeDeadlineSeconds=30)
    await world.advance(29_000)
    world.now += 2_000
    for operation in world.core.operations(world.now):
        await world.perform(operation)
    world.now -= 3_600_000
    await world.advance(60_000)
    status = await world.status(key)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.is_clean()


@pytest.mark.parametrize("reason", ["Conflict", "NotFound", "Invalid"])
async def test_a_refused_status_stops_no_container(reason: str) -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.begin(StartContainer)
    writes = world.core.decide(world.now)
    refused = Reply(error={"reason": reason, "code": 409, "message": "no"})
    world.core.replied(writes, [refused for _ in writes], world.now)
    await world.advance(120_000)
    assert (await world.status(key))["phase"] == "Running"
    assert "Killing" not in await world.events()


async def test_a_late_reply_brings_no_pod_back() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.begin(StartContainer)
    writes = world.core.decide(world.now)
    replies = await world.store.commit(writes)
    await world.delete(key, 0)
    batch = await world.store.watch(world.core.selection(), world.revision, 0)
    world.core.observe(batch, world.now)
    world.revision = batch.revision
    world.core.operations(world.now)
    world.core.replied(writes, replies, world.now)
    assert [record.pod for record in world.core.records.values()] == [None]
    await world.advance(120_000)
    assert world.is_clean()


async def test_back_off_survives_the_nodelet() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=1))
    await world.start()
    key = await world.create("a")
    await world.advance(20_000)
    before = (await world.status(key))["containerStatuses"][0]
    await world.start()
    await world.settle()
    assert (await world.status(key))["containerStatuses"][0] == before
