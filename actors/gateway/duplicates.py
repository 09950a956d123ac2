"""Names that a body gives to one object more than once. The last value counts; strict clients are told (KEP-2885).

Pure. JSON is told by the field's path (sigs.k8s.io/json), YAML by its line (sigs.k8s.io/yaml). Nearly every body is
known to have none without being read a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from actors.gateway.media import Body

_JSON_BODIES = frozenset({Body.JSON, Body.MERGE, Body.STRATEGIC, Body.APPLY})
_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_SHOWN_MAX = 20


class Repeats(msgspec.Struct, frozen=True):
    """What is told of each; `is_yaml`: they are lines."""

    told: tuple[str, ...] = ()
    is_yaml: bool = False

    @property
    def strict(self) -> tuple[str, ...]:
        """As parts of a strict decoding error."""
        return (_YAML_ERRORS + "\n  ".join(self.told),) if self.is_yaml and self.told else self.told


_YAML_ERRORS = "yaml: unmarshal errors:\n  "
NONE = Repeats()


def find_repeats(text: bytes, body: Body, value: Any) -> Repeats:
    """Of a body that has been parsed before, to `value`, so that it is neither malformed nor too deep."""
    if body is Body.YAML or (body is Body.APPLY and not _is_json(text)):
        lines = [f"line {line}: key {json.dumps(key)} already set in map" for line, key in _in_yaml(text)]
        return Repeats(tuple(lines[:_SHOWN_MAX]), is_yaml=True)
    if body in _JSON_BODIES and not _has_none(text, value):
        found = dict.fromkeys(_in_pairs(json.loads(text, object_pairs_hook=_Pairs), ""))
        return Repeats(tuple(f'duplicate field "{path}"' for path in found)[:_SHOWN_MAX])
    return NONE


def _is_json(text: bytes) -> bool:
    """Not only YAML in flow style."""
    try:
        return text.lstrip()[:1] == b"{" and _JSON.decode(text) is not None
    except msgspec.MsgspecError:
        return False


def _has_none(text: bytes, value: Any) -> bool:
    """Certainly no duplicate: without escapes, each name and each text is two quotes, and decoding has lost none."""
    return b"\\" not in text and text.count(b'"') == msgspec.json.encode(value).count(b'"')


class _Pairs(list[tuple[str, Any]]):
    """An object with every name it has, in order."""


def _in_pairs(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen = set()
        for name, item in value:
            at = f"{path}.{name}" if path else name
            if name in seen:
                yield at
            seen.add(name)
            yield from _in_pairs(item, at)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _in_pairs(item, f"{path}[{position}]")


class _Mapping:
    """One that is being read: whether a key comes next, and the keys so far."""

    def __init__(self, *, is_mapping: bool) -> None:
        self.is_mapping = self.expects_key = is_mapping
        self.keys: set[str] = set()


def _in_yaml(text: bytes) -> Iterator[tuple[int, str]]:
    """Line, from 1, and key."""
    stack: list[_Mapping] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        top = stack[-1] if stack else None
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        if isinstance(event, yaml.ScalarEvent) and top is not None and top.expects_key:
            if event.value in top.keys:
                yield (event.start_mark.line if event.start_mark else 0) + 1, event.value
            top.keys.add(event.value)
        if isinstance(event, yaml.NodeEvent) and top is not None and top.is_mapping:
            top.expects_key = not top.expects_key
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(_Mapping(is_mapping=isinstance(event, yaml.MappingStartEvent)))
