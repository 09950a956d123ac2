"""Two of Kubernetes' patch kinds as pure functions: JSON (RFC 6902) and merge (RFC 7386). For the others see
`strategic_patch.py` and `store.admission.apply`.

The input is never changed. What cannot be applied is an ApiError: BadRequest for a malformed patch, Invalid for a
failed `test` or a missing path, as kube-apiserver answers.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from actors.api.errors import BadRequest, Invalid, TooLarge

Json = Any
_OPERATIONS_MAX = 10_000
_SHOWN_CHARS_MAX = 200
#: Deeper than any object that is accepted: a longer pointer leads nowhere, and following it takes time.
POINTER_PARTS_MAX = 200
#: Of all that `copy` adds: a few operations could otherwise double an object until nothing holds it.
_COPIED_BYTES_MAX = 3 << 20
_REFUSED = "the server rejected our request due to an error in our request"


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
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}, got {len(operations)}")
    result = copy.deepcopy(target)
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise BadRequest(f"not a JSON patch operation: {operation!r:.200}")
        if operation.get("op") == "copy":
            copied += len(msgspec.json.encode(_get(result, _source(operation))))
            if copied > _COPIED_BYTES_MAX:
                raise TooLarge(f"the copies of a JSON patch may add at most {_COPIED_BYTES_MAX} bytes")
        result = _apply_operation(result, operation, _parse_pointer(operation["path"]))
    return result


def _apply_operation(target: Json, operation: dict[str, Json], path: list[str]) -> Json:
    verb = operation.get("op")
    if verb in ("add", "replace", "test") and "value" not in operation:
        raise BadRequest(f"JSON patch {verb} at {operation['path']!r} has no value")
    match verb:
        case "add":
            return _add(target, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(target, path)[0]
        case "replace":
            return _add(_remove(target, path)[0], path, copy.deepcopy(operation["value"]))
        case "test":
            if not _same(_get(target, path), operation["value"]):
                raise Invalid(f"{_REFUSED}: test failed at {operation['path']!r}")
            return target
        case "copy":
            return _add(target, path, copy.deepcopy(_get(target, _source(operation))))
        case "move":
            return _move(target, _source(operation), path)
    raise BadRequest(f"unknown JSON patch operation {verb!r:.100}")


def _source(operation: dict[str, Json]) -> list[str]:
    if not isinstance(operation.get("from"), str):
        raise BadRequest(f"JSON patch {operation['op']} has no 'from'")
    return _parse_pointer(operation["from"])


def _move(target: Json, source: list[str], path: list[str]) -> Json:
    if path[: len(source)] == source and path != source:
        raise Invalid(f"{_REFUSED}: /{'/'.join(source)} is moved into itself")
    remaining, value = _remove(target, source)
    return _add(remaining, path, value)


def _parse_pointer(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise BadRequest(f"JSON pointer {pointer[:_SHOWN_CHARS_MAX]!r} does not start with '/'")
    if pointer.count("/") > POINTER_PARTS_MAX:
        raise Invalid(f"{_REFUSED}: no value at {pointer[:_SHOWN_CHARS_MAX]}...")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _missing(path: list[str]) -> Invalid:
    return Invalid(f"{_REFUSED}: no value at /{'/'.join(path)}")


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
