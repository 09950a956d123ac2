"""A classic BPF program for seccomp, assembled in Python: architecture, then a binary search over allowed ranges.

Answers: ALLOW, EPERM for what the profile refuses, ENOSYS for clone3, unknown numbers and other architectures' calls
(x32 and 32-bit ones among them). Pure; `functools.cache` keeps one program for each set of capabilities.
"""

from __future__ import annotations

import functools
import struct

from actors.plugins.runtime.seccomp_profile import AF_VSOCK, NAMESPACE_FLAGS, PERSONALITIES, derive_allowed
from actors.plugins.runtime.syscall_numbers import SYSCALLS

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16

Instruction = tuple[int, int, int, int]


@functools.cache
def build_filter(machine: str, capabilities: frozenset[str]) -> bytes:
    """8 bytes an instruction, for SECCOMP_SET_MODE_FILTER."""
    numbers = SYSCALLS[machine]
    special = _special_tests(numbers, capabilities)
    allowed = derive_allowed(machine, capabilities)
    program = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, ENOSYS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for number, body in special:
        program += [(_JUMP_EQUAL, 0, len(body), number), *body]
    program += _search(_ranges(allowed, max(numbers.values())))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _special_tests(numbers: dict[str, int], capabilities: frozenset[str]) -> list[tuple[int, list[Instruction]]]:
    """Calls that are judged by their first argument; only its low half matters."""
    argument = (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)
    allow, refuse = (_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, EPERM)
    tests = [(numbers["socket"], [argument, (_JUMP_EQUAL, 0, 1, AF_VSOCK), refuse, allow])]
    matches = [(_JUMP_EQUAL, len(PERSONALITIES) - at, 0, value) for at, value in enumerate(PERSONALITIES)]
    tests.append((numbers["personality"], [argument, *matches, refuse, allow]))
    if "SYS_ADMIN" not in capabilities:
        masked = (_AND, 0, 0, NAMESPACE_FLAGS)
        tests.append((numbers["clone"], [argument, masked, (_JUMP_EQUAL, 1, 0, 0), refuse, allow]))
        tests.append((numbers["clone3"], [(_RETURN, 0, 0, ENOSYS)]))
    return tests


def _ranges(allowed: set[int], last: int) -> list[tuple[int, int]]:
    """(first number, answer) of each stretch that is answered alike; the last one goes on for ever."""
    found: list[tuple[int, int]] = []
    for number in range(last + 1):
        answer = ALLOW if number in allowed else EPERM
        if not found or found[-1][1] != answer:
            found.append((number, answer))
    return [*found, (last + 1, ENOSYS)]


def _search(ranges: list[tuple[int, int]]) -> list[Instruction]:
    """The number is in the accumulator. Conditional jumps reach 255 instructions: the upper half comes first."""
    if len(ranges) == 1:
        return [(_RETURN, 0, 0, ranges[0][1])]
    middle = len(ranges) // 2
    upper, lower = _search(ranges[middle:]), _search(ranges[:middle])
    return [(_JUMP_GREATER_EQUAL, 0, len(upper), ranges[middle][0]), *upper, *lower]
