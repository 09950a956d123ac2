"""A launcher that dies at each start, over containers that run: everything of the node is ended without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig, is_alive, kill

from actors.plugins.errors import PluginError
from actors.plugins.runtime.spawn import derive_cgroup
from actors.plugins.runtime.sweep import has_remains, sweep

pytestmark = pytest.mark.root


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    sweep(rig.root / "node")


def mounts(root: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {root}/" in line]


async def test_what_a_crashing_launcher_leaves_is_swept(rig: Rig) -> None:
    script = "trap '' TERM; sleep 1000 & sleep 1000 & wait"
    pods = [await rig.run("/bin/sh", "-c", script) for _ in range(2)]
    node = rig.root / "node"
    processes = await rig.launcher()
    groups = list(Path("/sys/fs/cgroup").glob(f"**/{derive_cgroup(str(node))}"))
    assert groups and mounts(node) and has_remains(node)
    for state in (node / "run" / "containers").glob("*/state.json"):
        state.write_text('{"id": 7}')
    await rig.runtime.close()
    for pid in processes.values():
        kill(pid)
    again = rig.open()
    with pytest.raises((PluginError, TimeoutError)):
        await asyncio.wait_for(again.list_containers(), 3)
    await again.close()
    swept = sweep(node)
    assert swept.left == () and swept.processes >= 6 and swept.mounts and swept.cgroups
    assert str(swept).startswith(f"killed {swept.processes} processes, ")
    assert not any(is_alive(status.pid) for status in pods)
    assert not mounts(node) and not any(group.exists() for group in groups) and not has_remains(node)
    assert sweep(node).processes == 0
    fresh = Rig(rig.root)
    await fresh.shell("true")
    await fresh.close()
