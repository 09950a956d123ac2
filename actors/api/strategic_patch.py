"""Kubernetes' strategic merge patch (sig-api-machinery's strategic-merge-patch.md) as a pure function.

Lists merge by the key that the schema names, as sets, or not at all; `$patch`, `$retainKeys`, `$setElementOrder` and
`$deleteFromPrimitiveList` direct how. The input is never changed; a patch that contradicts itself is a BadRequest.
"""

from __future__ import annotations

import copy
from typing import Any

from actors.api.errors import BadRequest
from actors.api.schema import Shape, definition_name

Json = Any

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE_FROM = "$deleteFromPrimitiveList/"


def apply_strategic(target: Json, patch: Json, api_version: str, kind: str) -> Json:
    """Strategic merge (sig-api-machinery's strategic-merge-patch.md); merge keys come from the schema of the kind."""
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch is an object")
    return _merge_object(target if isinstance(target, dict) else {}, patch, Shape(definition_name(api_version, kind)))


def _merge_object(target: dict[str, Json], patch: dict[str, Json], shape: Shape) -> dict[str, Json]:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {name: copy.deepcopy(value) for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown strategic merge directive {directive!r}")
    _check_directives(patch, shape)
    merged = dict(target)
    if _RETAIN in patch:
        retained = set(patch[_RETAIN])
        merged = {name: value for name, value in merged.items() if name in retained}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM) and isinstance(merged.get(name[len(_DELETE_FROM) :]), list):
            field = name[len(_DELETE_FROM) :]
            dropped = {_rank_key(item, "") for item in value}
            merged[field] = [item for item in merged[field] if _rank_key(item, "") not in dropped]
    for name, value in patch.items():
        if not name.startswith("$"):
            _merge_field(merged, name, value, shape, patch.get(_ORDER + name))
    for name, order in patch.items():
        field = name[len(_ORDER) :]
        if name.startswith(_ORDER) and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _ordered(merged[field], order, merged[field], shape.merge_key(field))
    return merged


def _check_directives(patch: dict[str, Json], shape: Shape) -> None:
    for name, value in patch.items():
        if name == _RETAIN and (not isinstance(value, list) or not _set_fields(patch) <= set(value)):
            raise BadRequest("invalid patch format of retainKeys: a list of names, with those of all that is set")
        if name.startswith(_DELETE_FROM) and not isinstance(value, list):
            raise BadRequest("invalid patch format of primitive list")
        if name.startswith(_ORDER):
            field = name[len(_ORDER) :]
            _check_order(field, patch.get(field), value, shape.merge_key(field) or "")


def _set_fields(patch: dict[str, Json]) -> set[str]:
    return {name for name, value in patch.items() if not name.startswith("$") and value is not None}


def _check_order(name: str, items: Json, order: Json, key: str) -> None:
    """What is patched is in the order that the patch asks for."""
    if not isinstance(order, list):
        raise BadRequest("invalid patch format of setElementOrder list")
    if not isinstance(items, list):
        return
    asked = {_rank_key(entry, key): rank for rank, entry in enumerate(order)}
    kept = [item for item in items if not (isinstance(item, dict) and _DIRECTIVE in item)]
    ranks = [asked.get(_rank_key(item, key), -1) for item in kept]
    if ranks != sorted(ranks) or -1 in ranks:
        raise BadRequest(f"The order in patch list of {name!r} doesn't match its {_ORDER[:-1]} list")


def _merge_field(merged: dict[str, Json], name: str, value: Json, shape: Shape, order: Json) -> None:
    old = merged.get(name)
    if value is None:
        merged.pop(name, None)
    elif isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            merged.pop(name, None)
        else:
            merged[name] = _merge_object(old if isinstance(old, dict) else {}, value, shape.child(name))
    elif isinstance(value, list):
        merged[name] = _merge_list(old if isinstance(old, list) else [], value, shape, name, order)
    else:
        merged[name] = value


def _merge_list(old: list[Json], patch: list[Json], shape: Shape, name: str, order: Json) -> list[Json]:
    key = shape.merge_key(name)
    if key is None:
        replaced = [item for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
        return copy.deepcopy(replaced)
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
    merged = _merge_items(old, patch, key, shape.child(name), name) if key else _united(old, patch)
    return _ordered(merged, order if order else patch, old, key) if old else merged


def _united(old: list[Json], patch: list[Json]) -> list[Json]:
    """The old ones, then the new ones, each once."""
    seen = {_rank_key(item, "") for item in old}
    new = {rank: item for item in patch if (rank := _rank_key(item, "")) not in seen}
    return [*old, *new.values()]


def _merge_items(old: list[Json], patch: list[Json], key: str, shape: Shape, name: str) -> list[Json]:
    merged: list[Json] = list(old)
    places: dict[str, int] = {}
    for at, item in enumerate(old):
        places.setdefault(_rank_key(item, key), at)
    gone: set[int] = set()
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise BadRequest(f"strategic merge: an element of {name!r} does not contain its merge key {key!r}")
        rank = _rank_key(item, key)
        if item.get(_DIRECTIVE) == "delete":
            gone.update({places.pop(rank)} if rank in places else ())
        elif rank in places:
            merged[places[rank]] = _merge_object(merged[places[rank]], item, shape)
        else:
            places[rank] = len(merged)
            merged.append(_merge_object({}, item, shape))
    return [item for at, item in enumerate(merged) if at not in gone]


def _ordered(items: list[Json], order: Json, old: list[Json], key: str | None) -> list[Json]:
    """What the patch speaks of in its `order`, with the others between as they were in `old`: each stands before the
    first that it stood before, and what is new stands before all that is left (strategicpatch: mergeSortedSlice).
    """
    if not isinstance(order, list) or key is None:
        return items
    asked = {_rank_key(entry, key): rank for rank, entry in enumerate(order)}
    before = {_rank_key(entry, key): at for at, entry in enumerate(old)}
    named = [(_rank_key(item, key), item) for item in items]
    mine = sorted((pair for pair in named if pair[0] in asked), key=lambda pair: asked[pair[0]])
    others = sorted((pair for pair in named if pair[0] not in asked), key=lambda pair: before.get(pair[0], -1))
    placed: list[Json] = []
    at = 0
    for rank, item in mine:
        while at < len(others) and before.get(others[at][0], -1) < before.get(rank, -1) >= 0:
            placed.append(others[at][1])
            at += 1
        placed.append(item)
    return placed + [item for _, item in others[at:]]


def _rank_key(item: Json, key: str) -> str:
    return repr(item.get(key) if key and isinstance(item, dict) else item)
