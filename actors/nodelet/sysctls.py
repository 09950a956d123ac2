"""Kernel parameters that a pod may set: those that a Linux namespace of its own holds. Pure.

The safe ones everywhere; others where the node's operator allows them (kubelet's --allowed-unsafe-sysctls).
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.pod import Pod

FORBIDDEN_REASON = "SysctlForbidden"
_NETWORK, _IPC = "network", "ipc"
#: pkg/kubelet/sysctl/safe_sysctls.go, without those that need a kernel older than any that raypod runs on.
SAFE = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
_IPC_NAMES = ("kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced")
_NAMESPACES = {"net.": _NETWORK, "fs.mqueue.": _IPC, "kernel.msg": _IPC}


def dotted(name: str) -> str:
    """`net/ipv4/conf/eth0.1/forwarding` is `net.ipv4.conf.eth0/1.forwarding`: the first separator decides."""
    return name.translate(_SWAPPED) if _begins_with_slash(name) else name


def path_of(name: str) -> str:
    """Below /proc/sys."""
    return name if _begins_with_slash(name) else name.translate(_SWAPPED)


_SWAPPED = str.maketrans("./", "/.")


def _begins_with_slash(name: str) -> bool:
    return next((character for character in name if character in "./"), ".") == "/"


def find_forbidden(pod: Pod, allowed: Iterable[str]) -> str:
    """Why the pod must not run, in kubelet's words; "" when it may."""
    context = pod.spec.security_context
    patterns = [*SAFE, *map(dotted, allowed)]
    for sysctl in (context.sysctls if context else None) or ():
        name = dotted(sysctl.name)
        if not any(_matches(name, pattern) for pattern in patterns):
            return f'forbidden sysctl: "{name}" not allowlisted'
        namespace = _namespace_of(name)
        if (namespace == _NETWORK and pod.spec.host_network) or (namespace == _IPC and pod.spec.host_ipc):
            return f'forbidden sysctl: "{name}" not allowed with host {_SHORT[namespace]} enabled'
    return ""


_SHORT = {_NETWORK: "net", _IPC: "ipc"}


def derive_sysctls(pod: Pod) -> dict[str, str]:
    context = pod.spec.security_context
    return {path_of(sysctl.name): sysctl.value for sysctl in (context.sysctls if context else None) or ()}


def unknown_patterns(patterns: Iterable[str]) -> list[str]:
    """Those that no namespace holds: setting them would change the node."""
    return [pattern for pattern in patterns if not _namespace_of(dotted(pattern).removesuffix("*"))]


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _namespace_of(name: str) -> str:
    if name in _IPC_NAMES:
        return _IPC
    return next((namespace for prefix, namespace in _NAMESPACES.items() if name.startswith(prefix)), "")
