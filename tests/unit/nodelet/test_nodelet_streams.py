"""The node's end of a stream over memory: a process that ends, a client that goes, a client that does not read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from actors.api.errors import BadRequest, NotFound
from actors.api.key import Key
from actors.api.streams import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, StreamRequest, exit_status
from actors.nodelet.record import PodRecord
from actors.nodelet.streams.frames import MemoryFrames, memory_pair
from actors.nodelet.streams.session import failure_status, serve_connection, serve_process
from actors.nodelet.streams.target import find_target
from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.fake import Script
from actors.plugins.runtime.fake_streams import FakeConnection, FakeProcess
from actors.plugins.runtime.port import (
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    Sandbox,
    SandboxSpec,
    SandboxState,
)


def _request(**fields: Any) -> StreamRequest:
    given = {"verb": "exec", "namespace": "default", "pod": "web", "pod_uid": "1", "stdout": True, "stderr": True}
    return StreamRequest(**{**given, **fields})


def _process(script: Script, *, stdin: bool = False, tty: bool = False, forever: bool = False) -> FakeProcess:
    return FakeProcess(script, stdin=stdin, tty=tty, forever=forever)


async def _read_all(frames: MemoryFrames) -> list[tuple[int, bytes]]:
    found = []
    while (frame := await frames.read()) is not None:
        found.append(frame)
        if frame[0] == ERROR:
            break
    return found


async def test_output_then_the_exit_code() -> None:
    ours, theirs = memory_pair()
    script = Script(stdout=("out",), stderr=("err",), exit_code=5)
    serving = asyncio.create_task(serve_process(theirs, _request(), _process(script)))
    *output, (channel, end) = await _read_all(ours)
    assert output == [(STDOUT, b"out\n"), (STDERR, b"err\n")]
    assert (channel, json.loads(end)) == (ERROR, exit_status(5))
    await serving


async def test_what_was_not_asked_for_is_not_sent() -> None:
    ours, theirs = memory_pair()
    script = Script(stdout=("out",), stderr=("err",))
    serving = asyncio.create_task(serve_process(theirs, _request(stdout=False), _process(script)))
    assert [channel for channel, _ in await _read_all(ours)] == [STDERR, ERROR]
    await serving


async def test_input_its_end_and_the_size() -> None:
    ours, theirs = memory_pair()
    process = _process(Script(echo=True), stdin=True)
    serving = asyncio.create_task(serve_process(theirs, _request(stdin=True), process))
    await ours.write(RESIZE, b"nonsense")
    await ours.write(STDIN, b"said")
    assert await ours.read() == (STDOUT, b"said")
    await ours.write(CLOSE, bytes([STDIN]))
    ((channel, _),) = await _read_all(ours)
    assert channel == ERROR
    await serving
    terminal = _process(Script(), tty=True, forever=True)
    ours, theirs = memory_pair()
    serving = asyncio.create_task(serve_process(theirs, _request(tty=True), terminal))
    await ours.write(RESIZE, b'{"Width":90,"Height":30}')
    await ours.close()
    await serving
    assert terminal.size == (90, 30)


async def test_a_client_that_goes_ends_what_was_started_for_it() -> None:
    ours, theirs = memory_pair()
    process = _process(Script(), forever=True)
    serving = asyncio.create_task(serve_process(theirs, _request(), process))
    await ours.close()
    await asyncio.wait_for(serving, 5)
    with pytest.raises(Exception, match="let go"):
        await process.wait()


async def test_a_client_that_does_not_read_holds_the_process_up() -> None:
    ours, theirs = memory_pair()
    process = _process(Script(stdout=("x" * 10_000,) * 200, run_ms=-1), forever=True)
    serving = asyncio.create_task(serve_process(theirs, _request(), process))
    await asyncio.sleep(0.05)
    assert process._life.done() is False, "200 lines would long be said"
    seen = 0
    while seen < 200 * 10_001:
        frame = await ours.read()
        assert frame is not None
        seen += len(frame[1])
    await ours.close()
    await serving


async def test_a_connection_is_half_closed() -> None:
    ours, theirs = memory_pair()
    serving = asyncio.create_task(serve_connection(theirs, FakeConnection()))
    await ours.write(STDIN, b"ping")
    assert await ours.read() == (STDOUT, b"ping")
    await ours.write(CLOSE, bytes([STDIN]))
    assert await ours.read() == (CLOSE, bytes([STDOUT]))
    assert not serving.done()
    await ours.close()
    await serving


def test_a_failure_to_start_in_the_kubelets_words() -> None:
    status = failure_status(runtime_error("exec", "ExecError", 'exec: "x": not found', retryable=False, exit_code=127))
    assert (status["code"], status["reason"]) == (500, "InternalError")
    assert status["message"] == 'Internal error occurred: error executing command in container: exec: "x": not found'
    assert status["details"]["causes"][1] == {"reason": "ExitCode", "message": "127"}
    assert failure_status(NotFound("gone"))["message"] == "gone"


def _record(state: ContainerState) -> PodRecord:
    sandbox = Sandbox(
        spec=SandboxSpec(id="s", pod_name="web", pod_namespace="default", pod_uid="1"), state=SandboxState.READY
    )
    old = ContainerSpec(id="old", sandbox_id="s", name="main", image="i")
    new = ContainerSpec(id="new", sandbox_id="s", name="main", image="i", attempt=1)
    containers = {
        "old": ContainerStatus(spec=old, state=ContainerState.EXITED),
        "new": ContainerStatus(spec=new, state=state),
    }
    return PodRecord(uid="1", key=Key("pods", "default", "web"), sandboxes={"s": sandbox}, containers=containers)


def test_what_a_request_is_of() -> None:
    records = {"1": _record(ContainerState.RUNNING)}
    assert find_target(records, _request(container="main")) == "new"
    assert find_target(records, _request(verb="connect", port=80)) == "s"
    with pytest.raises(NotFound, match=r'container not found \("other"\)'):
        find_target(records, _request(container="other"))
    with pytest.raises(NotFound, match='pod "web" not found'):
        find_target({}, _request(container="main"))
    with pytest.raises(NotFound, match=r'container not found \("main"\)'):
        find_target({"1": _record(ContainerState.EXITED)}, _request(container="main"))
    gone = {"1": PodRecord(uid="1", key=Key("pods", "default", "web"))}
    with pytest.raises(BadRequest, match="not running"):
        find_target(gone, _request(verb="connect"))
