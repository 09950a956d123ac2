"""What every Prometheus client tells of its process: CPU, memory, descriptors, when it began (Linux /proc)."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from actors.gateway.discovery import VERSION
from actors.gateway.telemetry.series import Counter, gauge

_ONE: tuple[str, ...] = ()


def machine_series() -> Iterator[Counter]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = Counter("process_cpu_seconds_total", "CPU time that the process has used.")
    cpu.add(_ONE, round(used.ru_utime + used.ru_stime, 3))
    yield cpu
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line[:5] == "btime")
    began = booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for name, told, value in (
        ("process_start_time_seconds", "When the process began, in seconds since 1970.", began),
        ("process_virtual_memory_bytes", "Virtual memory.", int(fields[20])),
        ("process_resident_memory_bytes", "Resident memory.", int(fields[21]) * os.sysconf("SC_PAGESIZE")),
        ("process_open_fds", "Open descriptors.", len(os.listdir("/proc/self/fd"))),
        ("process_max_fds", "The most descriptors that it may have open.", limit),
    ):
        yield gauge(name, told, {_ONE: value})
    labels = ("git_version", "major", "minor", "raypod_version")
    built = (VERSION["gitVersion"], VERSION["major"], VERSION["minor"], _own_version())
    yield gauge("kubernetes_build_info", "Which Kubernetes is spoken, by which raypod.", {built: 1}, labels)


def _own_version() -> str:
    try:
        return version("raypod")
    except PackageNotFoundError:
        return ""
