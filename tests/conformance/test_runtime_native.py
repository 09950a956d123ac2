"""The native runtime keeps the port's promises, on the host's own root file system."""

from __future__ import annotations

import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_stand_ins import CountingNetwork, StaticImages
from runtime_subject import EMPTY_IMAGE, IMAGE
from runtime_suite import RuntimeSuite

from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.native import NativeRuntime
from actors.plugins.runtime.port import RuntimePort

_EAT_MEMORY = "import os\nkept = []\nwhile True: kept.append(os.urandom(1 << 20))"

_ECHO = """
import socket
with socket.create_server(("127.0.0.1", {port})) as server:
    while True:
        peer, _ = server.accept()
        while data := peer.recv(65536):
            peer.sendall(data)
        peer.close()
"""


class NativeSubject:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.images = StaticImages({IMAGE: (ImageConfig(), ("/",)), EMPTY_IMAGE: (ImageConfig(), ("/",))})
        self.network = CountingNetwork()
        self._native = self._open()
        self.runtime: RuntimePort = self._native

    def _open(self) -> NativeRuntime:
        return NativeRuntime(self._root, self.images, self.network, lambda: time.time_ns() // 1_000_000)

    async def reopen(self) -> RuntimePort:
        self.runtime = self._native = self._open()
        return self.runtime

    async def shutdown(self) -> None:
        await self._native.shutdown()

    def command(self, script: Script) -> tuple[str, ...]:
        """A shell script that behaves so. As pid 1 it must trap SIGTERM to feel it."""
        if script.start_error:
            return ("no-such-command",)
        if script.echo:
            return ("/bin/cat",)
        if script.oom:
            return ("/usr/bin/python3", "-c", _EAT_MEMORY)
        lines = ["trap '' TERM" if script.ignores_stop else "trap 'exit 143' TERM"]
        lines += [f"echo {shlex.quote(line)}" for line in script.stdout]
        lines += [f"echo {shlex.quote(line)} >&2" for line in script.stderr]
        if script.message:
            lines.append(f"printf %s {shlex.quote(script.message)} > /dev/termination-log")
        if script.run_ms == FOREVER:
            lines.append("while :; do sleep 1000 & wait; done")
        lines.append(f"exit {script.exit_code}")
        return ("/bin/sh", "-c", "\n".join(lines))

    def listen(self, sandbox_id: str, port: int) -> tuple[str, ...]:
        return ("/usr/bin/python3", "-c", _ECHO.format(port=port))

    def read_log(self, path: str) -> str:
        return Path(path).read_text() if Path(path).exists() else ""


@pytest.mark.root
class TestNativeRuntime(RuntimeSuite):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[NativeSubject]:
        subject = NativeSubject(tmp_path / "node")
        yield subject
        await subject.shutdown()
