"""`"%s: %d of %.2f".format([a, b, c])` (cel-go ext/formatting.go)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from actors.api.cel.values import CelError, Duration, Timestamp, TypeValue, type_name

_CLAUSE = re.compile(r"%(?:%|(?:\.(\d{1,4}))?([a-zA-Z]))|%")
_PRECISION_MAX = 100


def format_text(pattern: str, values: list[Any]) -> str:
    """Raises CelError."""
    left = iter(values)

    def put(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        show = _CLAUSES.get(match[2] or "")
        if show is None:
            raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{match[2] or ""}"')
        precision = int(match[1]) if match[1] else None
        if precision is not None and precision > _PRECISION_MAX:
            raise CelError(f"precision {precision} is greater than the maximum of {_PRECISION_MAX}")
        try:
            value = next(left)
        except StopIteration:
            raise CelError(f"index {len(values)} out of range") from None
        return show(value, precision)

    return _CLAUSE.sub(put, pattern)


def _string(value: Any, precision: int | None) -> str:
    from actors.api.cel.functions.standard import show_double, to_text

    match value:
        case None:
            return "null"
        case TypeValue():
            return value.name
        case list():
            return "[" + ", ".join(_string(item, None) for item in value) + "]"
        case dict():
            texts = sorted((_string(key, None), _string(item, None)) for key, item in value.items())
            return "{" + ", ".join(f"{key}: {item}" for key, item in texts) + "}"
        case float():
            return show_double(value)
        case str() | bool() | int() | bytes() | Timestamp() | Duration():
            return to_text(value)
    raise CelError(f"error during formatting: no formatting function for {type_name(value)}")


def _unfit(rule: str, value: Any) -> CelError:
    return CelError(f"error during formatting: {rule}, was given {type_name(value)}")


def _decimal(value: Any, precision: int | None) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    raise _unfit("decimal clause can only be used on integers", value)


def _number(value: Any, clause: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise _unfit(f"{clause} clause can only be used on doubles", value)


def _fixed(value: Any, precision: int | None) -> str:
    return f"{_number(value, 'fixed-point'):.{6 if precision is None else precision}f}"


def _scientific(value: Any, precision: int | None) -> str:
    return f"{_number(value, 'scientific'):.{6 if precision is None else precision}e}"


def _binary(value: Any, precision: int | None) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return format(int(value), "b")
    raise _unfit("only integers and bools can be formatted as binary", value)


def _based(letter: str) -> Callable[[Any, int | None], str]:
    def show(value: Any, precision: int | None) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return format(int(value), letter)
        if letter in "xX" and isinstance(value, str | bytes):
            text = (value.encode() if isinstance(value, str) else value).hex()
            return text.upper() if letter == "X" else text
        raise _unfit(f"{letter} clause can only be used on integers", value)

    return show


_CLAUSES: dict[str, Callable[[Any, int | None], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _based("o"),
    "x": _based("x"),
    "X": _based("X"),
}
