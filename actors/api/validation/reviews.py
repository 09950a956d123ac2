"""The selectors that an access review asks about (pkg/apis/authorization/validation, KEP-4601)."""

from __future__ import annotations

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, wrong

_WITH_VALUES, _WITHOUT = ("In", "NotIn"), ("Exists", "DoesNotExist")


def validate_selectors(attributes: Object, path: str) -> Causes:
    """Of ResourceAttributes."""
    for name in ("fieldSelector", "labelSelector"):
        selector = attributes.get(name)
        if isinstance(selector, dict):
            yield from _selector(selector, f"{path}.{name}")


def _selector(selector: Object, path: str) -> Causes:
    raw, rows = selector.get("rawSelector"), dicts_of(selector.get("requirements"))
    if raw and rows:
        yield wrong(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not rows:
        yield required(f"{path}.requirements", f"when {path} is specified, requirements or rawSelector is required")
    for i, row in enumerate(rows):
        yield from _requirement(row, f"{path}.requirements[{i}]")


def _requirement(row: Object, path: str) -> Causes:
    """Operators that nobody knows yet are for later."""
    if not row.get("key"):
        yield required(f"{path}.key", "must be specified")
    operator, values = row.get("operator"), row.get("values")
    if operator in _WITH_VALUES and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in _WITHOUT and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
