"""Which devices a container may use, held by the kernel: the v1 devices cgroup, or a BPF program on v2.

Without it a container could make any node itself: CAP_MKNOD is a default capability. Rules are
(c, b or a; major; minor; access), -1 stands for any number.
"""

from __future__ import annotations

import ctypes
import os
import struct

from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.cgroup_v1 import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.cgroup_layout import Layout

Rule = tuple[str, int, int, str]

#: Making nodes is allowed for every device (they cannot be opened); using them for these.
DEFAULT_RULES: tuple[Rule, ...] = (
    ("c", -1, -1, "m"),
    ("b", -1, -1, "m"),
    *(("c", 1, minor, "rwm") for minor in (3, 5, 7, 8, 9)),
    ("c", 5, 0, "rwm"),
    ("c", 5, 2, "rwm"),
    ("c", 136, -1, "rwm"),
)
_PROG_LOAD, _PROG_ATTACH, _TYPE_CGROUP_DEVICE, _ATTACH_DEVICE, _ALLOW_MULTI = 5, 8, 15, 6, 2
_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}


def format_v1_rule(rule: Rule) -> str:
    """`c 136:* rwm`."""
    kind, major, minor, access = rule
    numbers = ":".join("*" if number < 0 else str(number) for number in (major, minor))
    return f"{kind} {numbers} {access}"


def apply_filter(layout: Layout, group: str, rules: list[Rule]) -> None:
    """A second call with the same rules allows no more than the first."""
    if not layout.pure_v2:
        path = f"{layout.v1['devices']}/{group}"
        write_file(f"{path}/devices.deny", "a")
        write_file(f"{path}/devices.allow", *map(format_v1_rule, rules))
        return
    attach_program(f"{layout.unified}/{group}", build_program(rules))


def build_program(rules: list[Rule]) -> bytes:
    """BPF for BPF_PROG_TYPE_CGROUP_DEVICE: 1 when a rule allows everything that is asked, else 0.

    The context is {u32 access << 16 | type, u32 major, u32 minor}, loaded into r2 (type), r3 (access), r4, r5.
    """
    code = [
        _instruction(0x61, 2, 1, 0, 0),
        _instruction(0xBC, 3, 2, 0, 0),
        _instruction(0x54, 2, 0, 0, 0xFFFF),
        _instruction(0x74, 3, 0, 0, 16),
        _instruction(0x61, 4, 1, 4, 0),
        _instruction(0x61, 5, 1, 8, 0),
    ]
    for rule in rules:
        code += _compile_rule(rule)
    return b"".join([*code, _instruction(0xB7, 0, 0, 0, 0), _instruction(0x95)])


def _compile_rule(rule: Rule) -> list[bytes]:
    """Tests that jump behind the rule's end when they fail; then `return 1`."""
    kind, major, minor, access = rule
    mask = sum(_ACCESS[letter] for letter in access)
    tests: list[tuple[int, int, int]] = []  # (register, jump-if opcode, value): jumps over what follows
    if kind != "a":
        tests.append((2, 0x55, _KINDS[kind]))
    if major >= 0:
        tests.append((4, 0x55, major))
    if minor >= 0:
        tests.append((5, 0x55, minor))
    forbidden = 7 & ~mask
    if forbidden:
        tests.append((3, 0x45, forbidden))
    body = [_instruction(0xB7, 0, 0, 0, 1), _instruction(0x95)]
    jumps = [
        _instruction(opcode, register, 0, len(tests) - 1 - index + len(body), value)
        for index, (register, opcode, value) in enumerate(tests)
    ]
    return jumps + body


def _instruction(opcode: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", opcode, source << 4 | target, offset, value)


def attach_program(group_path: str, program: bytes) -> None:
    """Load and attach for the life of the group. One that is attached already stays: all must allow."""
    instructions = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "<IIQQIIQII",
        _TYPE_CGROUP_DEVICE,
        len(program) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(license_text),
        0,
        0,
        0,
        0,
        0,
    )
    program_fd = sys.bpf(_PROG_LOAD, load)
    group_fd = os.open(group_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sys.bpf(_PROG_ATTACH, struct.pack("<IIII", group_fd, program_fd, _ATTACH_DEVICE, _ALLOW_MULTI))
    finally:
        os.close(program_fd)
        os.close(group_fd)
