"""What every implementation of the runtime port must do. Subclass it and give the fixture `subject`.

The suite names behaviours (`Script`); a subject turns one into a command line, or into a fake's script.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from runtime_stand_ins import CountingNetwork, StaticImages

from actors.plugins.errors import PluginError
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import (
    STDOUT,
    Connection,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    ExecSpec,
    Resources,
    RuntimePort,
    SandboxSpec,
    SandboxState,
    Security,
)

IMAGE, EMPTY_IMAGE = "image-with-shell", "image-without-command"
_ids = itertools.count(1)


class Subject(Protocol):
    """One implementation under test. `reopen` gives a new instance over the same state, as after a restart."""

    runtime: RuntimePort
    images: StaticImages
    network: CountingNetwork

    async def reopen(self) -> RuntimePort: ...
    def command(self, script: Script) -> tuple[str, ...]: ...
    def listen(self, sandbox_id: str, port: int) -> tuple[str, ...]:
        """The command of a container that accepts connections there, one after the other, and echoes."""
        ...

    def read_log(self, path: str) -> str: ...


def new_sandbox_spec(**fields: object) -> SandboxSpec:
    number = next(_ids)
    values = {
        "id": f"sandbox-{number}",
        "pod_name": f"pod-{number}",
        "pod_namespace": "default",
        "pod_uid": str(number),
    }
    return SandboxSpec(**{**values, **fields})  # type: ignore[arg-type]


class RuntimeSuite:
    @pytest.fixture
    async def sandbox(self, subject: Subject) -> SandboxSpec:
        return (await subject.runtime.run_pod_sandbox(new_sandbox_spec())).spec

    @pytest.fixture
    def spec_of(self, subject: Subject, sandbox: SandboxSpec, tmp_path: Path) -> Callable[..., ContainerSpec]:
        def spec_of(script: Script, **fields: object) -> ContainerSpec:
            name = f"container-{next(_ids)}"
            values = {
                "id": name,
                "sandbox_id": sandbox.id,
                "name": "main",
                "image": IMAGE,
                "command": subject.command(script),
                "log_path": str(tmp_path / f"{name}.log"),
                "termination_message_path": "/dev/termination-log",
            }
            return ContainerSpec(**{**values, **fields})  # type: ignore[arg-type]

        return spec_of

    # Sandboxes

    async def test_a_sandbox_is_run_once(self, subject: Subject) -> None:
        spec = new_sandbox_spec(hostname="web-0")
        first = await subject.runtime.run_pod_sandbox(spec)
        assert (first.spec, first.state, len(first.ips)) == (spec, SandboxState.READY, 1)
        assert await subject.runtime.run_pod_sandbox(spec) == first
        assert await subject.runtime.list_pod_sandboxes() == [first]

    async def test_a_sandbox_on_the_host_network_gets_no_address(self, subject: Subject) -> None:
        sandbox = await subject.runtime.run_pod_sandbox(new_sandbox_spec(host_network=True))
        assert sandbox.ips == ()
        assert subject.network.attached == {}

    async def test_stopping_a_sandbox_kills_and_keeps_what_was_in_it(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        status = await _run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        await subject.runtime.stop_pod_sandbox(sandbox.id)
        await subject.runtime.stop_pod_sandbox(sandbox.id)
        (found,) = await subject.runtime.list_pod_sandboxes()
        assert found.state is SandboxState.NOT_READY
        stopped = await subject.runtime.container_status(status.spec.id)
        assert (stopped.state, stopped.exit_code, stopped.reason) == (ContainerState.EXITED, 137, "Error")
        assert subject.network.attached == {}

    async def test_removing_a_sandbox_removes_its_containers(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        await _run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        await subject.runtime.remove_pod_sandbox(sandbox.id)
        await subject.runtime.remove_pod_sandbox(sandbox.id)
        assert await subject.runtime.list_pod_sandboxes() == []
        assert await subject.runtime.list_containers() == []
        assert subject.images.held == set()

    async def test_unknown_ids_to_stop_or_remove_do_nothing(self, subject: Subject) -> None:
        await subject.runtime.stop_pod_sandbox("unknown")
        await subject.runtime.remove_pod_sandbox("unknown")
        await subject.runtime.stop_container("unknown", 0)
        await subject.runtime.remove_container("unknown")

    @pytest.mark.parametrize("name", ["", "../up", "a/b", ".", ".."])
    async def test_an_id_that_could_leave_its_folder_is_refused(self, subject: Subject, name: str) -> None:
        with pytest.raises(PluginError) as caught:
            await subject.runtime.run_pod_sandbox(new_sandbox_spec(id=name))
        assert not caught.value.retryable

    # Containers: making them

    async def test_a_container_is_created_once(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        spec = spec_of(Script())
        first = await subject.runtime.create_container(spec)
        assert (first.spec, first.state, first.pid) == (spec, ContainerState.CREATED, 0)
        assert await subject.runtime.create_container(spec) == first
        assert await subject.runtime.list_containers() == [first]

    async def test_creating_in_an_unknown_sandbox_fails(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        with pytest.raises(PluginError, match="unknown-sandbox") as caught:
            await subject.runtime.create_container(spec_of(Script(), sandbox_id="unknown-sandbox"))
        assert caught.value.reason == "CreateContainerError"

    async def test_creating_from_an_unknown_image_fails(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        with pytest.raises(PluginError, match="no-such-image") as caught:
            await subject.runtime.create_container(spec_of(Script(), image="no-such-image"))
        assert caught.value.reason == "CreateContainerError"
        assert await subject.runtime.list_containers() == []

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"image": EMPTY_IMAGE, "command": ()}, "no command"),
            ({"security": Security(run_as_non_root=True)}, "runAsNonRoot"),
            ({"security": Security(run_as_non_root=True, uid=0)}, "runAsNonRoot"),
        ],
    )
    async def test_a_wrong_configuration_is_refused_for_good(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec], fields: dict[str, object], words: str
    ) -> None:
        with pytest.raises(PluginError, match=words) as caught:
            await subject.runtime.create_container(spec_of(Script(), **fields))
        assert (caught.value.reason, caught.value.retryable) == ("CreateContainerConfigError", False)
        assert await subject.runtime.list_containers() == []

    # Containers: running them

    @pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error"), (137, "Error")])
    async def test_exit_code_and_reason(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec], code: int, reason: str
    ) -> None:
        status = await _run_to_exit(subject.runtime, spec_of(Script(exit_code=code)))
        assert (status.exit_code, status.reason, status.pid) == (code, reason, 0)
        assert 0 < status.created_at_ms <= status.started_at_ms <= status.finished_at_ms

    async def test_a_started_container_runs_and_a_second_start_changes_nothing(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        running = await _run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        assert running.state is ContainerState.RUNNING
        assert running.pid > 0
        assert await subject.runtime.start_container(running.spec.id) == running
        assert await subject.runtime.container_status(running.spec.id) == running

    async def test_what_running_containers_use(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        running = await _run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        await _run_to_exit(subject.runtime, spec_of(Script()))
        await subject.runtime.create_container(spec_of(Script()))
        [first] = await subject.runtime.list_container_stats()
        assert first.id == running.spec.id
        assert first.memory_bytes > 0 and first.cpu_ns >= 0 and first.at_ms >= running.started_at_ms
        await asyncio.sleep(0.02)
        [second] = await subject.runtime.list_container_stats()
        assert second.at_ms > first.at_ms and second.cpu_ns >= first.cpu_ns

    async def test_no_such_command_is_a_start_error(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        spec = spec_of(Script(start_error=127))
        await subject.runtime.create_container(spec)
        with pytest.raises(PluginError) as caught:
            await subject.runtime.start_container(spec.id)
        assert (caught.value.reason, caught.value.retryable) == ("RunContainerError", False)
        status = await subject.runtime.container_status(spec.id)
        assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, 127, "StartError")
        assert spec.command[0] in status.message

    async def test_output_is_in_the_log_in_cri_format(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        spec = spec_of(Script(stdout=("one", "two"), stderr=("three",)))
        await _run_to_exit(subject.runtime, spec)
        lines = [line.split(" ", 3) for line in subject.read_log(spec.log_path).splitlines()]
        assert sorted(line[1:] for line in lines) == [
            ["stderr", "F", "three"],
            ["stdout", "F", "one"],
            ["stdout", "F", "two"],
        ]
        assert all(line[0].endswith("Z") for line in lines)

    async def test_the_termination_message(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        status = await _run_to_exit(subject.runtime, spec_of(Script(exit_code=2, message="disk on fire")))
        assert (status.exit_code, status.message) == (2, "disk on fire")

    async def test_out_of_memory(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        spec = spec_of(Script(oom=True), resources=Resources(memory_limit_bytes=32 << 20))
        status = await _run_to_exit(subject.runtime, spec)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")

    # Containers: ending them

    @pytest.mark.parametrize(("ignores_stop", "code"), [(False, 143), (True, 137)])
    async def test_stop_returns_when_it_has_exited(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec], ignores_stop: bool, code: int
    ) -> None:
        spec = spec_of(Script(run_ms=FOREVER, ignores_stop=ignores_stop, stdout=("ready",)))
        running = await _run(subject.runtime, spec)
        await _until(lambda: "ready" in subject.read_log(spec.log_path))
        await subject.runtime.stop_container(running.spec.id, 300 if ignores_stop else 30_000)
        status = await subject.runtime.container_status(running.spec.id)
        assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, code, "Error")
        await subject.runtime.stop_container(running.spec.id, 30_000)
        assert await subject.runtime.container_status(running.spec.id) == status

    async def test_a_removed_container_is_forgotten_and_its_log_stays(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        spec = spec_of(Script(run_ms=FOREVER, stdout=("still here",)))
        await _run(subject.runtime, spec)
        await _until(lambda: "still here" in subject.read_log(spec.log_path))
        await subject.runtime.remove_container(spec.id)
        await subject.runtime.remove_container(spec.id)
        assert await subject.runtime.list_containers() == []
        assert "still here" in subject.read_log(spec.log_path)
        assert subject.images.held == set()
        with pytest.raises(PluginError) as caught:
            await subject.runtime.container_status(spec.id)
        assert (caught.value.reason, caught.value.retryable) == ("NotFound", False)

    async def test_starting_an_unknown_container(self, subject: Subject) -> None:
        with pytest.raises(PluginError) as caught:
            await subject.runtime.start_container("unknown")
        assert (caught.value.reason, caught.value.retryable) == ("NotFound", False)

    # Watching, and being replaced

    async def test_events_tell_start_and_exit(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        seen: list[ContainerStatus] = []
        ready = asyncio.Event()

        async def watch() -> None:
            events = subject.runtime.events()
            ready.set()
            async for status in events:
                seen.append(status)

        watcher = asyncio.create_task(watch())
        await ready.wait()
        await asyncio.sleep(0.05)
        status = await _run_to_exit(subject.runtime, spec_of(Script(exit_code=4)))
        await _until(lambda: len(seen) >= 2)
        watcher.cancel()
        assert [event.state for event in seen] == [ContainerState.RUNNING, ContainerState.EXITED]
        assert seen[-1] == status

    async def test_a_new_instance_finds_everything(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        created = await subject.runtime.create_container(spec_of(Script(), labels={"tier": "web"}))
        spec = spec_of(Script(run_ms=FOREVER, stdout=("ready",)))
        running = await _run(subject.runtime, spec)
        await _until(lambda: "ready" in subject.read_log(spec.log_path))
        exited = await _run_to_exit(subject.runtime, spec_of(Script(exit_code=5)))
        before = await subject.runtime.list_pod_sandboxes()
        await subject.runtime.close()
        again = await subject.reopen()
        assert await again.list_pod_sandboxes() == before
        by_id = {status.spec.id: status for status in await again.list_containers()}
        assert by_id == {status.spec.id: status for status in (created, running, exited)}
        await again.stop_container(running.spec.id, 5_000)
        assert (await again.container_status(running.spec.id)).exit_code == 143
        assert (await again.start_container(created.spec.id)).state is not ContainerState.CREATED

    # Streams

    @pytest.fixture
    async def running(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> str:
        return (await _run(subject.runtime, spec_of(Script(run_ms=FOREVER)))).spec.id

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
            assert (await _run(subject.runtime, spec)).state is ContainerState.RUNNING
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
        running = await _run(subject.runtime, spec)
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
        await _run(subject.runtime, spec)
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
        ended = await _run_to_exit(subject.runtime, spec_of(Script()))
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
        await _run(subject.runtime, spec)
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
        ended = await _run_to_exit(subject.runtime, spec_of(Script()))
        with pytest.raises(PluginError) as late:
            await subject.runtime.attach(ended.spec.id)
        assert (unknown.value.reason, late.value.reason) == ("NotFound", "NotRunning")

    async def test_port_forward(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        command = subject.listen(sandbox.id, 8080)
        spec = msgspec.structs.replace(spec_of(Script(run_ms=FOREVER)), command=command)
        await _run(subject.runtime, spec)
        connection = await _connect(subject.runtime, sandbox.id, 8080)
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


async def _connect(runtime: RuntimePort, sandbox_id: str, port: int) -> Connection:
    for _ in range(400):
        try:
            return await runtime.port_forward(sandbox_id, port)
        except PluginError:
            await asyncio.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


async def _run(runtime: RuntimePort, spec: ContainerSpec) -> ContainerStatus:
    await runtime.create_container(spec)
    return await runtime.start_container(spec.id)


async def _run_to_exit(runtime: RuntimePort, spec: ContainerSpec) -> ContainerStatus:
    await _run(runtime, spec)
    return await wait_exit(runtime, spec.id)


async def wait_exit(runtime: RuntimePort, container_id: str, timeout_s: float = 20) -> ContainerStatus:
    async with asyncio.timeout(timeout_s):
        while True:
            status = await runtime.container_status(container_id)
            if status.state is ContainerState.EXITED:
                return status
            await asyncio.sleep(0.01)


async def _until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    for _ in range(int(timeout_s * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the condition did not come true")
