"""What defaulters share: filling in without overwriting, and constants by place."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from actors.api.codec import Object

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def copied(value: Any) -> Any:
    """All the way down. By JSON there and back, several times as fast as a walk."""
    return _DECODER.decode(_ENCODER.encode(value))


def fill(target: Object, defaults: dict[str, Any]) -> None:
    for name, value in defaults.items():
        if target.get(name) is None:
            target[name] = value


def section(obj: Object, name: str) -> Object:
    """The dict at `name`, made when it is missing; something else there is validation's to refuse."""
    found = obj.get(name)
    if found is None:
        found = obj[name] = {}
    return found if isinstance(found, dict) else {}


def dicts(items: Any) -> Iterable[Object]:
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Any]]:
    text = resources.files("actors.api.defaulting").joinpath("defaults.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, Any]])


def fill_constants(obj: Object, api_version: str, kind: str) -> None:
    """From defaults.json. A path makes what it leads through: `a.b`; not where it says `a?.b`; each item: `a[].b`."""
    for path, value in _table().get(f"{api_version} {kind}", {}).items():
        _fill_at(obj, path.split("."), value)


def has_constants(api_version: str, kind: str) -> bool:
    return f"{api_version} {kind}" in _table()


def _fill_at(obj: Object, path: list[str], value: Any) -> None:
    head, rest = path[0], path[1:]
    if not rest:
        fill(obj, {head: copied(value)})
    elif head.endswith("[]"):
        for item in dicts(obj.get(head[:-2])):
            _fill_at(item, rest, value)
    elif not head.endswith("?"):
        _fill_at(section(obj, head), rest, value)
    elif isinstance(found := obj.get(head[:-1]), dict):
        _fill_at(found, rest, value)
