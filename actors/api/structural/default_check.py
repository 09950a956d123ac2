"""Defaults in a schema fit the schema that they stand in: nothing unknown in them, valid, and not against a rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.structural.defaults import apply_defaults
from actors.api.structural.node import compile_node
from actors.api.structural.prune import prune
from actors.api.structural.rules import check_rules
from actors.api.structural.validate import validate
from actors.api.validation.causes import forbidden, wrong


def check_defaults(schema: Object, path: str) -> Iterator[Cause]:
    """Of a structural schema with sound rules; `path` names it."""
    if schema.get("default") is not None:
        yield forbidden(f"{path}.default", "must not be set at the root")
    yield from _walk(schema, path, root=True)


def _walk(schema: Object, path: str, *, root: bool = False) -> Iterator[Cause]:
    for name, part in (schema.get("properties") or {}).items():
        if root and name == "metadata":
            continue
        yield from _check(part, f"{path}.properties[{name}]")
    for name in ("additionalProperties", "items"):
        if isinstance(part := schema.get(name), dict):
            yield from _check(part, f"{path}.{name}")


def _check(schema: Object, path: str) -> Iterator[Cause]:
    if (value := schema.get("default")) is not None:
        yield from _check_default(value, schema, f"{path}.default")
    yield from _walk(schema, path)


def _check_default(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    node = compile_node(schema)
    unknown: list[str] = []
    prune(value, node, unknown=unknown)
    for name in unknown:
        yield wrong(f"{path}.{name}", "", "must not have unknown fields")
    filled = apply_defaults(value, node)
    causes = validate(filled, node, path)
    yield from causes
    if not causes:
        yield from (
            Cause(_joined(path, cause.field), cause.message, cause.reason) for cause in check_rules(filled, node)
        )


def _joined(path: str, field: str) -> str:
    return f"{path}{'' if not field or field.startswith('[') else '.'}{field}"
