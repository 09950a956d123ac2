"""Causes in Kubernetes' words (apimachinery pkg/util/validation/field), and two questions that validators share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.errors import Cause

Causes = Iterator[Cause]


def shown(value: Any) -> str:
    """As Kubernetes prints a bad value: as JSON, text in quotes."""
    return msgspec.json.encode(value).decode()


def required(path: str, hint: str = "") -> Cause:
    return Cause(path, f"Required value{': ' + hint if hint else ''}", "FieldValueRequired")


def wrong(path: str, value: Any, rule: str) -> Cause:
    return Cause(path, f"Invalid value: {shown(value)}: {rule}", "FieldValueInvalid")


def amiss(path: str, rule: str) -> Cause:
    """Of a value that is not shown."""
    return Cause(path, f"Invalid value: {rule}", "FieldValueInvalid")


def too_long(path: str, bytes_max: int) -> Cause:
    return Cause(path, f"Too long: may not be more than {bytes_max} bytes", "FieldValueTooLong")


def unsupported(path: str, value: Any, supported: Sequence[str]) -> Cause:
    choices = ", ".join(f'"{choice}"' for choice in supported)
    return Cause(
        path,
        f"Unsupported value: {shown(value if value is not None else '')}: supported values: {choices}",
        "FieldValueNotSupported",
    )


def duplicate(path: str, value: Any) -> Cause:
    return Cause(path, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def too_many(path: str, count: int, most: int) -> Cause:
    return Cause(path, f"Too many: {count}: must have at most {most} items", "FieldValueTooMany")


def forbidden(path: str, rule: str) -> Cause:
    return Cause(path, f"Forbidden: {rule}", "FieldValueForbidden")


def dicts_of(items: Any) -> list[Object]:
    """The objects in a list; of anything else none."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def is_int(value: Any, low: int, high: int = 2**31 - 1) -> bool:
    """An integer (true is none) between the bounds, both inclusive."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
