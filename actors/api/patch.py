"""Three of Kubernetes' patch kinds as pure functions: JSON (RFC 6902), merge (RFC 7386) and strategic merge.

The input is never changed. What cannot be applied is an ApiError: BadRequest for a malformed patch, Invalid for a
failed `test` or a missing path, as kube-apiserver answers. Server-side apply lives in `store.apply`.
"""

from __future__ import annotations

import copy
from typing import Any

from actors.api.errors import BadRequest, Invalid
from actors.api.schema import Shape, definition_name

Json = Any
_OPERATIONS_MAX = 10_000


def apply_merge(target: Json, patch: Json) -> Json:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge(merged.get(name), value)
    return merged


# --- JSON patch -------------------------------------------------------------------------------------------------


def apply_json(target: Json, operations: Json) -> Json:
    """RFC 6902, all six operations, all or nothing."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    if len(operations) > _OPERATIONS_MAX:
        raise BadRequest(f"a JSON patch may have at most {_OPERATIONS_MAX} operations, got {len(operations)}")
    result = copy.deepcopy(target)
    for operation in operations:
        result = _apply_operation(result, operation)
    return result


def _apply_operation(target: Json, operation: Json) -> Json:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise BadRequest(f"not a JSON patch operation: {operation!r:.200}")
    verb, path = operation.get("op"), _parse_pointer(operation["path"])
    if verb in ("add", "replace", "test") and "value" not in operation:
        raise BadRequest(f"JSON patch {verb} at {operation['path']!r} has no value")
    if verb == "add":
        return _add(target, path, copy.deepcopy(operation["value"]))
    if verb == "remove":
        return _remove(target, path)[0]
    if verb == "replace":
        _get(target, path)
        return _add(_remove(target, path)[0], path, copy.deepcopy(operation["value"])) if path else operation["value"]
    if verb == "test":
        if not _same(_get(target, path), operation["value"]):
            raise Invalid(
                f"the server rejected our request due to an error in our request: test failed at {operation['path']!r}"
            )
        return target
    if verb in ("move", "copy"):
        return _carry(target, verb, operation, path)
    raise BadRequest(f"unknown JSON patch operation {verb!r}")


def _carry(target: Json, verb: str, operation: dict[str, Json], path: list[str]) -> Json:
    if not isinstance(operation.get("from"), str):
        raise BadRequest(f"JSON patch {verb} has no 'from'")
    source = _parse_pointer(operation["from"])
    if verb == "copy":
        return _add(target, path, copy.deepcopy(_get(target, source)))
    if path[: len(source)] == source and path != source:
        raise Invalid(f"JSON patch moves {operation['from']!r} into itself")
    remaining, value = _remove(target, source)
    return _add(remaining, path, value)


def _parse_pointer(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise BadRequest(f"JSON pointer {pointer!r} does not start with '/'")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _missing(path: list[str]) -> Invalid:
    return Invalid(f"the server rejected our request due to an error in our request: no value at /{'/'.join(path)}")


def _index(items: list[Json], part: str, path: list[str], *, end: bool) -> int:
    if part == "-" and end:
        return len(items)
    if not part.isascii() or not part.isdigit() or (part[0] == "0" and part != "0") or len(part) > 9:
        raise _missing(path)
    index = int(part)
    if index > len(items) - (0 if end else 1):
        raise _missing(path)
    return index


def _get(target: Json, path: list[str]) -> Json:
    for part in path:
        if isinstance(target, dict) and part in target:
            target = target[part]
        elif isinstance(target, list):
            target = target[_index(target, part, path, end=False)]
        else:
            raise _missing(path)
    return target


def _add(target: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent, last = _get(target, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(_index(parent, last, path, end=True), value)
    else:
        raise _missing(path)
    return target


def _remove(target: Json, path: list[str]) -> tuple[Json, Json]:
    if not path:
        return None, target
    parent, last = _get(target, path[:-1]), path[-1]
    if isinstance(parent, dict) and last in parent:
        return target, parent.pop(last)
    if isinstance(parent, list):
        return target, parent.pop(_index(parent, last, path, end=False))
    raise _missing(path)


def _same(left: Json, right: Json) -> bool:
    """JSON equality: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


# --- strategic merge patch --------------------------------------------------------------------------------------

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
    merged = dict(target)
    if _RETAIN in patch:
        merged = {name: value for name, value in merged.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM) and isinstance(merged.get(name[len(_DELETE_FROM) :]), list):
            field = name[len(_DELETE_FROM) :]
            merged[field] = [item for item in merged[field] if item not in value]
    for name, value in patch.items():
        if not name.startswith("$"):
            _merge_field(merged, name, value, shape, patch.get(_ORDER + name))
    for name, order in patch.items():
        field = name[len(_ORDER) :]
        if name.startswith(_ORDER) and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _sorted_by(merged[field], order, shape.merge_key(field))
    return merged


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
    if key == "":
        merged: list[Json] = [*old, *(item for item in patch if item not in old)]
        return _sorted_by(merged, order, "") if order else merged
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
    merged = list(old)
    for item in patch:
        _merge_item(merged, item, key, shape.child(name), name)
    return _sorted_by(merged, order, key) if order else merged


def _merge_item(merged: list[Json], item: Json, key: str, shape: Shape, name: str) -> None:
    if not isinstance(item, dict) or key not in item:
        raise BadRequest(f"strategic merge: an element of {name!r} does not contain its merge key {key!r}")
    at = next((i for i, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item[key]), None)
    if item.get(_DIRECTIVE) == "delete":
        if at is not None:
            merged.pop(at)
    elif at is None:
        merged.append(_merge_object({}, item, shape))
    else:
        merged[at] = _merge_object(merged[at], item, shape)


def _sorted_by(items: list[Json], order: Json, key: str | None) -> list[Json]:
    """In the order that the client saw; what it did not see stays behind its predecessor."""
    if not isinstance(order, list) or key is None:
        return items
    ranks = {_rank_key(entry, key): rank for rank, entry in enumerate(order)}
    placed: list[tuple[int, int, Json]] = []
    last = -1
    for position, item in enumerate(items):
        last = ranks.get(_rank_key(item, key), last)
        placed.append((last, position, item))
    return [item for _, _, item in sorted(placed, key=lambda entry: entry[:2])]


def _rank_key(item: Json, key: str) -> str:
    return repr(item.get(key) if key and isinstance(item, dict) else item)
