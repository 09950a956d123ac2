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
from actors.cluster.processes import find_processes, is_locked, stop_all

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
    left = _clean_nodes(home, set(nodes))
    if left:
        raise DownError(f"the node {', '.join(left)} was not cleaned up; run `raypod up` and `raypod down` once more")
    _forget(home)
    tell("done")
    return Down(was_up=was_up, nodes=nodes)


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


def _clean_nodes(home: Home, done: set[str]) -> list[str]:
    """Nodes of this machine whose nodelet could not do it itself, torn down from here; those that still resist."""
    names = sorted(folder.name for folder in home.nodes.glob("*") if folder.is_dir() and folder.name not in done)
    return [name for name in names if _has_remains(home.nodes / name) and not _clean_node(home, name)]


def _has_remains(node: Path) -> bool:
    """A launcher that lives, or mounts."""
    return is_locked(node / "launcher.lock") or bool(_mounts_under(node))


def _clean_node(home: Home, name: str) -> bool:
    from actors.nodelet.actor import NodeletActor
    from actors.store.backend.sqlite import SqliteBackend
    from actors.store.local import LocalStore

    config = load_config(home.config if home.config.exists() else None)
    store = LocalStore(SqliteBackend(str(home.store)))
    actor = NodeletActor(config.nodelet, name, str(home.nodes / name), store)
    try:
        asyncio.run(asyncio.wait_for(actor.teardown(), TEARDOWN_MS / 1000))
    except Exception as error:
        sys.stderr.write(f"node {name}: {type(error).__name__}: {error}\n")
        return False
    return True


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
