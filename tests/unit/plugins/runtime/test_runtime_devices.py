"""The device rules as v1 lines, and as an eBPF program run by an interpreter of the few instructions it uses."""

from __future__ import annotations

import itertools
import struct

import pytest

from actors.plugins.runtime.launcher.device_filter import DEFAULT_RULES, Rule, build_program, format_v1_rule

KINDS, ACCESS = {"b": 1, "c": 2}, {"m": 1, "r": 2, "w": 4}


def is_allowed(rules: list[Rule], kind: str, major: int, minor: int, access: str) -> bool:
    context = struct.pack("<III", sum(ACCESS[letter] for letter in access) << 16 | KINDS[kind], major, minor)
    registers = [0] * 11
    instructions = list(struct.iter_unpack("<BBhi", build_program(rules)))
    at = 0
    while True:
        code, pair, offset, value = instructions[at]
        target, source = pair & 15, pair >> 4
        at += 1
        if code == 0x95:
            return bool(registers[0])
        if code == 0x61:
            (registers[target],) = struct.unpack_from("<I", context, offset)
        elif code == 0xBC:
            registers[target] = registers[source]
        elif code == 0x54:
            registers[target] &= value
        elif code == 0x74:
            registers[target] >>= value
        elif code == 0xB7:
            registers[target] = value
        else:
            assert code in (0x55, 0x45)
            jumps = registers[target] != value if code == 0x55 else bool(registers[target] & value)
            at += offset if jumps else 0


def test_defaults() -> None:
    rules = list(DEFAULT_RULES)
    assert is_allowed(rules, "c", 1, 3, "rw")
    assert is_allowed(rules, "c", 195, 0, "m")
    assert not is_allowed(rules, "c", 195, 0, "r")
    assert not is_allowed(rules, "b", 8, 0, "r")
    assert is_allowed(rules, "c", 136, 77, "rw")


@pytest.mark.parametrize("asked", ["r", "w", "m", "rw", "rm", "rwm"])
@pytest.mark.parametrize("given", ["r", "rw", "rwm", "m"])
def test_all_that_is_asked_must_be_given(given: str, asked: str) -> None:
    rules: list[Rule] = [("c", 195, 3, given)]
    assert is_allowed(rules, "c", 195, 3, asked) == set(asked).issubset(given)
    assert not is_allowed(rules, "c", 195, 4, asked)
    assert not is_allowed(rules, "c", 194, 3, asked)
    assert not is_allowed(rules, "b", 195, 3, asked)


def test_every_rule_is_reached() -> None:
    rules: list[Rule] = [
        ("c", major, minor, "rw") for major, minor in itertools.product((10, 20, 300), (0, 255, 70000))
    ]
    for _, major, minor, _ in rules:
        assert is_allowed(rules, "c", major, minor, "rw")
        assert not is_allowed(rules, "c", major, minor + 1, "r")


def test_no_rules_allow_nothing_and_all_allows_everything() -> None:
    assert not is_allowed([], "c", 1, 3, "r")
    assert is_allowed([("a", -1, -1, "rwm")], "b", 8, 1, "rwm")


def test_v1_lines() -> None:
    assert [format_v1_rule(rule) for rule in (DEFAULT_RULES[0], DEFAULT_RULES[2], DEFAULT_RULES[-1])] == [
        "c *:* m",
        "c 1:3 rwm",
        "c 136:* rwm",
    ]
