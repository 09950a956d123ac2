"""OpenAPI documents in google/gnostic's protobuf form, by tables: `gnostic_v2`, `gnostic_v3`.

A message is a table of field names to numbers and types; what it has no field for is left out, as gnostic leaves it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_VARINT, _FIXED64, _BYTES = 0, 1, 2
#: message -> JSON name -> (number, type). "[]" is a list; "x-" stands for all vendor extensions.
Messages = Mapping[str, Mapping[str, tuple[int, str]]]
Encode = Callable[[Any], bytes]


class Encoder:
    """`special`: types that are not plain messages, each with what encodes its content."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.special: dict[str, Encode] = {"string": lambda value: str(value).encode(), "Any": _any}

    def message(self, name: str, value: Mapping[str, Any]) -> bytes:
        fields, parts = self._messages[name], []
        for key, item in value.items():
            row = fields.get(key)
            if row is not None:
                parts.append(self.field(row[0], row[1], item))
            elif key.startswith("x-") and "x-" in fields:
                parts.append(delimited(fields["x-"][0], _named(key, _any(item))))
        return b"".join(parts)

    def content(self, type_name: str, value: Any) -> bytes:
        special = self.special.get(type_name)
        return special(value) if special else self.message(type_name, value)

    def field(self, number: int, type_name: str, value: Any) -> bytes:
        if type_name.startswith("[]"):
            return b"".join(self.field(number, type_name[2:], item) for item in value)
        match type_name:
            case "bool":
                return _tag(number, _VARINT) + (b"\1" if value else b"\0")
            case "int64":
                return _tag(number, _VARINT) + _varint(int(value) & (2**64 - 1))
            case "double":
                return _tag(number, _FIXED64) + struct.pack("<d", value)
        return delimited(number, self.content(type_name, value))

    def each(self, number: int, type_name: str) -> Encode:
        """A map as a list of pairs."""
        return lambda value: b"".join(
            delimited(number, _named(name, self.content(type_name, item))) for name, item in value.items()
        )

    def within(self, number: int, type_name: str) -> Encode:
        """A message with one field."""
        return lambda value: self.field(number, type_name, value)


def _any(value: Any) -> bytes:
    """JSON is YAML, which is how gnostic keeps what it has no type for."""
    return delimited(2, msgspec.json.encode(value))


def _named(name: str, value: bytes) -> bytes:
    return delimited(1, name.encode()) + delimited(2, value)


def delimited(number: int, data: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(data)) + data


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
