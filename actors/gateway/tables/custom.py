"""Rows of custom resources: the columns that their definition names, each a JSONPath into the object."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.crd.definition import PrinterColumn
from actors.api.crd.kinds import CustomKind
from actors.api.json_path import Step, find_all, parse_path
from actors.gateway.tables.table import NAME, Cell, Column, Printer, format_duration

_AGE = PrinterColumn("Age", "date", ".metadata.creationTimestamp", description="Time since the object was created.")
_INVALID = "<invalid>"


@lru_cache(maxsize=1024)
def printer_of(kind: CustomKind) -> Printer:
    """NAME and AGE when the definition names no columns."""
    wanted = kind.columns or (_AGE,)
    paths = [(column.type, parse_path(column.json_path)) for column in wanted]
    columns = [Column(c.name, c.type, c.format, c.description or _told(c), c.priority) for c in wanted]

    def cells(obj: Any, now: Millis) -> tuple[Cell, ...]:
        return (obj["metadata"]["name"], *(_cell(obj, type_name, path, now) for type_name, path in paths))

    return Printer((NAME, *columns), dict, cells)


def _told(column: PrinterColumn) -> str:
    return f"Custom resource definition column (in JSONPath format): {column.json_path}"


def _cell(obj: Any, type_name: str, path: tuple[Step, ...], now: Millis) -> Cell:
    value = next(find_all(obj, path), None)
    if value is None:
        return None
    match type_name:
        case "integer":
            return int(value) if isinstance(value, int | float) else None
        case "number":
            return value if isinstance(value, int | float) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _age(value, now)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _age(value: Any, now: Millis) -> str:
    try:
        return format_duration(now - parse_time(value))
    except (ValueError, TypeError):
        return _INVALID
