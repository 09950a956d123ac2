"""What every implementation of the runtime port must do. Subclass it and give the fixture `subject`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from runtime_streams_suite import StreamsSuite
from runtime_subject import (
    EMPTY_IMAGE,
    Subject,
    new_sandbox_spec,
    run,
    run_to_exit,
    until,
)

from actors.plugins.errors import PluginError
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import (
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    Resources,
    SandboxSpec,
    SandboxState,
    Security,
)


class RuntimeSuite(StreamsSuite):
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
        status = await run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
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
        await run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
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
            ({"security": Security(run_as_non_root=True, uid=0)}, "container's runAsUser breaks non-root policy"),
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
        status = await run_to_exit(subject.runtime, spec_of(Script(exit_code=code)))
        assert (status.exit_code, status.reason, status.pid) == (code, reason, 0)
        assert 0 < status.created_at_ms <= status.started_at_ms <= status.finished_at_ms

    async def test_a_started_container_runs_and_a_second_start_changes_nothing(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        running = await run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        assert running.state is ContainerState.RUNNING
        assert running.pid > 0
        assert await subject.runtime.start_container(running.spec.id) == running
        assert await subject.runtime.container_status(running.spec.id) == running

    async def test_what_running_containers_use(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        running = await run(subject.runtime, spec_of(Script(run_ms=FOREVER)))
        await run_to_exit(subject.runtime, spec_of(Script()))
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
        await run_to_exit(subject.runtime, spec)
        lines = [line.split(" ", 3) for line in subject.read_log(spec.log_path).splitlines()]
        assert sorted(line[1:] for line in lines) == [
            ["stderr", "F", "three"],
            ["stdout", "F", "one"],
            ["stdout", "F", "two"],
        ]
        assert all(line[0].endswith("Z") for line in lines)

    async def test_the_termination_message(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        status = await run_to_exit(subject.runtime, spec_of(Script(exit_code=2, message="disk on fire")))
        assert (status.exit_code, status.message) == (2, "disk on fire")

    async def test_out_of_memory(self, subject: Subject, spec_of: Callable[..., ContainerSpec]) -> None:
        spec = spec_of(Script(oom=True), resources=Resources(memory_limit_bytes=32 << 20))
        status = await run_to_exit(subject.runtime, spec)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")

    # Containers: ending them

    @pytest.mark.parametrize(("ignores_stop", "code"), [(False, 143), (True, 137)])
    async def test_stop_returns_when_it_has_exited(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec], ignores_stop: bool, code: int
    ) -> None:
        spec = spec_of(Script(run_ms=FOREVER, ignores_stop=ignores_stop, stdout=("ready",)))
        running = await run(subject.runtime, spec)
        await until(lambda: "ready" in subject.read_log(spec.log_path))
        await subject.runtime.stop_container(running.spec.id, 300 if ignores_stop else 30_000)
        status = await subject.runtime.container_status(running.spec.id)
        assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, code, "Error")
        await subject.runtime.stop_container(running.spec.id, 30_000)
        assert await subject.runtime.container_status(running.spec.id) == status

    async def test_a_removed_container_is_forgotten_and_its_log_stays(
        self, subject: Subject, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        spec = spec_of(Script(run_ms=FOREVER, stdout=("still here",)))
        await run(subject.runtime, spec)
        await until(lambda: "still here" in subject.read_log(spec.log_path))
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
        status = await run_to_exit(subject.runtime, spec_of(Script(exit_code=4)))
        await until(lambda: len(seen) >= 2)
        watcher.cancel()
        assert [event.state for event in seen] == [ContainerState.RUNNING, ContainerState.EXITED]
        assert seen[-1] == status

    async def test_a_new_instance_finds_everything(
        self, subject: Subject, sandbox: SandboxSpec, spec_of: Callable[..., ContainerSpec]
    ) -> None:
        created = await subject.runtime.create_container(spec_of(Script(), labels={"tier": "web"}))
        spec = spec_of(Script(run_ms=FOREVER, stdout=("ready",)))
        running = await run(subject.runtime, spec)
        await until(lambda: "ready" in subject.read_log(spec.log_path))
        exited = await run_to_exit(subject.runtime, spec_of(Script(exit_code=5)))
        before = await subject.runtime.list_pod_sandboxes()
        await subject.runtime.close()
        again = await subject.reopen()
        assert await again.list_pod_sandboxes() == before
        by_id = {status.spec.id: status for status in await again.list_containers()}
        assert by_id == {status.spec.id: status for status in (created, running, exited)}
        await again.stop_container(running.spec.id, 5_000)
        assert (await again.container_status(running.spec.id)).exit_code == 143
        assert (await again.start_container(created.spec.id)).state is not ContainerState.CREATED
