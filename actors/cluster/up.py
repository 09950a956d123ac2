"""`raypod up`: from nothing, or from a Ray cluster, to an API that answers and nodes that are Ready.

Can be repeated at any time: what is there is kept, what is missing is started, also after an `up` that was killed
half way (the supervisor actor, once started, finishes without it). Progress goes to `tell`, one step at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.api.codec import lens
from actors.api.errors import ApiError
from actors.api.kinds import NODE
from actors.api.node import Node
from actors.cluster.attach import attached_embedded, attached_to
from actors.cluster.config import ClusterConfig, ConfigError, load_config
from actors.cluster.home import Home
from actors.cluster.keeper import KeeperState, is_kept, read_state, spawn_keeper
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.ownership import find_others
from actors.plugins.network.selection import Chosen, parse_routes, select_network
from actors.reconcile.watch import Selection

RAY_SECONDS = 30.0
READY_SECONDS = 90.0
_POLL_SECONDS = 0.02

Tell = Callable[[str], None]


class UpError(Exception):
    """The control plane did not come up. One sentence with the cure."""


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `already`: every actor was there. `seconds` by step."""

    kubeconfig: str
    url: str
    nodes: tuple[str, ...]
    address: str
    already: bool
    seconds: dict[str, float]


def bring_up(home: Home, config_file: Path | None, address: str, tell: Tell) -> Up:
    """Raises UpError, ConfigError, AttachError."""
    steps = _Steps(tell)
    home.run.mkdir(parents=True, exist_ok=True)
    home.root.chmod(0o700)
    config = _take_config(home, config_file)
    address = address or (home.attached.read_text() if home.attached.exists() else "")
    if address:
        if is_kept(home):
            raise UpError("an embedded control plane runs here already; take it down first with `raypod down`")
        with attached_to(address):
            home.attached.write_text(address)
            steps.done("attached")
            return _start(home, config, address, steps, embedded=False)
    state = _wait_ray(home)
    steps.done("ray")
    with attached_embedded(home, config, state):
        steps.done("attached")
        return _start(home, config, state.session.address, steps, embedded=True)


def effective_config(home: Home, config: ClusterConfig) -> ClusterConfig:
    """With the home and the port filled in that every actor must agree on, also those started later."""
    port_file = home.run / "gateway-port"
    port = config.gateway.port
    if port == 0:
        port = int(port_file.read_text()) if port_file.exists() else _free_port()
        port_file.write_text(str(port))
    gateway = msgspec.structs.replace(config.gateway, home=str(home.root), port=port)
    store = msgspec.structs.replace(config.store, api_port=port)
    nodelet = msgspec.structs.replace(config.nodelet, network=_take_network(home, config))
    return msgspec.structs.replace(config, gateway=gateway, store=store, nodelet=nodelet)


def known_config(home: Home) -> ClusterConfig:
    """The home's configuration with the network that its last `up` selected."""
    config = load_config(home.config if home.config.exists() else None)
    before, network = _read_chosen(home), config.nodelet.network
    network = msgspec.structs.replace(
        network,
        bridge=network.bridge or before.bridge,
        cluster_cidr=network.cluster_cidr or before.cluster_cidr,
    ).filled()
    return msgspec.structs.replace(config, nodelet=msgspec.structs.replace(config.nodelet, network=network))


def _take_network(home: Home, config: ClusterConfig) -> NetworkConfig:
    """What the configuration leaves open is selected, and stays so until `down`."""
    network = config.nodelet.network
    if config.nodelet.plugins.get("network", "bridge") != "bridge":
        return network
    routes = parse_routes(Path("/proc/net/route").read_text())
    try:
        network = select_network(network, str(home.root), find_others(str(home.root)), routes, _read_chosen(home))
    except ValueError as error:
        raise UpError(str(error)) from error
    chosen = Chosen(network.bridge, network.cluster_cidr)
    home.network.write_bytes(msgspec.json.encode(chosen))
    return network


def _read_chosen(home: Home) -> Chosen:
    try:
        return msgspec.json.decode(home.network.read_bytes(), type=Chosen)
    except (OSError, msgspec.DecodeError):
        return Chosen()


def _take_config(home: Home, config_file: Path | None) -> ClusterConfig:
    """A file that is named becomes the home's configuration, which keeper and later starts read, too."""
    if config_file is not None:
        config = effective_config(home, load_config(config_file))
        if config_file.resolve() != home.config.resolve():
            shutil.copyfile(config_file, home.config)
        return config
    if home.config.exists():
        return effective_config(home, load_config(home.config))
    return effective_config(home, _beside_others(home, load_config(None)))


def _beside_others(home: Home, config: ClusterConfig) -> ClusterConfig:
    """Where nothing is configured, and somebody else has the usual port, any free one will do."""
    port_file = home.run / "gateway-port"
    if is_kept(home) or not (port_file.exists() or _is_taken(config.gateway.port)):
        return config
    return msgspec.structs.replace(config, gateway=msgspec.structs.replace(config.gateway, port=0))


def _wait_ray(home: Home) -> KeeperState:
    """The embedded head, started if need be: its raylet's socket is there."""
    if not is_kept(home):
        _check_machine()
        spawn_keeper(home)
    deadline = time.monotonic() + RAY_SECONDS
    while time.monotonic() < deadline:
        state = read_state(home)
        if state is not None and is_kept(home) and _is_raylet_there(state):
            return state
        time.sleep(_POLL_SECONDS)
    raise UpError(f"Ray did not start within {RAY_SECONDS:.0f} s; {home.keeper_log} and {home.ray} say why")


def _is_raylet_there(state: KeeperState) -> bool:
    return state.raylet is not None and state.raylet.is_alive and state.session.raylet_socket.exists()


def _check_machine() -> None:
    free = shutil.disk_usage("/dev/shm").free
    if free < 64 << 20:
        raise UpError("/dev/shm has less than 64 MiB free, which Ray needs for shared objects; free some or enlarge it")


def _start(home: Home, config: ClusterConfig, address: str, steps: _Steps, *, embedded: bool) -> Up:
    import ray

    from actors.cluster.binding import start_actor
    from actors.cluster.sightings import read_actors, read_nodes
    from actors.cluster.topology import plan_actors

    nodes = read_nodes()
    here = ray.get_runtime_context().get_node_id()
    head = next((node.name for node in nodes if node.id == here), "")
    gateways = config.gateway.replicas
    plan = plan_actors(nodes, read_actors(), head, cpus_left=config.ray.cpus_left, gateways=gateways)
    for spec in plan.start:
        start_actor(spec, config, home, embedded)
    steps.done("actors")
    names = tuple(sorted({node.name for node in nodes if node.alive}))
    url = asyncio.run(_wait_ready(home, names, steps))
    return Up(
        kubeconfig=str(home.kubeconfig),
        url=url,
        nodes=names,
        address=address,
        already=not plan.start,
        seconds=steps.seconds,
    )


async def _wait_ready(home: Home, names: tuple[str, ...], steps: _Steps) -> str:
    """Until the gateway answers and every node is Ready; the URL of the API."""
    deadline = time.monotonic() + READY_SECONDS
    gateway = await _wait_gateway(deadline, home)
    steps.done("api")
    await _wait_nodelets(deadline, names, home)
    await _wait_nodes(deadline, names, home)
    steps.done("nodes")
    return str(gateway["url"])


async def _wait_gateway(deadline: float, home: Home) -> dict[str, Any]:
    from actors.cluster.handles import ActorCall
    from actors.cluster.topology import GATEWAY

    call, last = ActorCall(GATEWAY), "it does not answer"
    while time.monotonic() < deadline:
        try:
            health = await call.health(5_000)
        except (ApiError, TimeoutError) as error:
            last = str(error) or last
        else:
            if health["ready"]:
                return health
            last = str(health["message"]) or "it is still starting"
            if "GatewayError" in last or "PkiError" in last:
                raise UpError(last.partition(": ")[2])
        await asyncio.sleep(_POLL_SECONDS)
    raise UpError(f"the API did not answer within {READY_SECONDS:.0f} s: {last}; the logs are in {home.ray}")


async def _wait_nodelets(deadline: float, names: tuple[str, ...], home: Home) -> None:
    """Until each is ready: a Node object may still be Ready from before."""
    from actors.cluster.handles import ActorCall
    from actors.cluster.topology import NODELET_PREFIX

    for name in names:
        call, why = ActorCall(NODELET_PREFIX + name), "its nodelet does not answer"
        while True:
            with contextlib.suppress(ApiError, TimeoutError):
                health = await call.health(5_000)
                if health["ready"]:
                    break
                why = str(health["message"] or health.get("reason") or why)
            if time.monotonic() > deadline:
                raise UpError(f"the node {name} is not ready: {why}; the logs are in {home.ray}")
            await asyncio.sleep(_POLL_SECONDS)


async def _wait_nodes(deadline: float, names: tuple[str, ...], home: Home) -> None:
    from actors.cluster.handles import ray_store

    store, missing = ray_store("system:raypod-up"), set(names)
    while time.monotonic() < deadline:
        page = await store.list(Selection(resources=(NODE.resource,)))
        nodes = (lens(item, Node) for item in page.items)
        missing = set(names) - {node.metadata.name for node in nodes if node.is_ready}
        if not missing:
            return
        await store.watch(Selection(resources=(NODE.resource,)), page.revision, timeout_ms=1_000)
    raise UpError(
        f"not Ready within {READY_SECONDS:.0f} s: {', '.join(sorted(missing))}; raypod status and {home.ray} say why"
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Steps:
    """Tells each step when it is done, and keeps how long it took."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._since = tell, time.monotonic()
        self.seconds: dict[str, float] = {}

    def done(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now
        self._tell(name)


__all__ = ["ConfigError", "Up", "UpError", "bring_up", "effective_config"]
