"""The nodelet's shell over fakes: pod ranges, peers, images, facts, and the actor as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.api.codec import decode
from actors.api.errors import BadRequest, NotFound
from actors.api.images import ImageReply, ImageRequest
from actors.api.key import Key
from actors.api.logs import LogChunk, LogRequest
from actors.nodelet.actor import NodeletActor, read_clock
from actors.nodelet.config import NodeletConfig
from actors.nodelet.fake import FakeApi
from actors.nodelet.host import (
    Held,
    parse_cpu_max,
    parse_memory_total,
    parse_os_name,
    read_facts,
    read_memory_bytes,
    read_resolv_conf,
    select_held,
)
from actors.nodelet.image_desk import ImageDesk
from actors.nodelet.peers import follow_peers
from actors.nodelet.pod_range import claim_pod_cidr
from actors.plugins.device.fake import FakeDevices
from actors.plugins.device.port import Device
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import Auth, Image, ImageConfig, Progress, ProgressSink
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.network.port import Peer
from actors.plugins.registry import Plugins, PluginSettings, build_plugins
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime, Script
from actors.plugins.runtime.port import ContainerSpec
from actors.plugins.storage.fake import FakeStorage
from actors.reconcile.actions import Create, Delete, Patch
from actors.store.local import LocalStore

NETWORK = NetworkConfig(cluster_cidr="10.160.0.0/22", pod_cidr_prefix=24)


async def until(what: Any, seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while not (answer := await what()):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)
    return answer


async def register(store: LocalStore, name: str, cidr: str, address: str = "") -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDR": cidr}}
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    key = Key("nodes", "", name)
    replies = await store.commit(
        [
            Create(resource="nodes", namespace="", object=node),
            Patch(key=key, patch={"status": status}, subresource="status"),
        ]
    )
    assert not any(reply.error for reply in replies)


async def test_no_two_nodes_get_one_range() -> None:
    store = LocalStore()
    names = ["a", "b", "c", "d"]
    ranges = await asyncio.gather(*(claim_pod_cidr(store, name, NETWORK) for name in names))
    assert sorted(ranges) == [f"10.160.{i}.0/24" for i in range(4)]
    again = await asyncio.gather(*(claim_pod_cidr(store, name, NETWORK) for name in names))
    assert again == ranges, "and each keeps its own"


async def test_a_full_cluster_takes_the_range_of_a_node_that_is_gone() -> None:
    store = LocalStore()
    for name in ("a", "b", "c", "d"):
        cidr = await claim_pod_cidr(store, name, NETWORK)
        if name != "b":
            await register(store, name, cidr)
    assert await claim_pod_cidr(store, "e", NETWORK) == "10.160.1.0/24"
    await register(store, "e", "10.160.1.0/24")
    with pytest.raises(ValueError, match="no /24 is left"):
        await claim_pod_cidr(store, "f", NETWORK)


async def test_a_claim_of_another_configuration_does_not_count() -> None:
    store = LocalStore()
    assert await claim_pod_cidr(store, "a", NETWORK) == "10.160.0.0/24"
    moved = NetworkConfig(cluster_cidr="10.170.0.0/16", pod_cidr_prefix=25)
    assert await claim_pod_cidr(store, "a", moved) == "10.170.0.0/25"


async def test_the_network_hears_of_other_nodes() -> None:
    store, network = LocalStore(), FakeNetwork()
    await register(store, "a", "10.160.0.0/24", "10.0.0.1")
    following = asyncio.create_task(follow_peers(store, network))
    try:
        await until(lambda: _is(network, {"a": Peer(address="10.0.0.1", pod_cidr="10.160.0.0/24")}))
        await register(store, "b", "10.160.1.0/24", "10.0.0.2")
        await until(lambda: _names(network, {"a", "b"}))
        await store.commit([Delete(key=Key("nodes", "", "a"))])
        await until(lambda: _names(network, {"b"}))
    finally:
        following.cancel()


async def _is(network: FakeNetwork, peers: dict[str, Peer]) -> bool:
    return network.nodes == peers


async def _names(network: FakeNetwork, names: set[str]) -> bool:
    return set(network.nodes) == names


class SlowImages(FakeImages):
    """A pull that tells how far it is and waits for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        if progress is not None:
            progress(Progress("pulling", 3, 1, 100, 40))
        await self.go_on.wait()
        return await super().pull_image(reference, auth, progress)


async def test_a_pull_outlives_the_question() -> None:
    images = SlowImages()
    images.publish("app:1", ImageConfig(entrypoint=("/main",)))
    desk = ImageDesk(images)
    request = ImageRequest(verb="pull", reference="app:1", wait_ms=20)
    reply = await desk.answer(request)
    assert not reply.done and reply.progress is not None and reply.progress.bytes_done == 40
    images.go_on.set()
    reply = await desk.answer(request)
    assert reply.done and reply.images[0].tags
    assert sum(images.pulls.values()) == 1
    assert set(reply.images) < set((await desk.answer(ImageRequest(verb="list"))).images)
    await desk.answer(ImageRequest(verb="remove", reference="app:1"))
    with pytest.raises(NotFound):
        await desk.answer(ImageRequest(verb="remove", reference="app:1"))
    await desk.close()


async def test_a_pull_that_cannot_work_is_a_bad_request_each_time() -> None:
    desk = ImageDesk(FakeImages())
    for _ in range(2):
        with pytest.raises(BadRequest, match="nowhere"):
            await desk.answer(ImageRequest(verb="pull", reference="nowhere:1"))


def test_only_what_is_held_is_offered() -> None:
    devices = [Device(id=f"GPU-{i}", resource="nvidia.com/gpu", attributes={"index": 3 - i}) for i in range(4)]
    assert len(select_held(devices, Held())) == 4
    assert [d.id for d in select_held(devices, Held(gpus=("0", "GPU-1")))] == ["GPU-1", "GPU-3"]
    assert select_held(devices, Held(gpus=())) == ()


def test_what_a_machine_says_of_itself(tmp_path: Path) -> None:
    assert parse_cpu_max("150000 100000") == 1_500
    assert parse_cpu_max("max 100000") is None
    assert parse_cpu_max("") is None
    assert parse_memory_total("MemFree: 1 kB\nMemTotal:  2048 kB\n") == 2 << 20
    assert parse_os_name('ID=x\nPRETTY_NAME="Debian 13"\n') == "Debian 13"
    for path, text in {
        "proc/meminfo": "MemTotal: 1048576 kB\n",
        "sys/fs/cgroup/memory.max": "536870912\n",
        "etc/resolv.conf": "nameserver 127.0.0.53\nsearch corp\n",
        "run/systemd/resolve/resolv.conf": "nameserver 10.0.0.53\nnameserver 127.0.0.1\nsearch corp\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert read_memory_bytes(tmp_path) == 512 << 20
    assert read_resolv_conf(tmp_path) == "nameserver 10.0.0.53\nsearch corp\n"
    facts = read_facts("10.0.0.1", tmp_path, Held(cpu_millis=1_500, memory_bytes=1 << 20), "0.1", tmp_path)
    assert (facts.cpu_millis, facts.memory_bytes) == (1_500, 1 << 20)
    assert facts.storage_bytes > 0 and facts.kernel_version


def test_an_unknown_plugin_is_named(tmp_path: Path) -> None:
    settings = PluginSettings(
        root=tmp_path,
        clock=read_clock,
        images=ImagesConfig(),
        network=NetworkConfig(),
        devices=NodeletConfig().devices,
        choices={"image": "no-such"},
    )
    with pytest.raises(ValueError, match="no image 'no-such'; choose one of store"):
        build_plugins(settings)


class Node:
    """A nodelet actor over fakes that outlive it."""

    def __init__(self, state: Path, scripts: Any) -> None:
        self.state, self.store = state, LocalStore()
        self.machine, self.images, self.storage = FakeMachine(), FakeImages(), FakeStorage()
        self.network, self.devices = FakeNetwork(), FakeDevices(2)
        self.images.publish("app", ImageConfig(entrypoint=("/main",)))
        runtime = FakeRuntime(self.machine, self.images, self.network, read_clock, scripts, write_log=self._write_log)
        self.plugins = Plugins(
            runtime=runtime, images=self.images, network=self.network, storage=self.storage, devices=self.devices
        )
        self.start()

    def start(self) -> None:
        self.actor = NodeletActor(
            NodeletConfig(),
            "n1",
            str(self.state),
            self.store,
            FakeApi(read_clock),
            address="10.0.0.1",
            held=Held(),
            plugins=self.plugins,
        )
        self.running = asyncio.create_task(self.actor.run())

    async def die(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def _write_log(self, path: str, line: bytes) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("ab") as file:
            file.write(line)

    async def create(self, name: str) -> None:
        containers = [{"name": "main", "image": "app", "imagePullPolicy": "IfNotPresent"}]
        spec = {"nodeName": "n1", "restartPolicy": "Never", "containers": containers}
        spec["automountServiceAccountToken"] = False
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
        (reply,) = await self.store.commit([Create(resource="pods", namespace="default", object=pod)])
        assert reply.error is None

    async def phase(self, name: str) -> str:
        stored = await self.store.get(Key("pods", "default", name))
        return str((decode(stored).get("status") or {}).get("phase"))

    async def log(self, name: str) -> LogChunk:
        request = LogRequest(namespace="default", pod=name, container="main")
        return msgspec.msgpack.decode(await self.actor.read_log(msgspec.msgpack.encode(request)), type=LogChunk)


def chatty(spec: ContainerSpec) -> Script:
    short = spec.labels["io.kubernetes.pod.name"] == "short"
    return Script(run_ms=0 if short else FOREVER, stdout=("hello",), exit_code=4 if short else 0)


async def test_the_actor_from_start_to_teardown(tmp_path: Path) -> None:
    node = Node(tmp_path, chatty)

    async def ready() -> bool:
        return bool((await node.actor.health())["ready"])

    await until(ready)
    await node.create("long")
    await node.create("short")
    await until(lambda: _phase_is(node, "long", "Running"))
    await until(lambda: _phase_is(node, "short", "Failed"))
    chunk = await node.log("long")
    assert chunk.lines.endswith(b"stdout F hello\n") and not chunk.ended
    assert (await node.log("short")).ended
    health = await node.actor.health()
    assert (health["pods"], health["containers"], health["devices"]) == (2, 1, 2)
    blob = await node.actor.image(msgspec.msgpack.encode(ImageRequest(verb="list")))
    assert msgspec.msgpack.decode(blob, type=ImageReply).images
    await node.actor.teardown()
    await node.running
    assert not (node.machine.sandboxes or node.machine.containers or node.network.leases)
    assert (await node.log("short")).lines, "logs stay"


async def test_what_the_pods_network_lacks_is_a_condition_of_the_node(tmp_path: Path) -> None:
    node = Node(tmp_path, chatty)
    warned = ("this host has no default route: pods reach nodes and pods, nothing beyond", "x" * 5_000)
    node.network.warnings = warned

    async def condition() -> dict[str, str]:
        with contextlib.suppress(NotFound):
            found = decode(await node.store.get(Key("nodes", "", "n1"))).get("status") or {}
            return next((c for c in found.get("conditions") or () if c["type"] == "NetworkUnavailable"), {})
        return {}

    await until(condition)
    told = await condition()
    assert (told["status"], told["reason"]) == ("False", "PodNetworkLimited")
    assert told["message"].startswith(f"{warned[0]}; xxx") and len(told["message"]) == 1_024
    await node.die()
    node.network.warnings = ()
    node.start()

    async def is_well() -> bool:
        return (await condition())["reason"] == "PodNetworkReady"

    await until(is_well)
    assert (await condition())["message"] == "the network of the pods is set up"
    await node.actor.teardown()


async def test_a_new_actor_adopts_and_hears_of_a_sick_device(tmp_path: Path) -> None:
    node = Node(tmp_path, chatty)
    await until(lambda: _created(node, "long"))
    await until(lambda: _phase_is(node, "long", "Running"))
    started = node.machine.pids
    for _ in range(3):
        await node.die()
        node.start()
        await asyncio.sleep(0.05)
    node.devices.set_health("GPU-fake-0001", False, "XID 79: the GPU has fallen off the bus")

    async def sick() -> bool:
        found = decode(await node.store.get(Key("nodes", "", "n1")))
        return bool(found["status"]["allocatable"]["nvidia.com/gpu"] == "1")

    await until(sick)
    assert node.machine.pids == started
    assert await node.phase("long") == "Running"
    await node.actor.teardown()


async def _created(node: Node, name: str) -> bool:
    await node.create(name)
    return True


async def _phase_is(node: Node, name: str, phase: str) -> bool:
    return await node.phase(name) == phase
