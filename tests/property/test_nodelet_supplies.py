"""What a pod is given before and while it runs: images, configuration, volumes, devices, tokens."""

from __future__ import annotations

from nodelet_world import World, make_container

from actors.nodelet.operations import PullImage
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImageConfig


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


async def test_a_slow_pull_tells_how_far_it_is() -> None:
    world = World()
    await world.start()
    await world.create("a")
    pull = await world.begin(PullImage)
    world.core.progressed(pull, "pulling: 12 of 340 MiB, layer 2 of 5")
    writes = world.core.decide(world.now)
    assert "12 of 340 MiB" in str(writes)


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
