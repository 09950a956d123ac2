"""What people see: tables, progress and sizes; and JSON for programs, with `-o json`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

#: Of a message in a table.
_LINE_CHARS_MAX = 160


class Format(StrEnum):
    """`-o`."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table or json")]


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_json_line(value: Any) -> None:
    """For what comes bit by bit."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Left-aligned columns, as kubectl prints them; every cell on one line."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        line = "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _cell(value: object) -> str:
    return " ".join(str(value).split()) or "-"


def format_line(text: str) -> str:
    """What a table has room for; `-o json` has all of it."""
    return text if len(text) <= _LINE_CHARS_MAX else f"{text[:_LINE_CHARS_MAX]}..."


def format_bytes(count: float) -> str:
    """`1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_age(since_seconds: float) -> str:
    """`45s`, `12m`, `3h`, `2d`, as kubectl rounds."""
    seconds = max(0, int(time.time() - since_seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


class Progress:
    """One line on stderr that renews itself on a terminal; on a pipe each new text is a line of its own."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled, self._is_terminal, self._last = enabled, sys.stderr.isatty(), ""

    def show(self, text: str) -> None:
        if not self._enabled or text == self._last:
            return
        self._last = text
        sys.stderr.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._enabled and self._is_terminal and self._last:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._last = ""
