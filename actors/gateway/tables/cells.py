"""The words of simple tables: a column beside the function that reads its cell from the decoded object.

For kinds whose rows are a field or two. Objects are typed by the store, so a reader only has to bear what is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.meta import LabelSelector
from actors.gateway.tables.table import AGE, NAME, NONE, Cell, Column, Printer, format_selector, format_since

UNSET = "<unset>"
Reader = Callable[[Object, Millis], Cell]


class Shown(NamedTuple):
    column: Column
    read: Reader


def at(obj: Any, path: str) -> Any:
    """What is at a dotted path; None where the way ends early."""
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def shown(name: str, read: str | Callable[[Object], Cell], absent: Cell = "", type: str = "string") -> Shown:
    """`read`: a path, or a function of the object. `absent` stands for what is not there."""

    def cell(obj: Object, now: Millis) -> Cell:
        value: Cell = at(obj, read) if isinstance(read, str) else read(obj)
        return absent if value is None else value

    return Shown(Column(name, type), cell)


def timed(name: str, read: Reader) -> Shown:
    """A cell that depends on the time."""
    return Shown(Column(name), read)


def only_wide(cell: Shown) -> Shown:
    """Shown with `-o wide` only."""
    return Shown(msgspec.structs.replace(cell.column, priority=1), cell.read)


NAMED = Shown(NAME, lambda obj, now: at(obj, "metadata.name"))
AGED = Shown(AGE, lambda obj, now: format_since(at(obj, "metadata.creationTimestamp"), now))
CREATED_AT = shown("Created At", "metadata.creationTimestamp", type="date")


def printer(*cells: Shown) -> Printer:
    """NAME, then these."""
    row = (NAMED, *cells)
    return Printer(tuple(cell.column for cell in row), dict, lambda obj, now: tuple(c.read(obj, now) for c in row))


def items(obj: Object, path: str) -> list[Any]:
    return at(obj, path) or []


def few(texts: Iterable[object], most: int = 3) -> str:
    """`a,b,c + 2 more...`."""
    found = [str(text) for text in texts]
    more = f" + {len(found) - most} more..." if len(found) > most else ""
    return ",".join(found[:most]) + more


def labels(found: dict[str, str] | None) -> str:
    """`a=b,c=d`; NONE when empty."""
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or NONE


def selector(found: Object | None) -> str:
    return format_selector(msgspec.convert(found, LabelSelector)) if found is not None else NONE


def containers(path: str) -> tuple[Shown, Shown]:
    """Names and images of the containers of a pod template."""

    def joined(field: str) -> Callable[[Object], Cell]:
        return lambda obj: ",".join(str(found.get(field, "")) for found in items(obj, f"{path}.spec.containers"))

    return shown("Containers", joined("name")), shown("Images", joined("image"))


def flag(value: bool | None) -> str:
    return UNSET if value is None else str(value)
