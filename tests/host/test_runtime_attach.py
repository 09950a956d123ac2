"""Containers with an input or a terminal of their own, and who is attached to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig, is_alive, kill, until

from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import STDERR, STDOUT, ContainerState, Streams

pytestmark = pytest.mark.root


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


async def _read_until(streams: Streams, words: bytes, channel: int = STDOUT) -> bytes:
    seen = b""
    async with asyncio.timeout(20):
        while words not in seen:
            found = await streams.read()
            assert found is not None, seen
            seen += found[1] if found[0] == channel else b""
    return seen


async def test_a_shell_in_a_terminal(rig: Rig) -> None:
    """What is typed, what is shown, the size, the log, and the exit code of what ran there."""
    status = await rig.run("/bin/sh", tty=True, stdin=True)
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await streams.resize(101, 37)
    await streams.write(b"tty; stty size; echo $TERM\n")
    seen = await _read_until(streams, b"xterm\r\n")
    assert b"/dev/pts/0\r\n37 101\r\nxterm\r\n" in seen
    await streams.write(b"exit 6\n")
    while await streams.read() is not None:
        pass
    assert await streams.wait() == 6
    await streams.close()
    assert (await rig.wait_exit(status.spec.id)).exit_code == 6
    assert "37 101" in rig.output(status)


async def test_control_c_reaches_the_foreground(rig: Rig) -> None:
    status = await rig.run(
        "/bin/sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done", tty=True
    )
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await until(lambda: "ready" in rig.output(status))
    await streams.write(b"\x03")
    await _read_until(streams, b"caught")
    await streams.close()
    assert (await rig.wait_exit(status.spec.id)).exit_code == 3


async def test_all_of_a_terminals_output_is_in_the_log(rig: Rig) -> None:
    code, output = await rig.shell("seq 50000", tty=True)
    assert code == 0
    assert output.replace("\r", "").split() == [str(n) for n in range(1, 50_001)]


async def test_two_outputs_are_kept_apart(rig: Rig) -> None:
    script = "while read line; do echo out $line; echo err $line >&2; done"
    status = await rig.run("/bin/sh", "-c", script, stdin=True)
    viewers = [await rig.runtime.attach(status.spec.id, stdin=n == 0) for n in range(2)]
    await viewers[0].write(b"one\n")
    for viewer in viewers:
        found = {await asyncio.wait_for(viewer.read(), 10) for _ in range(2)}
        assert found == {(STDOUT, b"out one\n"), (STDERR, b"err one\n")}
        await viewer.close()


async def test_a_prompt_without_a_newline_is_shown_at_once(rig: Rig) -> None:
    status = await rig.run(
        "/bin/sh", "-c", "read line; printf 'name? '; read line; echo hello $line; sleep 100", stdin=True
    )
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await streams.write(b"\n")
    assert await asyncio.wait_for(streams.read(), 0.9) == (STDOUT, b"name? ")
    await streams.write(b"you\n")
    assert await asyncio.wait_for(streams.read(), 5) == (STDOUT, b"hello you\n")
    await streams.close()


@pytest.mark.parametrize("leaves", [False, True])
async def test_stdin_once_ends_with_the_first_client(rig: Rig, leaves: bool) -> None:
    """Whether it says so or just goes."""
    status = await rig.run("/bin/sh", "-c", "wc -c; exit 4", stdin=True, stdin_once=True)
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await streams.write(bytes(300_000))
    await (streams.close() if leaves else streams.close_stdin())
    assert (await rig.wait_exit(status.spec.id)).exit_code == 4
    assert rig.output(status).split() == ["300000"]
    await streams.close()


async def test_without_stdin_once_it_stays_open(rig: Rig) -> None:
    status = await rig.run("/bin/cat", stdin=True)
    for word in (b"one\n", b"two\n"):
        streams = await rig.runtime.attach(status.spec.id, stdin=True)
        await streams.write(word)
        await _read_until(streams, word)
        await streams.close_stdin()
        await streams.close()
    assert (await rig.runtime.container_status(status.spec.id)).state is ContainerState.RUNNING


async def test_a_container_without_an_input_hears_nothing(rig: Rig) -> None:
    status = await rig.run("/bin/sh", "-c", "cat; echo ended; exec sleep 1000")
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await streams.write(b"nobody hears\n")
    await until(lambda: "ended" in rig.output(status))
    assert "nobody hears" not in rig.output(status)
    await streams.close()


async def test_input_waits_for_a_container_that_does_not_read(rig: Rig) -> None:
    """The launcher holds a bounded part of it, and serves others meanwhile."""
    status = await rig.run("/bin/sh", "-c", "sleep 3; wc -c", stdin=True, stdin_once=True)
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    sent = 0

    async def write() -> None:
        nonlocal sent
        for _ in range(100):
            await streams.write(bytes(32 << 10))
            sent += 32 << 10
        await streams.close_stdin()

    writing = asyncio.create_task(write())
    await asyncio.sleep(1.0)
    assert sent < 1_500_000
    assert (await rig.shell("echo others"))[1] == "others\n"
    await asyncio.wait_for(writing, 20)
    await rig.wait_exit(status.spec.id)
    assert rig.output(status).split() == [str(100 * (32 << 10))]
    await streams.close()


async def test_a_viewer_that_does_not_read_holds_nobody_up(rig: Rig) -> None:
    status = await rig.run("/bin/sh", "-c", "sleep 0.5; seq 1000000; echo the end", tty=True)
    lazy = await rig.runtime.attach(status.spec.id)
    assert (await rig.wait_exit(status.spec.id)).exit_code == 0
    assert rig.output(status).rstrip().endswith("the end")
    seen = b""
    while (found := await lazy.read()) is not None:
        seen += found[1]
    assert len(seen) < 3_000_000
    assert await lazy.wait() == 0
    await lazy.close()


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("victim", ["worker", "supervisor"])
async def test_a_launcher_that_is_replaced_is_not_noticed(rig: Rig, tty: bool, victim: str) -> None:
    status = await rig.run(
        "/bin/sh", "-c", "stty -echo 2>/dev/null; while read line; do echo got $line; done", stdin=True, tty=tty
    )
    end = b"\r\n" if tty else b"\n"
    streams = await rig.runtime.attach(status.spec.id, stdin=True)
    await asyncio.sleep(0.3)
    await streams.write(b"one\n")
    await _read_until(streams, b"got one" + end)
    pids = await rig.launcher()
    kill(pids[victim])
    await until(lambda: not is_alive(pids[victim]))
    reading = asyncio.create_task(_read_until(streams, b"got two" + end))
    await rig.launcher()
    await asyncio.sleep(0.5)
    await streams.write(b"two\n")
    await reading
    await streams.close()
    assert (await rig.runtime.container_status(status.spec.id)).state is ContainerState.RUNNING
    assert "got two" in rig.output(status)


async def test_a_terminal_that_cannot_be_made_is_a_start_error(rig: Rig) -> None:
    """And the launcher goes on."""
    status = await rig.run("/bin/sh", "-c", "exit 0", tty=True, stdin=True)
    await rig.wait_exit(status.spec.id)
    with pytest.raises(PluginError, match="not found"):
        await rig.run("no-such-command", tty=True)
    assert (await rig.shell("echo on"))[1] == "on\n"


async def test_the_hosts_null_device_is_out_of_reach(rig: Rig) -> None:
    """The first descriptor of a container without an input is its own /dev/null: it may do with it as it likes."""
    before = Path("/dev/null").stat().st_mode
    await rig.shell("chmod 0600 /proc/self/fd/0; python3 -c 'import os; os.fchmod(0, 0o600)'")
    assert Path("/dev/null").stat().st_mode == before
