"""Sets of fields, as `managedFields` has them (fieldsV1, structured-merge-diff): paths whose steps are `f:name` for a
member, `k:{"name":"c"}` for an item of a keyed list and `v:"x"` for a member of a set. Atomic lists are one field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from actors.api.codec import Object
from actors.api.crd.fields import NodeField
from actors.api.crd.kinds import CustomKind
from actors.api.kept import kept_for_short
from actors.api.kinds import Kind
from actors.api.schema import Field, definition_name

Path = tuple[str, ...]
#: JSON texts that need no parsing to be known as such.
_PLAIN = re.compile(r'"[ !#-\[\]-~]*"')


class Container:
    """The value of a path that is itself a member and holds others: a map, a keyed list, an item of one."""

    def __repr__(self) -> str:
        return "CONTAINER"


CONTAINER = Container()
SERVER_METADATA = frozenset(
    {
        "f:name",
        "f:generateName",
        "f:namespace",
        "f:uid",
        "f:resourceVersion",
        "f:generation",
        "f:creationTimestamp",
        "f:deletionTimestamp",
        "f:deletionGracePeriodSeconds",
        "f:selfLink",
        "f:managedFields",
    }
)
#: The one merge key that clients leave out, with its default.
KEY_DEFAULTS = {"protocol": "TCP"}


def root_of(kind: Kind) -> Field:
    """The schema of the whole object."""
    if isinstance(kind, CustomKind):
        return NodeField("", node=kind.node, is_root=True)
    return Field(definition_name(kind.api_version, kind.kind))


def flatten(obj: Object, root: Field, *, status: bool | None = None) -> dict[Path, Any]:
    """The fields that a manager can own, with their values. `status`: only it, without it, or (None) all."""
    fields = {
        name: value
        for name, value in obj.items()
        if name not in ("apiVersion", "kind") and (status is None or (name == "status") is status)
    }
    flat = dict(_walk_object(fields, root, ()))
    return {path: value for path, value in flat.items() if not (path[0] == "f:metadata" and _is_server_set(path))}


def _is_server_set(path: Path) -> bool:
    return len(path) == 1 or path[1] in SERVER_METADATA


def _walk_object(value: Object, root: Field, path: Path) -> Iterator[tuple[Path, Any]]:
    for name, item in value.items():
        yield from _walk(item, root.member(name), (*path, "f:" + name))


def _walk(value: Any, field: Field | None, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not (field and field.map_type == "atomic"):
        if field and field.is_map:
            yield path, CONTAINER
        for name, item in value.items():
            yield from _walk(item, member_field(field, name), (*path, "f:" + name))
    elif isinstance(value, list) and value and (steps := item_steps(value, field)) is not None:
        yield path, CONTAINER
        element = field.item if field else None
        is_whole = element is not None and element.map_type == "atomic"
        for step, item in zip(steps, value, strict=True):
            yield (*path, step), CONTAINER if isinstance(item, dict) and not is_whole else item
            if isinstance(item, dict) and not is_whole:
                yield from (
                    pair
                    for n, i in item.items()
                    for pair in _walk(i, member_field(element, n), (*path, step, f"f:{n}"))
                )
    else:
        yield path, CONTAINER if _holds_entries(value, field) else value


def _holds_entries(value: Any, field: Field | None) -> bool:
    """An empty map, keyed list or set: nobody's entries are in it, and whoever adds one changes nothing of it."""
    if field is None or value not in ({}, []):
        return False
    if isinstance(value, dict):
        return field.map_type != "atomic"
    return field.list_type == "set" or (field.list_type == "map" and bool(field.map_keys))


def member_field(field: Field | None, name: str) -> Field | None:
    """The schema of a member of a struct or map."""
    return field.member(name) if field else None


def item_steps(items: list[Any], field: Field | None) -> list[str] | None:
    """The steps to the items of a keyed list or a set; None for an atomic list."""
    if field is None:
        return None
    if field.list_type == "map" and field.map_keys and all(isinstance(item, dict) for item in items):
        return [_key_step(item, field.map_keys) for item in items]
    if field.list_type == "set":
        return ["v:" + _compact(item) for item in items]
    return None


def _key_step(item: Object, keys: Sequence[str]) -> str:
    if len(keys) == 1 and isinstance(name := item.get(keys[0]), str):
        return _name_step(name, keys[0])
    found = {key: item.get(key, KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return "k:" + _compact({key: value for key, value in found.items() if value is not None})


@kept_for_short(4096)
def _name_step(name: str, key: str) -> str:
    """Of the lists that go by one name, which are nearly all."""
    return "k:" + _compact({key: name})


def _compact(value: Any) -> str:
    if isinstance(value, str):  # The same, ten times as fast: what the items of sets are.
        return encode_basestring_ascii(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def encode_fields(paths: Iterable[Path]) -> Object:
    """fieldsV1, in Kubernetes' order. A path that others go on from is marked by ".", before them."""
    root: Object = {}
    wanted = sorted(paths)
    inner = {path[:end] for path in wanted for end in range(1, len(path))}
    for path in wanted:
        at = root
        for step in path:
            at = at.setdefault(step, {})
        if path in inner:
            at["."] = {}
    return root


def decode_fields(fields: Any) -> frozenset[Path]:
    """Of fieldsV1; what is not such is left out."""
    return frozenset(_decode(fields, ()))


def _decode(fields: Any, path: Path) -> Iterator[Path]:
    if not isinstance(fields, dict):
        return
    if path and not fields:
        yield path
    for step, inner in fields.items():
        if step == ".":
            yield path
        elif _is_step(step):
            yield from _decode(inner, (*path, step))


def _is_step(step: str) -> bool:
    kind, _, text = step.partition(":")
    if kind == "f" or (kind == "v" and _PLAIN.fullmatch(text)):
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return kind == "v" or (kind == "k" and isinstance(value, dict))


def format_path(path: Path) -> str:
    """`.spec.containers[name="c"].image`."""
    return "".join(_format_step(step) for step in path)


def _format_step(step: str) -> str:
    kind, _, text = step.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    keys = json.loads(text)
    return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in keys.items()) + "]"
