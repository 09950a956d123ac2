"""fieldValidation: unknown fields are dropped and, by the client's wish, refused, warned of or passed over (KEP-2885).

Pure. Objects and patches alike are held against the schema before the store sees them; values of a wrong type are
always refused, all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from actors.api.clock import format_time, parse_time
from actors.api.codec import Object
from actors.api.conform import conforms
from actors.api.crd.kinds import CustomKind
from actors.api.errors import BadRequest
from actors.api.kinds import Kind
from actors.api.schema import Definition, check_object, definition, definition_name
from actors.api.structural.prune import prune

_SHOWN_MAX = 20


class Admitted(NamedTuple):
    """What goes on to the store, and `Warning` texts for the client."""

    value: Any
    warnings: tuple[str, ...] = ()


def admit_object(obj: Object, api_version: str, kind: str, validation: str, duplicates: Sequence[str] = ()) -> Admitted:
    """A whole object. Raises BadRequest in kube-apiserver's form."""
    where = _where(kind, api_version.rpartition("/")[2])
    if conforms(obj, api_version, kind):
        return Admitted(obj, _judge(where, (), duplicates, validation))
    checked = check_object(obj, api_version, kind)
    _refuse_problems(where, (f"{cause.field}: {cause.message}" for cause in checked.problems))
    warnings = _judge(where, checked.unknown, duplicates, validation)
    return Admitted(_canonical(checked.object, definition_name(api_version, kind)), warnings)


def admit_custom(value: Any, kind: CustomKind, validation: str, duplicates: Sequence[str] = ()) -> Admitted:
    """A custom resource, or a merge patch of one. What does not fit its schema is the store's to refuse."""
    if not isinstance(value, dict):
        raise BadRequest("the patch is not a JSON object")
    where = _where(kind.kind, kind.version)
    meta = check_object({"metadata": value.get("metadata") or {}}, "v1", "ConfigMap")
    _refuse_problems(where, (f"{cause.field}: {cause.message}" for cause in meta.problems))
    unknown = list(meta.unknown)
    prune(value, kind.node, root=True, unknown=unknown)
    return Admitted(value, _judge(where, unknown, duplicates, validation))


def admit_patch(patch: Any, kind: Kind, validation: str, duplicates: Sequence[str] = ()) -> Admitted:
    """A merge or strategic merge patch: as an object, but null removes and `$` directives are kept."""
    if not isinstance(patch, dict):
        raise BadRequest("the patch is not a JSON object")
    checked = check_object(patch, kind.api_version, kind.kind)
    where = _where(kind.kind, kind.version)
    _refuse_problems(where, (f"{cause.field}: {cause.message}" for cause in checked.problems))
    unknown = [path for path in checked.unknown if not path.rpartition(".")[2].startswith("$")]
    warnings = _judge(where, unknown, duplicates, validation)
    return Admitted(_canonical(patch, definition_name(kind.api_version, kind.kind)), warnings)


def admit_operations(operations: Any, kind: Kind, validation: str) -> Admitted:
    """A JSON patch: what `add` and `replace` bring is held against the schema of the place they bring it to."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    unknown: list[str] = []
    problems: list[str] = []
    dropped: set[tuple[str, ...]] = set()
    kept = [op for given in operations if (op := _admit_operation(given, kind, unknown, problems, dropped)) is not None]
    where = _where(kind.kind, kind.version)
    _refuse_problems(where, problems)
    return Admitted(kept, _judge(where, unknown, (), validation))


def _admit_operation(
    operation: Any, kind: Kind, unknown: list[str], problems: list[str], dropped: set[tuple[str, ...]]
) -> Any:
    """None for one that sets a field which the kind does not know, or sets something in a field that was `dropped` so;
    adds to `unknown` and `problems`. What is no operation, or leads nowhere, is for the patch applier to refuse.
    """
    path = operation.get("path") if isinstance(operation, dict) else None
    if not isinstance(path, str) or operation.get("op") not in ("add", "replace") or "value" not in operation:
        return operation
    if path and not path.startswith("/"):
        return operation
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    if any(tuple(parts[:end]) in dropped for end in range(1, len(parts))):
        return None
    types = _types_along(parts, kind)
    if types is None:
        if _types_along(parts[:-1], kind) is None:
            return operation
        unknown.append(".".join(parts))
        dropped.add(tuple(parts))
        return None
    obj = _object_with(parts, types, operation.get("value"))
    if not isinstance(obj, dict):
        problems.append("the whole object: must be an object")
        return operation
    checked = check_object(obj, kind.api_version, kind.kind)
    unknown += checked.unknown
    problems += [f"{path}: {cause.message}" for cause in checked.problems]
    return {**operation, "value": _canonical(operation.get("value"), types[-1])}


def _where(kind: str, version: str) -> str:
    return f'{kind} in version "{version}" cannot be handled as a {kind}: '


def _refuse_problems(where: str, problems: Iterable[str]) -> None:
    shown = list(problems)[:_SHOWN_MAX]
    if shown:
        raise BadRequest(where + ", ".join(shown))


def _judge(where: str, unknown: Sequence[str], duplicates: Sequence[str], validation: str) -> tuple[str, ...]:
    found = [f'unknown field "{path}"' for path in unknown] + [f'duplicate field "{name}"' for name in duplicates]
    if not found or validation == "Ignore":
        return ()
    if validation == "Strict":
        raise BadRequest(f"{where}strict decoding error: {', '.join(found[:_SHOWN_MAX])}")
    return tuple(found[:_SHOWN_MAX])


def _canonical(value: Any, type_name: str) -> Any:
    """As Kubernetes' decoder would have it: without fields that the schema does not know, times in UTC.

    Directives of patches and what has no schema stay as they are.
    """
    if isinstance(value, list):
        return [_canonical(item, type_name.removeprefix("[]")) for item in value]
    if isinstance(value, str) and type_name in ("meta.v1.Time", "meta.v1.MicroTime"):
        return canonical_time(value, micro=type_name == "meta.v1.MicroTime")
    if not isinstance(value, dict):
        return value
    if type_name.startswith("map:"):
        return {name: _canonical(item, type_name.removeprefix("map:")) for name, item in value.items()}
    found = definition(type_name)
    return value if found is None else dict(_known_items(value, found))


def canonical_time(text: str, *, micro: bool) -> str:
    """`2026-11-23T11:00:00+01:00` -> `2026-11-23T10:00:00Z`; with six digits after the seconds when `micro`."""
    try:
        whole = format_time(parse_time(text))
    except (ValueError, OverflowError):
        return text
    digits = re.search(r"\.(\d+)", text)
    fraction = (digits[1] if digits else "").ljust(6, "0")[:6]
    return f"{whole[:-1]}.{fraction}Z" if micro else whole


def _known_items(value: Object, found: Definition) -> Iterable[tuple[str, Any]]:
    for name, item in value.items():
        field = found.fields.get(name)
        if field is not None:
            yield name, _canonical(item, field.type)
        elif name.startswith("$"):
            yield name, item


def _types_along(parts: Sequence[str], kind: Kind) -> list[str] | None:
    """The type of the object and of each place on the way; None when the schema knows no such place."""
    types = [definition_name(kind.api_version, kind.kind)]
    for part in parts:
        below = _type_below(types[-1], part)
        if below is None:
            return None
        types.append(below)
    return types


def _object_with(parts: Sequence[str], types: Sequence[str], value: Any) -> Any:
    """An object that holds only `value`, where `parts` lead; an item of a list becomes its first."""
    for part, type_name in zip(reversed(parts), reversed(types[:-1]), strict=True):
        value = [value] if type_name.startswith("[]") else {part: value}
    return value


def _type_below(type_name: str, part: str) -> str | None:
    for prefix in ("[]", "map:"):
        if type_name.startswith(prefix):
            return type_name.removeprefix(prefix)
    found = definition(type_name)
    if found is None:
        return "any"
    field = found.fields.get(part)
    return field.type if field else None
