"""`raypod down`: everything that `up` and the pods brought is gone: containers, mounts, cgroups, links, processes.

What stays under the home: configuration, certificates, the store's log, images, container logs. Works on whatever is
left of a control plane, and says so when nothing is.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from actors.api.errors import ApiError
from actors.cluster.attach import AttachError, attached_embedded, attached_to
from actors.cluster.config import load_config
from actors.cluster.home import Home
from actors.cluster.keeper import KeeperState, is_kept, part_mark, read_state
from actors.cluster.processes import find_processes, stop_all
from actors.cluster.up import known_config

TEARDOWN_MS = 60_000
#: For a nodelet that is just being started again, or whose node is gone.
AWAY_MS = 8_000
_NAP_SECONDS = 0.2

Tell = Callable[[str], None]


class DownError(Exception):
    """Something is left. One sentence with the cure."""


class Down(msgspec.Struct, frozen=True, kw_only=True):
    """`was_up` False: there was nothing to take down."""

    was_up: bool
    nodes: tuple[str, ...] = ()
    #: What was ended by force, in sentences: nodes whose launcher could not do it. Absent when there was none.
    swept: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def take_down(home: Home, address: str, tell: Tell) -> Down:
    """Raises DownError, AttachError (only with `address`)."""
    known = home.attached.read_text() if home.attached.exists() else ""
    if address or known:
        with contextlib.nullcontext() if address else contextlib.suppress(AttachError), attached_to(address or known):
            ended = asyncio.run(_end_actors(tell))
            _forget(home)
            return Down(was_up=bool(ended), nodes=ended)
    state = read_state(home)
    was_up = is_kept(home) or (state is not None and _is_running(state))
    nodes: tuple[str, ...] = ()
    if state is not None and _is_running(state):
        config = load_config(home.config if home.config.exists() else None)
        with contextlib.suppress(AttachError), attached_embedded(home, config, state):
            nodes = asyncio.run(_end_actors(tell))
    _end_processes(home)
    tell("processes")
    swept = _clean_nodes(home, set(nodes))
    _forget(home)
    tell("done")
    return Down(was_up=was_up, nodes=nodes, swept=swept or msgspec.UNSET)


def _is_running(state: KeeperState) -> bool:
    return any(part is not None and part.is_alive for part in (state.gcs, state.raylet))


async def _end_actors(tell: Tell) -> tuple[str, ...]:
    """Names of the nodes that were torn down. First the supervisor, which would start everything again."""
    from actors.cluster.sightings import read_actors
    from actors.cluster.topology import NODELET_PREFIX, SUPERVISOR

    actors = [actor for actor in await asyncio.to_thread(read_actors) if not actor.is_dead]
    actors.sort(key=lambda actor: actor.name != SUPERVISOR)
    if any(actor.name == SUPERVISOR for actor in actors):
        await asyncio.to_thread(_kill, SUPERVISOR)
    nodelets = sorted((a for a in actors if a.name.startswith(NODELET_PREFIX)), key=lambda actor: actor.name)
    names = [nodelet.name for nodelet in nodelets]
    waits = [TEARDOWN_MS if nodelet.state == "ALIVE" else AWAY_MS for nodelet in nodelets]
    done = await asyncio.gather(*map(_tear_down, names, waits))
    tell("containers")
    for actor in actors:
        await asyncio.to_thread(_kill, actor.name)
    return tuple(name.removeprefix(NODELET_PREFIX) for name, ok in zip(names, done, strict=True) if ok)


async def _tear_down(name: str, timeout_ms: int) -> bool:
    from actors.cluster.handles import ActorCall

    try:
        await ActorCall(name).call(timeout_ms, "teardown")
    except (ApiError, TimeoutError):
        return False
    return True


def _kill(name: str) -> None:
    import ray

    from actors.cluster.topology import RAY_NAMESPACE

    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(name, RAY_NAMESPACE), no_restart=True)


def _end_processes(home: Home) -> None:
    """The keeper first: it would start the others again. Then all that carry this home's mark."""
    state = read_state(home)
    if state is not None:
        stop_all([state.keeper], grace_seconds=5)
        stop_all([p for p in (state.zygote, state.raylet, state.gcs) if p is not None], grace_seconds=0)
    for _ in range(10):
        left = find_processes(f"RAYPOD_PART={part_mark(home)}")
        if not left:
            return
        for process in left:
            process.signal(signal.SIGKILL)
        stop_all(left, grace_seconds=_NAP_SECONDS)
    raise DownError(f"processes {', '.join(str(p.pid) for p in left)} cannot be killed; look at them with ps")


def _clean_nodes(home: Home, done: set[str]) -> tuple[str, ...]:
    """Nodes of this machine whose nodelet could not do it itself, torn down from here. Answers what was done by force;
    raises DownError for what resists that, too.
    """
    from actors.plugins.runtime.sweep import has_remains

    names = sorted(folder.name for folder in home.nodes.glob("*") if folder.is_dir() and folder.name not in done)
    remaining = [name for name in names if has_remains(home.nodes / name)]
    return tuple(_sweep_node(home, name) for name in remaining if not _clean_node(home, name))


def _clean_node(home: Home, name: str) -> bool:
    from actors.cluster.handles import RayApi
    from actors.nodelet.actor import NodeletActor
    from actors.store.local import LocalStore
    from actors.store.sealing.backend import open_sealed

    try:
        config = known_config(home)
        store = LocalStore(open_sealed(home.store, config.store.encryption_file, str(home.root)))
        actor = NodeletActor(config.nodelet, name, str(home.nodes / name), store, RayApi())
        asyncio.run(asyncio.wait_for(actor.teardown(), TEARDOWN_MS / 1000))
    except Exception as error:
        sys.stderr.write(f"node {name}: {type(error).__name__}: {error}\n")
        return False
    return True


def _sweep_node(home: Home, name: str) -> str:
    """Without its launcher. What was done, in a sentence."""
    from actors.plugins.runtime.sweep import sweep

    root = home.nodes / name
    swept = sweep(root)
    try:
        asyncio.run(_tear_down_plugins(home, root))
    except Exception as error:
        sys.stderr.write(f"node {name}: {type(error).__name__}: {error}\n")
        raise DownError(f"the network of node {name} could not be removed: {error}; run `raypod down` again") from error
    if swept.left:
        raise DownError(f"of the node {name} is left, and resists: {', '.join(swept.left)}; run `raypod down` again")
    return f"the launcher of node {name} did not answer, so its containers were ended without it: {swept}"


async def _tear_down_plugins(home: Home, root: Path) -> None:
    """Network and volumes."""
    from actors.nodelet.actor import read_clock
    from actors.plugins.registry import PluginSettings, build_plugins

    config = known_config(home).nodelet
    plugins = build_plugins(
        PluginSettings(
            root=root,
            clock=read_clock,
            images=config.images,
            network=config.network,
            devices=config.devices,
            choices=config.plugins,
        )
    )
    for uid in await plugins.storage.published():
        await plugins.storage.unpublish_volumes(uid)
    await plugins.network.teardown()


def _forget(home: Home) -> None:
    for folder in {home.run, home.ray}:
        shutil.rmtree(folder, ignore_errors=True)


def nothing_left(home: Home) -> list[str]:
    """What of this home is still on the machine, in words: processes and mounts. For tests and examples."""
    processes = [f"process {p.pid}" for p in find_processes(f"RAYPOD_PART={part_mark(home)}")]
    return processes + [f"mount {mount}" for mount in _mounts_under(home.root)]


def _mounts_under(folder: Path) -> list[str]:
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]
