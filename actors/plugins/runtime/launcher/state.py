"""Containers as files: plan and state on the node's tmpfs, the final state also on disk. See `layout`.

A state is replaced atomically. Nothing is synced: a container never outlives the machine's boot.
"""

from __future__ import annotations

import json
import os
import sys

from actors.plugins.runtime.layout import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from actors.plugins.runtime.launcher.plan import Plan, State

_STATE, _PLAN, _EXIT, _EXITED = "state.json", "plan.json", "exit.json", "exited.json"


def read_start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none. Pids are reused, this is not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == b"X" else int(fields[19])


class StateFiles:
    """The containers of one node."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def ids(self) -> list[str]:
        """Every container that has a plan since boot, or has exited before."""
        found = _names(f"{self.layout.run}/containers") | _names(f"{self.layout.root}/containers")
        return sorted(found)

    def make_directories(self, container_id: str) -> None:
        for path in (self.layout.container(container_id), self.layout.container_run(container_id)):
            make_directory(path)

    def write_state(self, state: State) -> None:
        _replace(f"{self.layout.container_run(state['id'])}/{_STATE}", state)

    def write_exited(self, state: State) -> None:
        """On disk first: the exit code is what a reboot must not take. Then for the launcher.

        A full disk, or somebody who deleted the directory, must not keep the launcher from its other containers.
        """
        try:
            _write(f"{self.layout.container(state['id'])}/{_EXITED}", state)
        except OSError as error:
            print(f"the exit of {state['id']} is not on disk: {error}", file=sys.stderr, flush=True)  # noqa: T201
        try:
            self.write_state(state)
        except OSError as error:
            print(f"the exit of {state['id']} is not on record: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def read_state(self, container_id: str) -> State | None:
        found: State | None = _read(f"{self.layout.container_run(container_id)}/{_STATE}")
        return found or _read(f"{self.layout.container(container_id)}/{_EXITED}")

    def write_plan(self, plan: Plan) -> None:
        _write(f"{self.layout.container_run(plan['id'])}/{_PLAN}", plan)

    def read_plan(self, container_id: str) -> Plan | None:
        found: Plan | None = _read(f"{self.layout.container_run(container_id)}/{_PLAN}")
        return found

    def write_exit(self, container_id: str, code: int, at_ms: int) -> None:
        """What the supervisor reaped while no worker was there to ask."""
        if os.path.isdir(self.layout.container_run(container_id)):
            _replace(f"{self.layout.container_run(container_id)}/{_EXIT}", [code, at_ms])

    def read_exit(self, container_id: str) -> tuple[int, int] | None:
        found = _read(f"{self.layout.container_run(container_id)}/{_EXIT}")
        return (found[0], found[1]) if found else None

    def forget(self, container_id: str) -> None:
        """Its directory on disk stays, for the runtime to delete."""
        remove_tree(self.layout.container_run(container_id))
        try:
            os.unlink(f"{self.layout.container(container_id)}/{_EXITED}")
        except FileNotFoundError:
            return


def make_directory(path: str, mode: int = 0o700) -> None:
    """Like os.makedirs, but one system call where the parent is there."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(path, mode, exist_ok=True)


def remove_tree(directory: str) -> None:
    """A small tree of ours; nothing of a container's is in it."""
    for name in _names(directory):
        path = f"{directory}/{name}"
        if os.path.isdir(path):
            remove_tree(path)
        else:
            os.unlink(path)
    if os.path.isdir(directory):
        os.rmdir(directory)


def _names(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _replace(path: str, value: Any) -> None:
    _write(f"{path}.new", value)
    os.rename(f"{path}.new", path)


def _write(path: str, value: Any) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(value).encode())
    finally:
        os.close(fd)


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
