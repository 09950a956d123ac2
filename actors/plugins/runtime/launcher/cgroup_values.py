"""What to write into a container's cgroup files, for v1 and for v2. Pure.

CPU requests become shares as in Kubernetes (1000 millicores are 1024 shares), and weights by its formula.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.plan import Resources

PERIOD_US = 100_000
_QUOTA_US_MIN, _SHARES_MIN, _SHARES_MAX = 1000, 2, 262_144

#: (controller, file, value, required): what is not a limit somebody asked for may be missing on this host.
Value = tuple[str, str, str, bool]


def derive_shares(cpu_request_millis: int) -> int:
    return max(_SHARES_MIN, min(_SHARES_MAX, cpu_request_millis * 1024 // 1000))


def derive_weight(shares: int) -> int:
    """v2's cpu.weight 1..10000 from v1's shares 2..262144 (KEP-2254)."""
    return 1 + (shares - _SHARES_MIN) * 9999 // (_SHARES_MAX - _SHARES_MIN)


def derive_quota_us(cpu_limit_millis: int) -> int:
    return max(_QUOTA_US_MIN, cpu_limit_millis * PERIOD_US // 1000)


def derive_v1_values(resources: Resources) -> list[Value]:
    """Memory and swap together may not exceed the limit: swap would hide that it was reached."""
    values: list[Value] = [("cpu", "cpu.shares", str(derive_shares(resources["cpu_request_millis"])), True)]
    if resources["cpu_limit_millis"]:
        values.append(("cpu", "cpu.cfs_period_us", str(PERIOD_US), True))
        values.append(("cpu", "cpu.cfs_quota_us", str(derive_quota_us(resources["cpu_limit_millis"])), True))
    if resources["memory_limit_bytes"]:
        values.append(("memory", "memory.limit_in_bytes", str(resources["memory_limit_bytes"]), True))
        values.append(("memory", "memory.memsw.limit_in_bytes", str(resources["memory_limit_bytes"]), False))
    if resources["pids_max"]:
        values.append(("pids", "pids.max", str(resources["pids_max"]), True))
    return values


def derive_v2_values(resources: Resources) -> list[Value]:
    """The whole container dies when memory runs out (memory.oom.group), as Kubernetes has it on v2."""
    shares = derive_shares(resources["cpu_request_millis"])
    values: list[Value] = [("cpu", "cpu.weight", str(derive_weight(shares)), False)]
    if resources["cpu_limit_millis"]:
        values.append(("cpu", "cpu.max", f"{derive_quota_us(resources['cpu_limit_millis'])} {PERIOD_US}", True))
    if resources["memory_limit_bytes"]:
        values.append(("memory", "memory.max", str(resources["memory_limit_bytes"]), True))
        values.append(("memory", "memory.swap.max", "0", False))
        values.append(("memory", "memory.oom.group", "1", False))
    if resources["pids_max"]:
        values.append(("pids", "pids.max", str(resources["pids_max"]), True))
    return values


def derive_v1_changes(resources: Resources) -> list[Value]:
    """Of a container that runs: what has no limit loses one. Memory comes last, and both its limits in either order."""
    quota = derive_quota_us(resources["cpu_limit_millis"]) if resources["cpu_limit_millis"] else -1
    memory = str(resources["memory_limit_bytes"] or -1)
    return [
        ("cpu", "cpu.shares", str(derive_shares(resources["cpu_request_millis"])), True),
        ("cpu", "cpu.cfs_period_us", str(PERIOD_US), True),
        ("cpu", "cpu.cfs_quota_us", str(quota), True),
        ("memory", "memory.limit_in_bytes", memory, True),
        ("memory", "memory.memsw.limit_in_bytes", memory, False),
    ]


def derive_v2_changes(resources: Resources) -> list[Value]:
    weight = derive_weight(derive_shares(resources["cpu_request_millis"]))
    quota = str(derive_quota_us(resources["cpu_limit_millis"])) if resources["cpu_limit_millis"] else "max"
    asked_cpu, asked_memory = bool(resources["cpu_limit_millis"]), bool(resources["memory_limit_bytes"])
    return [
        ("cpu", "cpu.weight", str(weight), False),
        ("cpu", "cpu.max", f"{quota} {PERIOD_US}", asked_cpu),
        ("memory", "memory.max", str(resources["memory_limit_bytes"] or "max"), asked_memory),
    ]


def parse_oom_kills(text: str) -> int:
    """From v1's memory.oom_control or v2's memory.events: how often the kernel killed."""
    return parse_entry(text, "oom_kill")


def parse_entry(text: str, key: str) -> int:
    """Of a flat keyed file; 0 when it is not there."""
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0
