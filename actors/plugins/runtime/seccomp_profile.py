"""The default seccomp profile of Docker and containerd, said by what it refuses. Pure.

Every system call in our tables is allowed but these; numbers beyond the tables answer ENOSYS, so that a libc newer
than the tables falls back to an older call, as runc has it.
"""

from __future__ import annotations

from actors.plugins.runtime.syscall_numbers import SYSCALLS

_ALWAYS_REFUSED = (
    "_sysctl add_key create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup kexec_file_load "
    "kexec_load keyctl migrate_pages move_pages nfsservctl pivot_root request_key swapoff swapon sysfs uselib "
    "userfaultfd ustat vserver security tuxcall afs_syscall getpmsg putpmsg epoll_ctl_old epoll_wait_old personality"
)
#: What a capability brings back.
_WITH_CAPABILITY = {
    "SYS_ADMIN": (
        "bpf fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_set_self_attr mount "
        "mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname "
        "sethostname setns statmount syslog umount2 unshare"
    ),
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module finit_module init_module query_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TIME": "settimeofday clock_settime",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
    "DAC_READ_SEARCH": "open_by_handle_at",
}
#: clone flags that make namespaces, and personalities that are harmless (0 and 0x20000 with UNAME26 or not, query).
NAMESPACE_FLAGS = 0x7E020000
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
AF_VSOCK = 40


def derive_allowed(machine: str, capabilities: frozenset[str]) -> set[int]:
    """Numbers allowed whatever their arguments are. `clone`, `clone3`, `socket` and `personality` are the filter's."""
    refused = set(_ALWAYS_REFUSED.split())
    for names in _WITH_CAPABILITY.values():
        refused.update(names.split())
    for capability in capabilities:
        refused -= set(_WITH_CAPABILITY.get(capability, "").split())
    refused |= {"socket"} if "SYS_ADMIN" in capabilities else {"socket", "clone", "clone3"}
    return {number for name, number in SYSCALLS[machine].items() if name not in refused}
