"""Specs on disk, each file replaced atomically: `sandboxes/<id>/sandbox.json`, `containers/<id>/spec.json`.

Decoded ones are remembered by the file's identity: files are the truth, memory only spares reading them again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from actors.api.clock import Millis
from actors.plugins.runtime.launcher.state import read_boot_id
from actors.plugins.runtime.port import ContainerSpec, Sandbox, SandboxSpec, SandboxState

T = TypeVar("T")


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`ready` once namespaces and network are made; `boot` tells whether they can still be there."""

    spec: SandboxSpec
    created_at_ms: Millis
    ips: tuple[str, ...] = ()
    ready: bool = False
    stopped: bool = False
    boot: str = ""


class Records:
    def __init__(self, root: str) -> None:
        self._root = root
        self._boot = read_boot_id()
        self._memory: dict[str, tuple[tuple[int, int], object]] = {}

    def sandbox_dir(self, sandbox_id: str) -> str:
        return f"{self._root}/sandboxes/{sandbox_id}"

    def container_dir(self, container_id: str) -> str:
        return f"{self._root}/containers/{container_id}"

    def write_sandbox(self, record: SandboxRecord) -> None:
        record = msgspec.structs.replace(record, boot=self._boot)
        self._write(f"{self.sandbox_dir(record.spec.id)}/sandbox.json", record)

    def read_sandbox(self, sandbox_id: str) -> SandboxRecord | None:
        """After a reboot its namespaces are gone: then it is neither ready nor to be made again."""
        record = self._read(f"{self.sandbox_dir(sandbox_id)}/sandbox.json", SandboxRecord)
        if record is not None and record.boot != self._boot:
            return msgspec.structs.replace(record, stopped=True)
        return record

    def list_sandboxes(self) -> list[SandboxRecord]:
        found = (self.read_sandbox(name) for name in _names(f"{self._root}/sandboxes"))
        return [record for record in found if record is not None]

    def discard_sandbox(self, sandbox_id: str) -> None:
        self._discard(self.sandbox_dir(sandbox_id), "sandbox.json")

    def format_sandbox(self, record: SandboxRecord) -> Sandbox:
        state = SandboxState.READY if record.ready and not record.stopped else SandboxState.NOT_READY
        return Sandbox(spec=record.spec, state=state, ips=record.ips, created_at_ms=record.created_at_ms)

    def write_container(self, spec: ContainerSpec) -> None:
        self._write(f"{self.container_dir(spec.id)}/spec.json", spec)

    def read_container(self, container_id: str) -> ContainerSpec | None:
        return self._read(f"{self.container_dir(container_id)}/spec.json", ContainerSpec)

    def list_container_ids(self) -> list[str]:
        return _names(f"{self._root}/containers")

    def discard_container(self, container_id: str) -> None:
        self._discard(self.container_dir(container_id), "spec.json")

    def _write(self, path: str, value: object) -> None:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        temporary = f"{path}.new"
        Path(temporary).write_bytes(msgspec.json.encode(value))
        os.rename(temporary, path)

    def _read(self, path: str, shape: type[T]) -> T | None:
        try:
            found = os.stat(path)
            identity = (found.st_ino, found.st_mtime_ns)
            known = self._memory.get(path)
            if known is not None and known[0] == identity and isinstance(known[1], shape):
                return known[1]
            value = msgspec.json.decode(Path(path).read_bytes(), type=shape)
        except (OSError, msgspec.DecodeError):
            self._memory.pop(path, None)
            return None
        self._memory[path] = (identity, value)
        return value

    def _discard(self, directory: str, name: str) -> None:
        """Out of sight at once; the files go to the trash."""
        self._memory.pop(f"{directory}/{name}", None)
        trash = f"{self._root}/trash"
        os.makedirs(trash, mode=0o700, exist_ok=True)
        try:
            os.rename(directory, f"{trash}/{os.path.basename(directory)}.{time.monotonic_ns()}")
        except FileNotFoundError:
            return


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
