"""The one process of the control plane outside Ray: keeps the embedded head's GCS and raylet alive.

Invariants: whoever holds the lock is the keeper; a GCS or raylet that dies is started again at once (the GCS with
its storage, the raylet under a new node id); a keeper that dies harms nothing, and the next one adopts both.
Started by `raypod up`, started again by the supervisor actor, ended by `raypod down` (SIGTERM).
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import runpy
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from actors.api.node import NODE_LABEL
from actors.cluster.config import ClusterConfig, ConfigError, load_config
from actors.cluster.home import Home
from actors.cluster.machine import machine_resources
from actors.cluster.processes import Process, reap, spawn, start_ticks, stop_all, wait_exit
from actors.cluster.ray_commands import (
    AGENT_PORT_FILES,
    RaySession,
    plan_environment,
    plan_gcs,
    plan_raylet,
    plan_zygote,
)
from actors.plugins.file_lock import is_locked

RESTART_PAUSE_SECONDS = 0.05
RESTART_PAUSE_SECONDS_MAX = 5.0
#: A part that lived this long did start: the next failure is a new story.
SETTLED_SECONDS = 20.0


class KeeperState(msgspec.Struct, kw_only=True):
    """What the next keeper, `status` and `down` need to know; written whole at each change."""

    session: RaySession
    keeper: Process
    gcs: Process | None = None
    raylet: Process | None = None
    zygote: Process | None = None
    cluster_id: str = ""
    node_name: str = ""


class AlreadyKept(Exception):
    """Another keeper holds the lock."""


def read_state(home: Home) -> KeeperState | None:
    """What the last keeper wrote; None when there is nothing (readable)."""
    try:
        return msgspec.json.decode(home.state.read_bytes(), type=KeeperState, dec_hook=_decode_path)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(home: Home, state: KeeperState) -> None:
    partial = home.state.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(state, enc_hook=str))
    partial.replace(home.state)


def is_kept(home: Home) -> bool:
    """Whether a keeper lives."""
    return is_locked(str(home.lock))


def spawn_keeper(home: Home) -> None:
    """Start a keeper that outlives the caller. When another one is faster, it ends at once.

    Through a shell that ends: Ray kills the children of its workers, and the supervisor's worker is one.
    """
    home.run.mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHON")) and k != "LD_PRELOAD"}
    project = str(Path(__file__).resolve().parents[2])
    keep_command = [sys.executable, "-P", "-m", "actors.cluster", "keep", "--home", str(home.root)]
    command = ["/bin/sh", "-c", '"$@" &', "sh", *keep_command]
    environment = kept | {"PYTHONPATH": project, "RAYPOD_HOME": str(home.root), "RAYPOD_PART": part_mark(home)}
    spawn(command, environment, home.keeper_log)


def ray_environment(config: ClusterConfig, home: Home, session: RaySession) -> dict[str, str]:
    """For every process of this cluster. RAYPOD_HOME marks them, so that `down` finds each one of them."""
    environment = plan_environment(
        session,
        os.environ,
        period_ms=config.ray.death_period_ms,
        timeout_ms=config.ray.death_timeout_ms,
        threshold=config.ray.death_threshold,
    )
    return environment | {"RAYPOD_HOME": str(home.root), "RAYPOD_PART": part_mark(home)}


def part_mark(home: Home) -> str:
    """The value of RAYPOD_PART in every process of Ray and of ours that belongs to this home."""
    return str(home.root)


class Keeper:
    """`run` returns after SIGTERM, with GCS and raylet stopped."""

    def __init__(self, home: Home, config: ClusterConfig) -> None:
        self._home, self._config = home, config
        self._stopping = False
        self._started_at: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._state = self._adopt() or self._fresh()
        self._environment = ray_environment(config, home, self._state.session)

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        while not self._stopping:
            self._revive()
            wait_exit(self._parts(), 1.0)
            reap()
        stop_all(self._parts(), grace_seconds=0)

    def _parts(self) -> list[Process]:
        return [p for p in (self._state.zygote, self._state.gcs, self._state.raylet) if p is not None]

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _adopt(self) -> KeeperState | None:
        """The cluster of a keeper that died, if either part of it still lives."""
        state = read_state(self._home)
        if state is None or not any(p is not None and p.is_alive for p in (state.gcs, state.raylet)):
            return None
        state.keeper = _own_process()
        write_state(self._home, state)
        return state

    def _fresh(self) -> KeeperState:
        """A new cluster. Ray's memory of an earlier one is no use: the truth is in the store."""
        config = self._config.ray
        package, commit = installed_ray()
        session = RaySession(
            package=package,
            commit=commit,
            folder=self._home.ray,
            node_ip=config.node_ip,
            port=config.port or _free_port(config.node_ip),
            token=self._home.token,
            project=Path(__file__).resolve().parents[2],
        )
        shutil.rmtree(session.folder, ignore_errors=True)
        for folder in (session.logs, session.raylet_socket.parent, session.gcs_storage):
            folder.mkdir(parents=True, exist_ok=True)
        self._home.token.touch(mode=0o600)
        self._home.token.write_text(secrets.token_hex(32))
        state = KeeperState(session=session, keeper=_own_process(), node_name=node_name(self._config))
        write_state(self._home, state)
        return state

    def _revive(self) -> None:
        if self._state.zygote is None or not self._state.zygote.is_alive:
            self._pause("zygote")
            self._state.zygote = self._spawn(plan_zygote(self._state.session))
        if self._state.gcs is None or not self._state.gcs.is_alive:
            self._start_gcs()
        if self._state.cluster_id and (self._state.raylet is None or not self._state.raylet.is_alive):
            self._start_raylet()

    def _start_gcs(self) -> None:
        self._pause("gcs")
        self._state.gcs = self._spawn(plan_gcs(self._state.session, secrets.token_hex(28)))
        write_state(self._home, self._state)
        if not self._state.cluster_id:
            self._state.cluster_id = self._read_cluster_id()
            write_state(self._home, self._state)

    def _start_raylet(self) -> None:
        self._pause("raylet")
        session, node_id = self._state.session, secrets.token_hex(28)
        for name in AGENT_PORT_FILES:
            for stale in session.session.glob(f"{name}_*"):
                stale.unlink(missing_ok=True)
            (session.session / f"{name}_{node_id}").write_text("-1")
        for path in (session.raylet_socket, session.plasma_socket):
            path.unlink(missing_ok=True)
        command = plan_raylet(
            session,
            node_id=node_id,
            cluster_id=self._state.cluster_id,
            resources=machine_resources(self._config.ray),
            labels={**self._config.ray.labels, NODE_LABEL: self._state.node_name},
        )
        self._state.raylet = self._spawn(command)
        write_state(self._home, self._state)

    def _spawn(self, command: list[str]) -> Process:
        return spawn(command, self._environment, self._home.keeper_log)

    def _read_cluster_id(self) -> str:
        """Ask the GCS, in a process of its own: a gRPC client would double the keeper's memory."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "actors.cluster.handshake"],
            env=self._environment, capture_output=True, text=True, timeout=30, check=False, cwd="/",
        )  # fmt: skip
        _log(done.stderr.strip() if done.returncode else f"cluster {done.stdout.strip()}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def _pause(self, part: str) -> None:
        """Wait before starting a part again that keeps dying, twice as long each time."""
        now = time.monotonic()
        started = self._started_at.get(part)
        if started is None or now - started > SETTLED_SECONDS:
            self._pauses[part] = RESTART_PAUSE_SECONDS
        else:
            time.sleep(self._pauses[part])
            self._pauses[part] = min(2 * self._pauses[part], RESTART_PAUSE_SECONDS_MAX)
        if started is not None:
            _log(f"{part} died and is started again")
        self._started_at[part] = time.monotonic()


def installed_ray() -> tuple[Path, str]:
    """The folder of the ray package and the commit it was built from, without importing it (60 MB)."""
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        raise ConfigError("Ray is not installed beside raypod; run make install")
    package = Path(spec.origin).parent
    return package, str(runpy.run_path(str(package / "_version.py"))["commit"])


def node_name(config: ClusterConfig) -> str:
    """The embedded head's name as a DNS label."""
    name = config.node_name or socket.gethostname().split(".")[0]
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63] or "head"


def keep(home: Home) -> None:
    """Be the keeper until SIGTERM. Raises AlreadyKept."""
    home.run.mkdir(parents=True, exist_ok=True)
    with open(home.lock, "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyKept(str(home.root)) from None
        config = load_config(home.config if home.config.exists() else None)
        Keeper(home, config).run()


def _own_process() -> Process:
    return Process(os.getpid(), start_ticks(os.getpid()) or 0)


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _decode_path(shape: type, value: object) -> object:
    return shape(value)


def _log(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, file=sys.stderr, flush=True)  # noqa: T201
