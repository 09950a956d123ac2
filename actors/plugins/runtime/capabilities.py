"""Linux capabilities by name, and which a container gets. Pure."""

from __future__ import annotations

from actors.plugins.runtime.port import Security

#: In the order of their numbers, without the prefix CAP_.
NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
#: As under Docker and containerd.
DEFAULT = frozenset(
    [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)


def derive_capabilities(security: Security) -> frozenset[str]:
    """Kubernetes' rule: the default, without what is dropped, with what is added; ALL is all. Raises ValueError."""
    if security.privileged:
        return frozenset(NAMES)
    added, dropped = (
        {name.upper().removeprefix("CAP_") for name in names}
        for names in (security.capabilities_add, security.capabilities_drop)
    )
    unknown = (added | dropped) - {"ALL", *NAMES}
    if unknown:
        raise ValueError(f"unknown capabilities: {', '.join(sorted(unknown))}")
    everything = frozenset(NAMES)
    kept = everything if "ALL" in added else frozenset() if "ALL" in dropped else DEFAULT
    return (kept - dropped) | (added - {"ALL"})


def format_bits(names: frozenset[str]) -> int:
    return sum(1 << NAMES.index(name) for name in names)
