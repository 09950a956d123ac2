"""Rows of a benchmark as text for people: a table where it fits, else a few lines for each row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]

_COLUMNS = ("name", "value", "peer", "ratio", "n", "p50", "p99", "cpu_us")
_LEFT = ("name", "peer")
_GAP = "  "


def render(rows: Sequence[Row], title: str, width: int) -> Iterator[str]:
    """Lines of at most `width` characters, unless a single cell is longer than that. A column that is empty in every
    row is left out; no cell is broken."""
    yield title
    cells = [_cells(row) for row in rows]
    columns = [name for name in _COLUMNS if any(row[name] for row in cells)]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in columns}
    if sum(widths.values()) + len(_GAP) * (len(columns) - 1) <= width:
        yield _line({name: name for name in columns}, widths)
        yield from (_line(row, widths) for row in cells)
        return
    for row in cells:
        yield f"{row['name']}: {row['value']}"
        yield from _folded([f"{name} {row[name]}" for name in columns[2:] if row[name]], width)


def _cells(row: Row) -> dict[str, str]:
    """A figure with its unit, the peer with its figure."""
    texts = {name: format_value(row.get(name)) for name in _COLUMNS}
    unit = f" {row['unit']}" if row.get("unit") else ""
    texts["value"] += unit if texts["value"] else ""
    peer_value = format_value(row.get("peer_value"))
    texts["peer"] = " ".join(filter(None, (texts["peer"], peer_value + unit if peer_value else "")))
    return texts


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    padded = (row[name].ljust(size) if name in _LEFT else row[name].rjust(size) for name, size in widths.items())
    return _GAP.join(padded).rstrip()


def _folded(words: Sequence[str], width: int) -> Iterator[str]:
    """Indented lines, broken between words only."""
    line = ""
    for word in words:
        if line and len(line) + len(word) + len(", ,") > width:
            yield f"{line},"
            line = ""
        line = f"{line}, {word}" if line else f"    {word}"
    if line:
        yield line


def format_value(value: object) -> str:
    """Three significant digits; whole numbers with separators."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " + ".join(f"{name} {amount}" for name, amount in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
