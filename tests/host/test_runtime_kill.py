"""kill -9 of every process of the native runtime, under running work: no container stops, no exit code and no log
line is lost, and none is told twice."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig, is_alive, kill, until

from actors.plugins.runtime.port import ContainerState, Mount

pytestmark = pytest.mark.root

#: Numbered lines at full speed in uneven pieces, until a file appears; then the last number and a telling exit code.
COUNT = """
import os, sys, time
number = 0
while not os.path.exists("/flag/stop") and number < 4_000_000:
    sys.stdout.write("".join(f"{number + at} {'x' * (at % 97)}\\n" for at in range(50)))
    sys.stdout.flush()
    number += 50
    time.sleep(0.001)
print(f"total {number}", flush=True)
sys.exit(7)
"""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


class Counter:
    """A container that counts until told to stop, and what its log must then say."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self._rig, self._folder = rig, folder

    async def start(self) -> None:
        self._folder.mkdir()
        mounts = (Mount(str(self._folder), "/flag", read_only=True),)
        self.status = await self._rig.run(
            "/usr/bin/python3", "-c", COUNT, mounts=mounts, log_size_bytes_max=1 << 30, log_files_max=1
        )

    async def finish(self) -> None:
        (self._folder / "stop").touch()
        status = await self._rig.wait_exit(self.status.spec.id)
        assert (status.exit_code, status.reason) == (7, "Error")
        lines = self._rig.output(status).splitlines()
        total = int(lines[-1].removeprefix("total "))
        assert total > 0
        assert [line.split(" ")[0] for line in lines[:-1]] == [str(number) for number in range(total)]


@pytest.mark.parametrize("victim", ["worker", "supervisor"])
async def test_a_killed_launcher_process_loses_nothing(rig: Rig, tmp_path: Path, victim: str) -> None:
    counter = Counter(rig, tmp_path / "flag")
    await counter.start()
    before = await rig.launcher()
    await asyncio.sleep(0.3)
    kill(before[victim])
    for _ in range(500):
        if await rig.launcher() != before:
            break
        await asyncio.sleep(0.01)
    assert await rig.launcher() != before
    found = await rig.runtime.container_status(counter.status.spec.id)
    assert (found.state, found.pid) == (ContainerState.RUNNING, counter.status.pid)
    await asyncio.sleep(0.3)
    await counter.finish()


async def test_many_kills_in_a_row_lose_nothing(rig: Rig, tmp_path: Path) -> None:
    dice = random.Random(20261123)
    counters = [Counter(rig, tmp_path / f"flag-{number}") for number in range(2)]
    for counter in counters:
        await counter.start()
    for _ in range(12):
        await asyncio.sleep(dice.random() * 0.15)
        kill((await rig.launcher())[dice.choice(["worker", "supervisor"])])
    for counter in counters:
        await counter.finish()


async def test_the_launcher_answers_within_a_second_after_a_kill(rig: Rig) -> None:
    await rig.sandbox()
    for victim in ("worker", "supervisor", "worker"):
        kill((await rig.launcher())[victim])
        await asyncio.wait_for(rig.runtime.list_containers(), 1)


async def test_an_exit_while_no_worker_lives_is_not_lost(rig: Rig) -> None:
    """The supervisor is stopped, so that nobody starts another worker until the container has exited."""
    status = await rig.run("/bin/sh", "-c", "sleep 0.5; echo last words; exit 9")
    launcher = await rig.launcher()
    os.kill(launcher["supervisor"], signal.SIGSTOP)
    kill(launcher["worker"])
    await until(lambda: not is_alive(status.pid))
    os.kill(launcher["supervisor"], signal.SIGCONT)
    status = await rig.wait_exit(status.spec.id)
    assert (status.exit_code, rig.output(status)) == (9, "last words\n")


async def test_both_killed_at_once_and_the_container_is_adopted(rig: Rig, tmp_path: Path) -> None:
    """What it prints while nobody listens waits in its pipe; it does not die of SIGPIPE."""
    (tmp_path / "flag").mkdir()
    script = "echo before; while [ ! -e /flag/go ]; do sleep 0.05; done; echo alone; sleep 1; echo after; exit 11"
    mounts = (Mount(str(tmp_path / "flag"), "/flag"),)
    status = await rig.run("/bin/sh", "-c", script, mounts=mounts)
    await until(lambda: "before" in rig.output(status))
    launcher = await rig.launcher()
    for victim in ("supervisor", "worker"):
        os.kill(launcher[victim], signal.SIGSTOP)
    for victim in ("supervisor", "worker"):
        kill(launcher[victim])
    (tmp_path / "flag" / "go").touch()
    await asyncio.sleep(0.4)
    found = await rig.runtime.container_status(status.spec.id)
    assert (found.state, found.pid) == (ContainerState.RUNNING, status.pid)
    ended = await rig.wait_exit(status.spec.id)
    assert rig.output(ended) == "before\nalone\nafter\n"
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15):
        assert (ended.exit_code, ended.reason) == (11, "Error")
    else:
        assert (ended.exit_code, ended.reason) == (255, "ContainerStatusUnknown")


async def test_gone_while_every_launcher_was_dead(rig: Rig) -> None:
    status = await rig.run("/bin/sleep", "1000")
    launcher = await rig.launcher()
    for victim in ("supervisor", "worker"):
        os.kill(launcher[victim], signal.SIGSTOP)
    for victim in ("supervisor", "worker"):
        kill(launcher[victim])
    kill(status.pid)
    await until(lambda: not Path(f"/proc/{status.pid}").exists())
    found = await rig.runtime.container_status(status.spec.id)
    assert (found.exit_code, found.reason) == (255, "ContainerStatusUnknown")


async def test_the_caller_killed_and_another_finds_its_containers(rig: Rig, tmp_path: Path) -> None:
    script = f"""
import asyncio, os, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
from pathlib import Path
from runtime_rig import Rig
async def main():
    rig = Rig(Path({str(tmp_path)!r}))
    status = await rig.run("/bin/sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 1000 & wait; done")
    while "up" not in rig.output(status): await asyncio.sleep(0.01)
    print(status.spec.id, status.pid, flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    process = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert process.returncode == -9, process.stderr
    container_id, pid = process.stdout.split()
    found = await rig.runtime.container_status(container_id)
    assert (found.state, found.pid) == (ContainerState.RUNNING, int(pid))
    await rig.runtime.stop_container(container_id, 10_000)
    assert (await rig.runtime.container_status(container_id)).exit_code == 5


async def test_a_start_cut_short_can_be_repeated(rig: Rig) -> None:
    """Kill the worker again and again around starts: each container runs exactly once and exits with its code."""
    for number in range(8):
        spec = await rig.spec("/bin/sh", "-c", f"echo once; exit {number}")
        await rig.runtime.create_container(spec)
        launcher = await rig.launcher()
        starting = asyncio.create_task(rig.runtime.start_container(spec.id))
        await asyncio.sleep(0.0015 * number)
        kill(launcher["worker"])
        await starting
        status = await rig.wait_exit(spec.id)
        assert (status.exit_code, rig.output(status)) == (number, "once\n")


async def test_a_directory_deleted_under_a_running_container_stops_nobody_else(rig: Rig) -> None:
    """Its exit cannot be recorded; the others' can, and the launcher goes on, also after a kill."""
    lost = await rig.run("/bin/sleep", "1000")
    kept = await rig.run("/bin/sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 1000 & wait; done")
    await until(lambda: "up" in rig.output(kept))
    shutil.rmtree(rig.root / "node" / "containers" / lost.spec.id)
    kill(lost.pid)
    kill((await rig.launcher())["worker"])
    await rig.runtime.stop_container(kept.spec.id, 10_000)
    assert (await rig.runtime.container_status(kept.spec.id)).exit_code == 6
    assert [status.spec.id for status in await rig.runtime.list_containers()] == [kept.spec.id]
