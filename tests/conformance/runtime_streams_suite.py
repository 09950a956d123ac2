"""What every implementation of the runtime port must do with what runs: exec, attach, port-forward, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from runtime_subject import (
    OnSubject,
    Subject,
    connect,
    run,
    run_to_exit,
    wait_exit,
)

from actors.plugins.errors import PluginError
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import (
    STDOUT,
    ContainerSpec,
    ContainerState,
    ExecResult,
    ExecSpec,
    Resources,
    SandboxSpec,
)


class StreamsSuite(OnSubject):
    # Streams

    @pytest.fixture
    async def running(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> str:
        return (await run(subject.runtime, spec_of(Script(run_ms=FOREVER)))).spec.id

    async def test_exec_runs_a_command_to_its_end(self, subject: Subject, running: str) -> None:
        command = subject.command(Script(stdout=("one", "two"), stderr=("oops",), exit_code=7))
        result = await subject.runtime.exec_sync(ExecSpec(container_id=running, command=command), 20_000)
        assert result == ExecResult(exit_code=7, stdout=b"one\ntwo\n", stderr=b"oops\n")
        status = await subject.runtime.container_status(running)
        assert status.state is ContainerState.RUNNING

    async def test_a_container_in_the_pid_namespace_of_another(
        self, subject: Subject, running: str, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        """It ends with that one; and by itself without it."""
        guest = spec_of(Script(run_ms=FOREVER), target_id=running)
        other = spec_of(Script(run_ms=FOREVER), target_id=running)
        for spec in (guest, other):
            assert (await run(subject.runtime, spec)).state is ContainerState.RUNNING
        await subject.runtime.stop_container(other.id, 5_000)
        assert (await subject.runtime.container_status(running)).state is ContainerState.RUNNING
        await subject.runtime.stop_container(running, 0)
        ended = await wait_exit(subject.runtime, guest.id)
        assert ended.exit_code == 137

    async def test_a_target_that_does_not_run(
        self, subject: Subject, running: str, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        guest = await subject.runtime.create_container(spec_of(Script(), target_id=running))
        await subject.runtime.stop_container(running, 0)
        with pytest.raises(PluginError) as caught:
            await subject.runtime.start_container(guest.spec.id)
        assert (caught.value.reason, caught.value.retryable) == ("RunContainerError", True)
        assert (await subject.runtime.container_status(guest.spec.id)).state is ContainerState.CREATED

    async def test_limits_are_changed_while_it_runs(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        """It goes on; what it is told is remembered by the next instance, with labels beside the old ones."""
        before = Resources(cpu_request_millis=100, cpu_limit_millis=200, memory_limit_bytes=64 << 20, pids_max=100)
        spec = spec_of(Script(run_ms=FOREVER), resources=before, labels={"a": "1", "b": "1"})
        running = await run(subject.runtime, spec)
        for limit in (128 << 20, 32 << 20, 32 << 20, 256 << 20, 0):
            more = Resources(cpu_request_millis=300, cpu_limit_millis=500, memory_limit_bytes=limit)
            updated = await subject.runtime.update_container(spec.id, more, {"b": "2"})
            assert (updated.state, updated.pid) == (ContainerState.RUNNING, running.pid)
            assert updated.spec.resources == msgspec.structs.replace(more, pids_max=100)
        again = await subject.reopen()
        found = await again.container_status(spec.id)
        assert (found.spec.resources, found.spec.labels) == (updated.spec.resources, {"a": "1", "b": "2"})

    async def test_limits_that_cannot_be_changed(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        spec = spec_of(Script(run_ms=FOREVER), resources=Resources(memory_limit_bytes=64 << 20))
        await run(subject.runtime, spec)
        with pytest.raises(PluginError, match="below current usage") as busy:
            await subject.runtime.update_container(spec.id, Resources(memory_limit_bytes=4096), {"x": "y"})
        assert (busy.value.reason, busy.value.retryable) == ("UpdateError", True)
        kept = (await subject.runtime.container_status(spec.id)).spec
        assert (kept.resources.memory_limit_bytes, kept.labels) == (64 << 20, {})
        await subject.runtime.stop_container(spec.id, 0)
        for name, reason in ((spec.id, "NotRunning"), ("unknown", "NotFound")):
            with pytest.raises(PluginError) as caught:
                await subject.runtime.update_container(name, Resources(), {})
            assert (caught.value.reason, caught.value.retryable) == (reason, False)

    async def test_exec_output_is_bounded(self, subject: Subject, running: str) -> None:
        spec = ExecSpec(container_id=running, command=subject.command(Script(stdout=("x" * 50,) * 20)))
        result = await subject.runtime.exec_sync(spec, 20_000, output_bytes_max=100)
        assert (result.exit_code, len(result.stdout)) == (0, 100)

    async def test_exec_that_lasts_too_long_is_ended(self, subject: Subject, running: str) -> None:
        spec = ExecSpec(container_id=running, command=subject.command(Script(run_ms=FOREVER)))
        with pytest.raises(PluginError, match="did not end within 200 ms") as caught:
            await subject.runtime.exec_sync(spec, 200)
        assert caught.value.reason == "DeadlineExceeded"

    async def test_exec_of_no_such_command(self, subject: Subject, running: str) -> None:
        with pytest.raises(PluginError, match="not found") as caught:
            await subject.runtime.exec(ExecSpec(container_id=running, command=subject.command(Script(start_error=127))))
        assert (caught.value.reason, caught.value.retryable) == ("ExecError", False)
        assert caught.value.exit_code == 127

    async def test_exec_where_nothing_runs(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        command = subject.command(Script())
        with pytest.raises(PluginError) as unknown:
            await subject.runtime.exec(ExecSpec(container_id="unknown", command=command))
        assert unknown.value.reason == "NotFound"
        created = await subject.runtime.create_container(spec_of(Script()))
        with pytest.raises(PluginError) as early:
            await subject.runtime.exec(ExecSpec(container_id=created.spec.id, command=command))
        ended = await run_to_exit(subject.runtime, spec_of(Script()))
        with pytest.raises(PluginError) as late:
            await subject.runtime.exec(ExecSpec(container_id=ended.spec.id, command=command))
        assert (early.value.reason, late.value.reason) == ("NotRunning", "NotRunning")

    async def test_exec_input_goes_in_and_its_end_too(self, subject: Subject, running: str) -> None:
        spec = ExecSpec(container_id=running, command=subject.command(Script(echo=True)), stdin=True)
        streams = await subject.runtime.exec(spec)
        await streams.write(b"said\n")
        assert await streams.read() == (STDOUT, b"said\n")
        await streams.close_stdin()
        await streams.close_stdin()
        assert await streams.read() is None
        assert await streams.wait() == 0
        await streams.write(b"to nobody")
        await streams.close()
        await streams.close()

    async def test_exec_without_input_finds_it_at_its_end(self, subject: Subject, running: str) -> None:
        streams = await subject.runtime.exec(ExecSpec(container_id=running, command=subject.command(Script(echo=True))))
        assert await streams.read() is None
        assert await streams.wait() == 0
        await streams.close()

    async def test_a_client_that_does_not_read_holds_the_process_up(self, subject: Subject, running: str) -> None:
        """What is written is taken only as fast as it is read, and nothing of it is lost."""
        spec = ExecSpec(container_id=running, command=subject.command(Script(echo=True)), stdin=True)
        streams = await subject.runtime.exec(spec)
        text = bytes(range(256)) * 16_000
        taken = 0

        async def write() -> None:
            nonlocal taken
            for at in range(0, len(text), 32_000):
                await streams.write(text[at : at + 32_000])
                taken = at
            await streams.close_stdin()

        writing = asyncio.create_task(write())
        await asyncio.sleep(0.5)
        assert taken < 1_000_000
        seen = bytearray()
        while (found := await streams.read()) is not None:
            seen += found[1]
        await writing
        assert seen == text
        await streams.close()

    async def test_exec_with_a_terminal(self, subject: Subject, running: str) -> None:
        spec = ExecSpec(
            container_id=running,
            command=subject.command(Script(stdout=("out",), stderr=("err",), exit_code=3)),
            tty=True,
        )
        streams = await subject.runtime.exec(spec)
        await streams.resize(120, 40)
        seen = b""
        while (found := await streams.read()) is not None:
            assert found[0] == STDOUT
            seen += found[1]
        assert (seen, await streams.wait()) == (b"out\r\nerr\r\n", 3)
        await streams.close()

    async def test_attach_to_what_runs(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        """Letting go stops nothing, and what is said goes to everybody."""
        spec = spec_of(Script(echo=True, run_ms=FOREVER), stdin=True)
        await run(subject.runtime, spec)
        first = await subject.runtime.attach(spec.id, stdin=True)
        await first.write(b"said\n")
        assert await first.read() == (STDOUT, b"said\n")
        await first.close()
        await first.close()
        second = await subject.runtime.attach(spec.id, stdin=True)
        await second.write(b"more\n")
        assert await second.read() == (STDOUT, b"more\n")
        await subject.runtime.stop_container(spec.id, 0)
        assert await second.read() is None
        assert await second.wait() in (137, 143)
        await second.close()

    async def test_attach_where_nothing_runs(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        with pytest.raises(PluginError) as unknown:
            await subject.runtime.attach("unknown")
        ended = await run_to_exit(subject.runtime, spec_of(Script()))
        with pytest.raises(PluginError) as late:
            await subject.runtime.attach(ended.spec.id)
        assert (unknown.value.reason, late.value.reason) == ("NotFound", "NotRunning")

    async def test_port_forward(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        command = subject.listen(sandbox.id, 8080)
        spec = msgspec.structs.replace(spec_of(Script(run_ms=FOREVER)), command=command)
        await run(subject.runtime, spec)
        connection = await connect(subject.runtime, sandbox.id, 8080)
        await connection.write(b"hello")
        assert await connection.read() == b"hello"
        await connection.close_write()
        assert await connection.read() == b""
        await connection.close()

    async def test_port_forward_to_nobody(self, subject: Subject, sandbox: SandboxSpec) -> None:
        with pytest.raises(PluginError, match=r"127\.0\.0\.1:9: connect: connection refused") as caught:
            await subject.runtime.port_forward(sandbox.id, 9)
        assert caught.value.reason == "ConnectionRefused"
        with pytest.raises(PluginError) as unknown:
            await subject.runtime.port_forward("unknown", 9)
        assert unknown.value.reason == "NotFound"
