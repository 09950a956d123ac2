"""Containers on disk: `<root>/containers/<id>/` with plan.json and state.json, each replaced atomically.

Not synced: a container never outlives the machine's boot, so its state need not either.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from actors.plugins.runtime.launcher.plan import Plan, State

STATE, PLAN, EXIT = "state.json", "plan.json", "exit.json"


def read_boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def read_start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none. Pids are reused, this is not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == b"X" else int(fields[19])


class Directory:
    """The containers of one node."""

    def __init__(self, root: str) -> None:
        self.path = f"{root}/containers"

    def of(self, container_id: str) -> str:
        return f"{self.path}/{container_id}"

    def ids(self) -> list[str]:
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []

    def write_state(self, state: State) -> None:
        _write(f"{self.of(state['id'])}/{STATE}", state)

    def read_state(self, container_id: str) -> State | None:
        found: State | None = _read(f"{self.of(container_id)}/{STATE}")
        return found

    def write_plan(self, plan: Plan) -> None:
        _write(f"{self.of(plan['id'])}/{PLAN}", plan)

    def read_plan(self, container_id: str) -> Plan | None:
        found: Plan | None = _read(f"{self.of(container_id)}/{PLAN}")
        return found

    def write_exit(self, container_id: str, wait_status: int, at_ms: int) -> None:
        """What the supervisor reaped while no worker was there to ask."""
        if os.path.isdir(self.of(container_id)):
            _write(f"{self.of(container_id)}/{EXIT}", [wait_status, at_ms])

    def read_exit(self, container_id: str) -> tuple[int, int] | None:
        found = _read(f"{self.of(container_id)}/{EXIT}")
        return (found[0], found[1]) if found else None

    def forget(self, container_id: str) -> None:
        for name in (STATE, PLAN, EXIT):
            try:
                os.unlink(f"{self.of(container_id)}/{name}")
            except FileNotFoundError:
                continue


def _write(path: str, value: Any) -> None:
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(value).encode())
    finally:
        os.close(fd)
    os.rename(temporary, path)


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
