"""The lives of pods on a node, told from outside: what users see, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
from nodelet_world import NODE, World, make_container

from actors.api.codec import decode
from actors.api.key import Key
from actors.nodelet.operations import CreateContainer, PullImage, StartContainer, StopContainer
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import ContainerSpec
from actors.reconcile.actions import Reply
from actors.reconcile.watch import WatchEvent


def statuses_of(event: WatchEvent) -> list[dict[str, Any]]:
    return list(decode(event.stored)["status"].get("containerStatuses", ()))


def conditions(status: dict) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status["conditions"]}


async def test_a_pod_runs_and_is_deleted_without_a_trace() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.160.0.")
    assert status["hostIP"] == "10.0.0.1"
    assert set(conditions(status).values()) == {"True"}
    main = status["containerStatuses"][0]
    assert main["containerID"].startswith("raypod://") and main["ready"] and main["restartCount"] == 0
    await world.delete(key)
    await world.settle()
    assert await world.get(key) is None
    assert world.is_clean()
    assert {"Pulling", "Pulled", "Created", "Started", "Killing"} <= set(await world.events())


async def test_success_is_final_and_frees_the_node() -> None:
    world = World(lambda spec: Script(run_ms=5_000, message="42"))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.advance(6_000)
    status = await world.status(key)
    assert status["phase"] == "Succeeded"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (0, "Completed", "42")
    assert conditions(status)["Ready"] == "False"
    assert world.is_clean()
    revision = world.store.revision
    await world.settle()
    await world.start()
    await world.settle()
    after = await world.status(key)
    assert after == status, "a new nodelet says the same"
    assert world.store.revision - revision <= 3, "and writes only its heartbeat"


async def test_failure_keeps_the_exit_code() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=3))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.advance(2_000)
    status = await world.status(key)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def test_a_crash_loop_backs_off_as_kubelet_does() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=1))
    await world.start()
    key = await world.create("a")
    await world.advance(1_000)
    starts = [s.started_at_ms for s in world.machine.containers.values()]
    assert len(starts) == 2, "the first restart is at once"
    await world.advance(2_000)
    assert (await world.state(key))["waiting"]["reason"] == "CrashLoopBackOff"
    entry = (await world.status(key))["containerStatuses"][0]
    assert entry["lastState"]["terminated"]["exitCode"] == 1
    assert (await world.status(key))["phase"] == "Running"
    await world.advance(620_000)
    created = [op.spec.attempt for op in world.performed if isinstance(op, CreateContainer)]
    assert created == list(range(8)), "after 0, 10, 20, 40, 80, 160 and 300 s"
    assert len(world.machine.containers) == 2, "older attempts are removed"
    assert "BackOff" in await world.events()


async def test_back_off_survives_the_nodelet() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=1))
    await world.start()
    key = await world.create("a")
    await world.advance(20_000)
    before = (await world.status(key))["containerStatuses"][0]
    await world.start()
    await world.settle()
    assert (await world.status(key))["containerStatuses"][0] == before


async def test_an_image_that_is_not_to_be_had() -> None:
    world = World()
    await world.start()
    key = await world.create("a", containers=[make_container(image="missing")])
    await world.settle()
    assert (await world.state(key))["waiting"]["reason"] == "ErrImagePull"
    await world.advance(3_000)
    assert (await world.state(key))["waiting"]["reason"] == "ImagePullBackOff"
    world.images.publish("missing", ImageConfig(entrypoint=("/main",)))
    await world.advance(10_000)
    assert (await world.status(key))["phase"] == "Running"


async def test_a_pull_policy_of_never_finds_an_image_that_is_loaded_later() -> None:
    world = World()
    await world.start()
    key = await world.create("a", containers=[make_container(imagePullPolicy="Never")])
    await world.advance(5_000)
    assert (await world.state(key))["waiting"]["reason"] == "ErrImageNeverPull"
    await world.images.pull_image("app")
    world.images.pulls.clear()
    await world.advance(60_000)
    assert (await world.status(key))["phase"] == "Running"
    assert world.images.pulls == {}


async def test_configuration_that_comes_late() -> None:
    world = World()
    await world.start()
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}}]
    key = await world.create("a", containers=[make_container(env=env)])
    await world.settle()
    waiting = (await world.state(key))["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert "settings" in waiting["message"]
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
    await world.create_object(settings | {"data": {"colour": "blue"}}, "configmaps")
    await world.advance(5_000)
    assert (await world.status(key))["phase"] == "Running"
    (spec,) = [c.spec for c in world.machine.containers.values()]
    assert spec.env["COLOUR"] == "blue"


async def test_a_config_map_that_changes_changes_the_files_of_its_volume() -> None:
    world = World()
    await world.start()
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
    other = await world.create_object(settings | {"data": {"colour": "blue"}}, "configmaps")
    mounts = [{"name": "v", "mountPath": "/etc/app"}]
    volumes = [{"name": "v", "configMap": {"name": "settings"}}]
    await world.create("a", containers=[make_container(volumeMounts=mounts)], volumes=volumes)
    await world.settle()
    (published,) = world.storage.volumes.values()
    assert published["v"].files == {"colour": (b"blue", 0o644)}
    await world.patch(other, {"data": {"colour": "red"}})
    await world.advance(61_000)
    (published,) = world.storage.volumes.values()
    assert published["v"].files == {"colour": (b"red", 0o644)}
    (status,) = world.machine.containers.values()
    assert status.spec.mounts[0].container_path == "/etc/app"


async def test_a_volume_that_fails_is_tried_again() -> None:
    world = World()
    await world.start()
    full = PluginError("storage", "publish_volume", "FailedMount", "the disk is full: free some space")
    world.storage.faults["v"] = full
    mounts = [{"name": "v", "mountPath": "/data"}]
    volumes = [{"name": "v", "emptyDir": {}}]
    key = await world.create("a", containers=[make_container(volumeMounts=mounts)], volumes=volumes)
    await world.settle()
    assert "FailedMount" in await world.events()
    assert (await world.state(key))["waiting"]["reason"] == "ContainerCreating"
    world.storage.faults.clear()
    await world.advance(1_000)
    assert (await world.status(key))["phase"] == "Running"


async def test_no_such_command() -> None:
    world = World(lambda spec: Script(start_error=127))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Failed"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (127, "StartError")


async def test_init_containers_run_in_order_and_sidecars_stay() -> None:
    order: list[str] = []

    def script(spec: ContainerSpec) -> Script:
        if spec.name not in order:
            order.append(spec.name)
        return Script(run_ms=FOREVER if spec.name == "proxy" else 1_000)

    world = World(script)
    await world.start()
    init = [make_container("one"), make_container("proxy", restartPolicy="Always"), make_container("two")]
    key = await world.create("a", restartPolicy="Never", initContainers=init)
    await world.settle()
    assert (await world.state(key))["waiting"]["reason"] == "PodInitializing"
    assert conditions(await world.status(key))["Initialized"] == "False"
    await world.advance(1_500)
    assert order == ["one", "proxy", "two"]
    await world.advance(1_000)
    assert (await world.status(key))["phase"] == "Running"
    assert conditions(await world.status(key))["Initialized"] == "True"
    await world.advance(1_000)
    assert order == ["one", "proxy", "two", "main"]
    assert (await world.status(key))["phase"] == "Succeeded"
    assert [op.name for op in world.performed if isinstance(op, StopContainer)] == ["proxy"]
    assert world.is_clean()


async def test_an_init_container_that_fails_for_good() -> None:
    world = World(lambda spec: Script(exit_code=2))
    await world.start()
    key = await world.create("a", restartPolicy="Never", initContainers=[make_container("one")])
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 2
    assert world.is_clean()


async def test_the_deadline() -> None:
    world = World()
    await world.start()
    key = await world.create("a", restartPolicy="Never", activeDeadlineSeconds=30)
    await world.advance(29_000)
    assert (await world.status(key))["phase"] == "Running"
    await world.advance(2_000)
    status = await world.status(key)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.is_clean()


async def test_what_does_not_fit_is_refused_with_kubelets_words() -> None:
    world = World()
    await world.start()
    big = make_container(resources={"requests": {"cpu": "3"}})
    first = await world.create("a", containers=[big])
    second = await world.create("b", containers=[big])
    await world.settle()
    assert (await world.status(first))["phase"] == "Running"
    status = await world.status(second)
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    await world.start()
    await world.settle()
    assert (await world.status(first))["phase"] == "Running", "who was admitted stays"
    assert (await world.status(second))["phase"] == "Failed"


async def test_a_field_that_nobody_carries_out_is_refused_or_reported() -> None:
    world = World()
    await world.start()
    refused = await world.create("a", hostUsers=False)
    probe = {"httpGet": {"path": "/", "port": 80}}
    reported = await world.create("b", containers=[make_container(livenessProbe=probe)])
    await world.settle()
    status = await world.status(refused)
    assert (status["phase"], status["reason"]) == ("Failed", "UnsupportedField")
    assert "spec.hostUsers" in status["message"]
    assert (await world.status(reported))["phase"] == "Running"
    assert (await world.events()).count("UnsupportedField") == 2


async def test_exactly_the_devices_that_the_scheduler_chose() -> None:
    world = World(gpus=4)
    await world.start()
    gpu = make_container(resources={"limits": {"nvidia.com/gpu": "2"}})
    chosen = '{"main": {"nvidia.com/gpu": ["GPU-fake-0001", "GPU-fake-0003"]}}'
    key = await world.create("a", containers=[gpu], metadata={"annotations": {"raypod.io/devices": chosen}})
    unplaced = await world.create("b", containers=[gpu])
    clash = await world.create("c", containers=[gpu], metadata={"annotations": {"raypod.io/devices": chosen}})
    plain = await world.create("d")
    await world.settle()
    assert (await world.status(key))["phase"] == "Running"
    by_pod = {c.spec.labels["io.kubernetes.pod.name"]: c.spec.devices for c in world.machine.containers.values()}
    assert [node.path for node in by_pod["a"].nodes] == ["/dev/nvidia1", "/dev/nvidia3"]
    assert by_pod["d"].env == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert (await world.status(plain))["phase"] == "Running"
    assert (await world.status(unplaced))["reason"] == "UnexpectedAdmissionError"
    assert (await world.status(clash))["reason"] == "OutOfnvidia.com/gpu" or "in use" in (
        await world.status(clash)
    ).get("message", "")


async def test_a_shorter_grace_overtakes_a_longer_one() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    await world.delete(key, 300)
    batch = await world.store.watch(world.core.selection(), world.revision, 0)
    world.core.observe(batch, world.now)
    (slow,) = [op for op in world.core.operations(world.now) if isinstance(op, StopContainer)]
    await world.delete(key, 1)
    batch = await world.store.watch(world.core.selection(), batch.revision, 0)
    world.core.observe(batch, world.now)
    (fast,) = [op for op in world.core.operations(world.now) if isinstance(op, StopContainer)]
    assert (slow.grace_ms, fast.grace_ms) == (300_000, 1_000)


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


async def test_a_pod_that_is_given_another_image_runs_it() -> None:
    world = World()
    world.images.publish("newer", ImageConfig(entrypoint=("/main",)))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.settle()
    await world.patch(key, {"spec": {"containers": [make_container(image="newer")]}})
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Running"
    entry = status["containerStatuses"][0]
    assert (entry["image"], entry["restartCount"]) == ("newer", 1)
    await world.start()
    await world.settle()
    assert (await world.status(key))["containerStatuses"][0] == entry


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


async def test_a_slow_pull_tells_how_far_it_is() -> None:
    world = World()
    await world.start()
    await world.create("a")
    pull = await world.begin(PullImage)
    world.core.progressed(pull, "pulling: 12 of 340 MiB, layer 2 of 5")
    writes = world.core.decide(world.now)
    assert "12 of 340 MiB" in str(writes)


async def test_how_a_pod_ended_stays_when_its_container_never_started() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.begin(StartContainer)
    before = world.store.revision
    await world.delete(key, 5)
    await world.start()
    await world.settle()
    told = await world.store.watch(world.core.selection(), before, 0)
    states = [entry["state"] for event in told.events for entry in statuses_of(event)]
    ends = [state.get("terminated", {}).get("exitCode") for state in states]
    assert 137 in ends
    assert set(ends[ends.index(137) :]) == {137}
    assert world.is_clean()


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


async def test_tokens_are_fetched_before_a_pod_starts_and_renewed_while_it_runs() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    files = token_files(world)
    assert files["token"] == (b"/default/default/a/1", 0o644)
    assert (files["ca.crt"], files["namespace"]) == ((b"PEM", 0o644), (b"default", 0o644))
    await world.advance(2_870_000)
    assert token_files(world)["token"][0] == b"/default/default/a/1"
    await world.advance(20_000)
    assert token_files(world)["token"][0] == b"/default/default/a/2"
    assert "running" in await world.state(key)


def token_files(world: World) -> dict[str, tuple[bytes, int]]:
    (published,) = world.storage.volumes.values()
    (request,) = (r for r in published.values() if r.source_type == "projected")
    return request.files


async def test_labels_that_change_change_the_files_that_show_them() -> None:
    world = World()
    await world.start()
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    key = await world.create("a", volumes=[{"name": "v", "downwardAPI": {"items": items}}])
    await world.settle()
    await world.patch(key, {"metadata": {"labels": {"colour": "red"}}})
    await world.settle()
    (published,) = world.storage.volumes.values()
    assert published["v"].files["labels"][0] == b'colour="red"'
