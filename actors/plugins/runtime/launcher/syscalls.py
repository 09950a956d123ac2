"""System calls that Python's os module lacks, through ctypes. Each raises OSError naming the call.

Numbers from 424 on are the same on every architecture; the few older ones are in `_OLDER`.
"""

from __future__ import annotations

import ctypes
import os

_OLDER = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317, "bpf": 321},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277, "bpf": 280},
}
MACHINE = os.uname().machine
_OLD = _OLDER.get(MACHINE, {})

AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET, CLONE_PIDFD, CLONE_INTO_CGROUP = 0x20000000, 0x40000000, 0x1000, 0x200000000
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MNT_DETACH = 2
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 24, 36, 38
CLOSE_RANGE_CLOEXEC = 4

#: PyDLL keeps the interpreter's lock: after clone3 both processes go on as if nothing had happened.
_libc = ctypes.PyDLL(None, use_errno=True)
_long = ctypes.c_long
_libc.syscall.restype = _long
_libc.tee.restype = ctypes.c_ssize_t


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in [
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        ]
    ]


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _checked(name: str, result: int, detail: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", detail or None)
    return result


def _raw(name: str, number: int, *args: object, detail: str = "") -> int:
    values = [_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(name, int(_libc.syscall(_long(number), *values)), detail)


def clone3(flags: int, cgroup_fd: int = -1) -> tuple[int, int]:
    """(pid, pidfd) in the parent, (0, -1) in the child, which runs on in this very function."""
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=17)
    if cgroup_fd >= 0:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    pid = _raw("clone3", 435, ctypes.byref(args), ctypes.sizeof(args))
    return pid, pidfd.value if pid else -1


def openat2(dir_fd: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return _raw("openat2", 437, dir_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how), detail=path)


def open_tree(dir_fd: int, path: str, flags: int) -> int:
    return _raw("open_tree", 428, dir_fd, os.fsencode(path), flags | OPEN_TREE_CLOEXEC, detail=path)


def move_mount(mount_fd: int, target_fd: int) -> None:
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    _raw("move_mount", 429, mount_fd, b"", target_fd, b"", flags)


def fsopen(kind: str) -> int:
    return _raw("fsopen", 430, kind.encode(), 1, detail=kind)


def fsconfig(fs_fd: int, command: int, key: str | None = None, value: str | None = None) -> None:
    name = None if key is None else key.encode()
    text = None if value is None else os.fsencode(value)
    _raw("fsconfig", 431, fs_fd, command, name, text, 0, detail=f"{key}={value}" if key else "")


def fsmount(fs_fd: int, attributes: int) -> int:
    return _raw("fsmount", 432, fs_fd, 1, attributes)


def mount_setattr(fd: int, path: str, flags: int, set_: int = 0, clear: int = 0, propagation: int = 0) -> None:
    attr = _MountAttr(set_, clear, propagation, 0)
    _raw("mount_setattr", 442, fd, os.fsencode(path), flags, ctypes.byref(attr), ctypes.sizeof(attr))


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = [os.fsencode(word) for word in (source, target, kind)]
    _checked("mount", _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), target)


def umount2(path: str, flags: int) -> None:
    _checked("umount2", _libc.umount2(os.fsencode(path), flags), path)


def pivot_root(new_root: str, put_old: str) -> None:
    _raw("pivot_root", _OLD["pivot_root"], os.fsencode(new_root), os.fsencode(put_old))


def setns(fd: int, kind: int) -> None:
    _checked("setns", _libc.setns(fd, kind))


def unshare(flags: int) -> None:
    _checked("unshare", _libc.unshare(flags))


def prctl(option: int, value: int) -> None:
    _checked("prctl", _libc.prctl(option, _long(value), _long(0), _long(0), _long(0)))


def close_range_on_exec(first: int) -> None:
    """Mark every descriptor from `first` on close-on-exec."""
    _raw("close_range", 436, first, 0xFFFFFFFF, CLOSE_RANGE_CLOEXEC)


def capset(effective: int, permitted: int) -> None:
    """Bit sets of capability numbers; the inheritable set becomes empty."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low = 0xFFFFFFFF
    sets = (ctypes.c_uint32 * 6)(effective & low, permitted & low, 0, effective >> 32, permitted >> 32, 0)
    _raw("capset", _OLD["capset"], header, sets)


def load_seccomp(program: bytes) -> None:
    """Install a classic BPF filter (8 bytes an instruction) for this process and all it starts."""
    filters = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    argument = Program(len(program) // 8, ctypes.addressof(filters))
    _raw("seccomp", _OLD["seccomp"], 1, 4, ctypes.byref(argument))


def bpf(command: int, attributes: bytes) -> int:
    return _raw("bpf", _OLD["bpf"], command, attributes, len(attributes))


def tee(source: int, target: int, length: int) -> int:
    """Duplicate what is in one pipe into another without consuming it. 0: empty for good; empty for now raises."""
    return _checked("tee", int(_libc.tee(source, target, ctypes.c_size_t(length), 2)))
