"""What containers use, read from their cgroups by the nodelet itself: the launcher has better things to do.

CPU time is in the unified hierarchy also where v1 controllers are used (hybrid); on pure v1 it is cpuacct's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from actors.api.clock import Millis
from actors.plugins.runtime.launcher.cgroup_layout import Layout
from actors.plugins.runtime.launcher.cgroup_v1 import read_file
from actors.plugins.runtime.launcher.cgroups import read_layout
from actors.plugins.runtime.port import ContainerStats


def read_stats(base: str, container_ids: Iterable[str], at_ms: Millis) -> list[ContainerStats]:
    """Groups are `<base>/<container id>`; a container whose group is gone is left out. Blocks for some files."""
    layout = read_layout()
    found = []
    for container_id in container_ids:
        group = f"{base}/{container_id}"
        try:
            cpu_ns, memory = _read_cpu_ns(layout, group), _read_memory_bytes(layout, group)
        except ValueError:
            continue  # it has ended meanwhile
        found.append(ContainerStats(id=container_id, at_ms=at_ms, cpu_ns=cpu_ns, memory_bytes=memory))
    return found


def _read_cpu_ns(layout: Layout, group: str) -> int:
    """Raises ValueError."""
    if layout.unified:
        return 1_000 * parse_entry(read_file(f"{layout.unified}/{group}/cpu.stat"), "usage_usec")
    return int(read_file(f"{layout.v1['cpu']}/{group}/cpuacct.usage"))


def _read_memory_bytes(layout: Layout, group: str) -> int:
    """Raises ValueError."""
    if layout.pure_v2:
        folder, usage, inactive = f"{layout.unified}/{group}", "memory.current", "inactive_file"
    else:
        folder, usage, inactive = f"{layout.v1['memory']}/{group}", "memory.usage_in_bytes", "total_inactive_file"
    if held := read_file(f"{folder}/{usage}"):
        return max(int(held) - parse_entry(read_file(f"{folder}/memory.stat"), inactive), 0)
    pids = read_file(f"{folder}/cgroup.procs").split()  # this host has no memory controller
    return sum(_read_resident_bytes(pid) for pid in pids)


def _read_resident_bytes(pid: str) -> int:
    """What processes share is counted for each. 0 for one that has ended."""
    words = read_file(f"/proc/{pid}/statm").split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if words else 0


def parse_entry(text: str, name: str) -> int:
    """Of a cgroup's flat keyed file. Raises ValueError when it is not there."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    raise ValueError(f"no {name}")
