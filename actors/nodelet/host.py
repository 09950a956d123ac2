"""Reads what the machine is: CPUs, memory, disk, kernel, name servers. Effectful; the parsing is pure.

A nodelet that itself runs inside a limited cgroup offers what that cgroup has, not what the machine has.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from actors.nodelet.facts import NodeFacts
from actors.plugins.device.port import Device

_MEMORY_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
#: systemd-resolved's own file names a server that only this host reaches; the second one names the real ones.
_RESOLV_CONFS = ("run/systemd/resolve/resolv.conf", "etc/resolv.conf")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LOOPBACK_PREFIXES = ("127.", "::1")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the nodelet's actor holds of Ray: the ledger that tasks and containers share. 0: no say in it.

    `gpus` None: no say; else exactly these devices may be offered, by index or id.
    """

    cpu_millis: int = 0
    memory_bytes: int = 0
    gpus: tuple[str, ...] | None = None


def select_held(devices: list[Device], held: Held) -> tuple[Device, ...]:
    """Those that the actor holds of Ray, by position (Ray counts in NVML's order) or by id; all when it has no say."""
    if held.gpus is None:
        return tuple(devices)
    return tuple(
        d for i, d in enumerate(devices) if d.id in held.gpus or str(d.attributes.get("index", i)) in held.gpus
    )


def read_facts(address: str, state: Path, held: Held, version: str, root: Path = Path("/")) -> NodeFacts:
    """Everything but devices and pod range. `state`: the nodelet's directory, whose disk is what pods can use."""
    uname = platform.uname()
    disk = os.statvfs(state)
    return NodeFacts(
        address=address,
        hostname=uname.node,
        cpu_millis=held.cpu_millis or read_cpu_millis(root),
        memory_bytes=held.memory_bytes or read_memory_bytes(root),
        storage_bytes=disk.f_frsize * disk.f_blocks,
        architecture=_ARCHITECTURES.get(uname.machine, uname.machine),
        kernel_version=uname.release,
        os_image=parse_os_name(_text(root / "etc/os-release")),
        machine_id=_text(root / "etc/machine-id").strip(),
        boot_id=_text(root / "proc/sys/kernel/random/boot_id").strip(),
        version=version,
        runtime_version=f"raypod://{version}",
        resolv_conf=read_resolv_conf(root),
        logs_dir=str(state / "logs"),
    )


def read_cpu_millis(root: Path = Path("/")) -> int:
    """What this process may use: its CPU set, or its cgroup's quota when that is less."""
    available = 1_000 * len(os.sched_getaffinity(0))
    quota = parse_cpu_max(_text(root / "sys/fs/cgroup/cpu.max"))
    v1 = [_text(root / f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if quota is None and all(v1):
        quota = parse_cpu_max(" ".join(v1))
    return min(available, quota) if quota else available


def read_memory_bytes(root: Path = Path("/")) -> int:
    total = parse_memory_total(_text(root / "proc/meminfo"))
    limits = (_text(root / path).strip() for path in _MEMORY_LIMITS)
    return min([total, *(int(limit) for limit in limits if limit.isdecimal())])


def read_resolv_conf(root: Path = Path("/")) -> str:
    """Without name servers on loopback, which a pod's own network does not reach."""
    for path in _RESOLV_CONFS:
        lines = _text(root / path).splitlines()
        kept = [line for line in lines if not _is_loopback_server(line.split())]
        if any(line.split()[:1] == ["nameserver"] for line in kept):
            return "\n".join(kept) + "\n"
    return _text(root / _RESOLV_CONFS[-1])


def parse_cpu_max(text: str) -> int | None:
    """cgroup v2's `quota period` in microseconds, as millis; None when there is no limit."""
    parts = text.split()
    if len(parts) != 2 or not parts[0].isdecimal():
        return None
    return int(parts[0]) * 1_000 // int(parts[1])


def parse_memory_total(meminfo: str) -> int:
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    return 0


def parse_os_name(os_release: str) -> str:
    for line in os_release.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return "Linux"


def _is_loopback_server(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[0] == "nameserver" and words[1].startswith(_LOOPBACK_PREFIXES)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
