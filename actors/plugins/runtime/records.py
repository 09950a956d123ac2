"""What the runtime itself keeps as files: the specs, on disk, and what became of a sandbox since boot, on the tmpfs.

Decoded ones are remembered by the file's identity: files are the truth, memory only spares reading them again.
"""

from __future__ import annotations

import os
import time
from typing import TypeVar

import msgspec

from actors.api.clock import Millis
from actors.plugins.runtime.layout import Layout
from actors.plugins.runtime.port import ContainerSpec, Sandbox, SandboxSpec, SandboxState

T = TypeVar("T")


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    spec: SandboxSpec
    created_at_ms: Millis


class SandboxProgress(msgspec.Struct, frozen=True, kw_only=True):
    """`ready` once namespaces and network are made. Gone after a reboot, as they are."""

    ips: tuple[str, ...] = ()
    ready: bool = False
    stopped: bool = False


class Records:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._memory: dict[str, tuple[tuple[int, int], object]] = {}

    def write_sandbox(self, record: SandboxRecord) -> None:
        directory = self._layout.sandbox(record.spec.id)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _replace(f"{directory}/sandbox.json", record)

    def read_sandbox(self, sandbox_id: str) -> SandboxRecord | None:
        return self._read(f"{self._layout.sandbox(sandbox_id)}/sandbox.json", SandboxRecord)

    def write_progress(self, sandbox_id: str, progress: SandboxProgress) -> None:
        _replace(f"{self._layout.sandbox_run(sandbox_id)}/state.json", progress)

    def read_progress(self, sandbox_id: str) -> SandboxProgress | None:
        return self._read(f"{self._layout.sandbox_run(sandbox_id)}/state.json", SandboxProgress)

    def list_sandboxes(self) -> list[Sandbox]:
        records = [self.read_sandbox(name) for name in _names(f"{self._layout.root}/sandboxes")]
        return [self.format_sandbox(record) for record in records if record is not None]

    def format_sandbox(self, record: SandboxRecord) -> Sandbox:
        progress = self.read_progress(record.spec.id) or SandboxProgress()
        state = SandboxState.READY if progress.ready and not progress.stopped else SandboxState.NOT_READY
        return Sandbox(spec=record.spec, state=state, ips=progress.ips, created_at_ms=record.created_at_ms)

    def discard_sandbox(self, sandbox_id: str) -> None:
        self._memory.pop(f"{self._layout.sandbox_run(sandbox_id)}/state.json", None)
        self._discard(self._layout.sandbox(sandbox_id), "sandbox.json")

    def write_container(self, spec: ContainerSpec) -> None:
        directory = self._layout.container(spec.id)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _replace(f"{directory}/spec.json", spec)

    def read_container(self, container_id: str) -> ContainerSpec | None:
        return self._read(f"{self._layout.container(container_id)}/spec.json", ContainerSpec)

    def list_containers(self) -> list[ContainerSpec]:
        specs = (self.read_container(name) for name in _names(f"{self._layout.root}/containers"))
        return [spec for spec in specs if spec is not None]

    def discard_container(self, container_id: str) -> None:
        self._discard(self._layout.container(container_id), "spec.json")

    def _read(self, path: str, shape: type[T]) -> T | None:
        try:
            found = os.stat(path)
            identity = (found.st_ino, found.st_mtime_ns)
            known = self._memory.get(path)
            if known is not None and known[0] == identity and isinstance(known[1], shape):
                return known[1]
            with open(path, "rb") as file:
                value = msgspec.json.decode(file.read(), type=shape)
        except (OSError, msgspec.DecodeError):
            self._memory.pop(path, None)
            return None
        self._memory[path] = (identity, value)
        return value

    def _discard(self, directory: str, name: str) -> None:
        """Out of sight at once; deleting the files can wait in the trash."""
        self._memory.pop(f"{directory}/{name}", None)
        os.makedirs(self._layout.trash, mode=0o700, exist_ok=True)
        try:
            os.rename(directory, f"{self._layout.trash}/{os.path.basename(directory)}.{time.time_ns()}")
        except FileNotFoundError:
            return


def _replace(path: str, value: object) -> None:
    with open(f"{path}.new", "wb") as file:
        file.write(msgspec.json.encode(value))
    os.rename(f"{path}.new", path)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
