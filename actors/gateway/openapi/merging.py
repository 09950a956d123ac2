"""What another server tells of its group and version in OpenAPI 2, merged into our document (kube-openapi
pkg/aggregator). Its paths and what they need are taken, under names that do not change what ours mean. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from actors.gateway.openapi.gnostic_v2 import encode_v2
from actors.gateway.openapi.schemas import Document, Version

_PARAMETERS = "#/parameters/"
_DEFINITIONS = Version.V2.value
_NO_DOCUMENT = (AttributeError, KeyError, TypeError, ValueError, RecursionError, msgspec.DecodeError, struct.error)


def part_of(text: bytes, path: str) -> bytes:
    """Of another server's document: what is at `/apis/GROUP/VERSION`, and the definitions that this refers to; b"" of
    what is no document. Whoever serves it need not mean us well: what is kept can be merged and sent in every form."""
    try:
        document = msgspec.json.decode(text)
        shared = document.get("parameters") or {}
        here = {at: item for at, item in document["paths"].items() if at == path or at.startswith(f"{path}/")}
        paths = {at: _replaced(item, _inlined(shared)) for at, item in here.items()}
        part = {"paths": paths, "definitions": dict(_needed(paths, document.get("definitions") or {}))}
        encode_v2(merged({"paths": {}, "definitions": {}}, part))
    except _NO_DOCUMENT:
        return b""
    return msgspec.json.encode(part)


def merged(ours: Document, part: Document) -> Document:
    """With the part's definitions under other names (`..._v2`) where ours of these names are something else."""
    known, names = ours["definitions"], {}
    for name, schema in part["definitions"].items():
        new, count = name, 1
        while new in known and known[new] != schema:
            count += 1
            new = f"{name}_v{count}"
        names[_DEFINITIONS + name] = _DEFINITIONS + new

    def renamed(value: Document) -> Document:
        return {**value, "$ref": names.get(value["$ref"], value["$ref"])}

    theirs = {
        names[_DEFINITIONS + name].removeprefix(_DEFINITIONS): _replaced(schema, renamed)
        for name, schema in part["definitions"].items()
    }
    paths = {at: _replaced(item, renamed) for at, item in part["paths"].items()}
    return {**ours, "paths": {**paths, **ours["paths"]}, "definitions": {**theirs, **known}}


def _inlined(shared: Document) -> Callable[[Document], Document]:
    """Parameters that a document keeps in one place."""

    def replace(value: Document) -> Document:
        at = value["$ref"]
        return dict(shared[at.removeprefix(_PARAMETERS)]) if at.startswith(_PARAMETERS) else value

    return replace


def _replaced(value: Any, replace: Callable[[Document], Document]) -> Any:
    """With another value for each reference."""
    if isinstance(value, list):
        return [_replaced(item, replace) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        return replace(value)
    return {name: _replaced(item, replace) for name, item in value.items()}


def _needed(paths: Document, definitions: Document) -> Iterator[tuple[str, Any]]:
    pending, seen = list(_references(paths)), set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            yield name, definitions[name]
            pending += _references(definitions[name])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_DEFINITIONS)
        for item in value.values():
            yield from _references(item)
