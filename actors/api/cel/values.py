"""The values of the language. JSON's are plain Python; what JSON has not is one of the classes here.

null None, bool, int, uint Uint, double float, string str, bytes, list, map dict, and opaque values: anything with a
`type_name`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1


class CelError(Exception):
    """An expression that cannot be compiled, or that failed on its data. The text is one line for users."""


class OutOfBudget(CelError):
    """What has been spent is gone: no `||` makes up for it."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class Uint(int):
    """0 to 2**64-1."""


@dataclass(slots=True, frozen=True, order=True)
class Timestamp:
    """Nanoseconds since 1970."""

    nanos: int
    type_name: ClassVar[str] = "google.protobuf.Timestamp"


@dataclass(slots=True, frozen=True, order=True)
class Duration:
    nanos: int
    type_name: ClassVar[str] = "google.protobuf.Duration"


@dataclass(slots=True, frozen=True)
class TypeValue:
    """What type() answers."""

    name: str
    type_name: ClassVar[str] = "type"


@dataclass(slots=True, frozen=True, eq=False)
class Optional:
    """`of` is the value; None as value is null. The one without a value is NONE."""

    of: Any
    type_name: ClassVar[str] = "optional_type"


NONE = Optional(None)


class TypedObject(dict[str, Any]):
    """An object literal with a type: Object.spec{replicas: 1}."""

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


_NAMES: dict[type, str] = {
    type(None): "null_type",
    bool: "bool",
    Uint: "uint",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
}
NUMBERS = frozenset({int, Uint, float})


_SIZED = (str, bytes, list, dict)


def type_name(value: Any) -> str:
    return _NAMES.get(type(value)) or str(getattr(value, "type_name", "dyn"))


def size_of(value: Any) -> int:
    """As cost counts it: characters, bytes, entries; 1 of everything else."""
    return len(value) if isinstance(value, _SIZED) else 1


def no_overload() -> CelError:
    return CelError("no such overload")
