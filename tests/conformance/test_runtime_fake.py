"""The fake runtime keeps the port's promises."""

from __future__ import annotations

import itertools

import pytest
from runtime_stand_ins import CountingNetwork, StaticImages
from runtime_subject import EMPTY_IMAGE, IMAGE
from runtime_suite import RuntimeSuite

from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime, Script
from actors.plugins.runtime.port import ContainerSpec, ExecSpec, RuntimePort


class FakeSubject:
    def __init__(self) -> None:
        self.machine = FakeMachine()
        self.images = StaticImages({IMAGE: (ImageConfig(), ()), EMPTY_IMAGE: (ImageConfig(), ())})
        self.network = CountingNetwork()
        self._scripts: dict[tuple[str, ...], Script] = {}
        self._clock = itertools.count(1_000_000)
        self.runtime: RuntimePort = self._open()

    def _open(self) -> FakeRuntime:
        return FakeRuntime(
            self.machine, self.images, self.network, lambda: next(self._clock), self._script_of, execs=self._exec_of
        )

    def _script_of(self, spec: ContainerSpec) -> Script:
        return self._scripts[spec.command]

    def _exec_of(self, spec: ContainerSpec, asked: ExecSpec) -> Script:
        return self._scripts[asked.command]

    def listen(self, sandbox_id: str, port: int) -> tuple[str, ...]:
        self.machine.listening.add((sandbox_id, port))
        return self.command(Script(run_ms=FOREVER))

    async def reopen(self) -> RuntimePort:
        self.runtime = self._open()
        return self.runtime

    def command(self, script: Script) -> tuple[str, ...]:
        command = (f"script-{len(self._scripts)}",)
        self._scripts[command] = script
        return command

    def read_log(self, path: str) -> str:
        return self.machine.logs.get(path, b"").decode()


class TestFakeRuntime(RuntimeSuite):
    @pytest.fixture
    def subject(self) -> FakeSubject:
        return FakeSubject()
