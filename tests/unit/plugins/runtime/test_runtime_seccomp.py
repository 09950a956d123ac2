"""The seccomp program, run by an interpreter of classic BPF: what each call is answered."""

from __future__ import annotations

import struct

import pytest

from actors.plugins.runtime.capabilities import DEFAULT, NAMES
from actors.plugins.runtime.seccomp import ALLOW, AUDIT_ARCH, ENOSYS, EPERM, build_filter
from actors.plugins.runtime.seccomp_profile import NAMESPACE_FLAGS, PERSONALITIES, derive_allowed
from actors.plugins.runtime.syscall_numbers import SYSCALLS

MACHINES = sorted(SYSCALLS)


def answer(program: bytes, arch: int, number: int, argument: int = 0) -> int:
    """Interpret the filter over `struct seccomp_data`."""
    data = struct.pack("<IIQ6Q", number, arch, 0, argument, 0, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        else:
            holds = accumulator == value if code == 0x15 else accumulator >= value
            assert code in (0x15, 0x35)
            at += if_true if holds else if_false


def of(machine: str, name: str, argument: int = 0, capabilities: frozenset[str] = DEFAULT) -> int:
    program = build_filter(machine, capabilities)
    return answer(program, AUDIT_ARCH[machine], SYSCALLS[machine][name], argument)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_is_answered_as_the_profile_says(machine: str) -> None:
    program = build_filter(machine, DEFAULT)
    allowed = derive_allowed(machine, DEFAULT)
    special = {SYSCALLS[machine][name] for name in ("socket", "clone", "clone3", "personality")}
    for number in range(max(SYSCALLS[machine].values()) + 1):
        if number not in special:
            assert answer(program, AUDIT_ARCH[machine], number) == (ALLOW if number in allowed else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "name", ["mount", "setns", "unshare", "bpf", "keyctl", "init_module", "userfaultfd", "kexec_load"]
)
def test_dangerous_calls_are_refused(machine: str, name: str) -> None:
    assert of(machine, name) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "name", ["read", "execve", "openat2", "futex_waitv", "ptrace", "memfd_create", "chroot", "mseal"]
)
def test_ordinary_calls_are_allowed(machine: str, name: str) -> None:
    assert of(machine, name) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_judged_by_their_argument(machine: str) -> None:
    assert of(machine, "clone", 0x11) == ALLOW
    assert {of(machine, "clone", 1 << bit) for bit in range(32) if NAMESPACE_FLAGS >> bit & 1} == {EPERM}
    assert of(machine, "clone3") == ENOSYS
    assert (of(machine, "socket", 2), of(machine, "socket", 40)) == (ALLOW, EPERM)
    assert {of(machine, "personality", value) for value in PERSONALITIES} == {ALLOW}
    assert of(machine, "personality", 0x40000) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_a_capability_brings_its_calls_back(machine: str) -> None:
    admin = DEFAULT | {"SYS_ADMIN"}
    assert {of(machine, name, capabilities=admin) for name in ("mount", "clone3", "setns")} == {ALLOW}
    assert of(machine, "clone", NAMESPACE_FLAGS, admin) == ALLOW
    assert of(machine, "chroot", capabilities=frozenset()) == EPERM
    assert of(machine, "socket", 40, frozenset(NAMES)) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_what_nobody_knows_does_not_exist(machine: str) -> None:
    program = build_filter(machine, DEFAULT)
    last = max(SYSCALLS[machine].values())
    assert {answer(program, AUDIT_ARCH[machine], number) for number in (last + 1, 1 << 20, 0x40000000, 2**32 - 1)} == {
        ENOSYS
    }
    assert answer(program, 0x40000003, SYSCALLS[machine]["getpid"]) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_it_fits_the_kernel_and_jumps_stay_short(machine: str) -> None:
    for capabilities in (frozenset(), DEFAULT, frozenset(NAMES)):
        assert len(build_filter(machine, capabilities)) // 8 < 512


def test_the_numbers_that_everybody_knows() -> None:
    x86, arm = SYSCALLS["x86_64"], SYSCALLS["aarch64"]
    assert (x86["read"], x86["execve"], x86["clone3"], x86["file_setattr"]) == (0, 59, 435, 469)
    assert (arm["read"], arm["execve"], arm["clone"], arm["clone3"], arm["openat"]) == (63, 221, 220, 435, 56)
    assert len(x86) == len(set(x86.values()))
    assert len(arm) == len(set(arm.values()))
