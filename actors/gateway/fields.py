"""fieldValidation: unknown fields are dropped and, by the client's wish, refused, warned of or passed over (KEP-2885).

Pure. Objects and patches alike are held against the schema before the store sees them; values of a wrong type are
always refused, all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.api.clock import format_time, parse_time
from actors.api.codec import Object
from actors.api.conform import conforms
from actors.api.crd.kinds import CustomKind
from actors.api.errors import ApiError, BadRequest, Cause, Invalid
from actors.api.kinds import Kind
from actors.api.patch import POINTER_PARTS_MAX
from actors.api.schema import Definition, check_object, definition, definition_name
from actors.api.structural.prune import prune
from actors.gateway.duplicates import NONE, Repeats
from actors.store.admission.applied import not_typed

_SHOWN_MAX = 20
_PATCH_CHARS_MAX = 1000


class Admitted(NamedTuple):
    """What goes on to the store, and `Warning` texts for the client."""

    value: Any
    warnings: tuple[str, ...] = ()


def admit_object(obj: Object, kind: Kind, validation: str, repeats: Repeats = NONE) -> Admitted:
    """A whole object. Raises BadRequest in kube-apiserver's form."""
    if isinstance(kind, CustomKind):
        return Admitted(obj, _judge(_in_object(kind), _unknown_in_custom(obj, kind), repeats, validation))
    if conforms(obj, kind.api_version, kind.kind):
        return Admitted(obj, _judge(_in_object(kind), (), repeats, validation))
    checked = check_object(obj, kind.api_version, kind.kind)
    _refuse_problems(_in_object(kind), (f"{cause.field}: {cause.message}" for cause in checked.problems))
    warnings = _judge(_in_object(kind), checked.unknown, repeats, validation)
    return Admitted(_canonical(checked.object, definition_name(kind.api_version, kind.kind)), warnings)


def admit_applied(obj: Object, kind: Kind, validation: str, repeats: Repeats = NONE) -> Admitted:
    """An applied configuration: what no schema knows could be nobody's, and is refused whatever the client wishes."""
    if isinstance(kind, CustomKind):
        value, unknown = obj, _unknown_in_custom(obj, kind)
    elif conforms(obj, kind.api_version, kind.kind):
        value, unknown = obj, []
    else:
        checked = check_object(obj, kind.api_version, kind.kind)
        _refuse_problems(_in_object(kind), (f"{cause.field}: {cause.message}" for cause in checked.problems))
        value, unknown = _canonical(checked.object, definition_name(kind.api_version, kind.kind)), list(checked.unknown)
    if unknown:
        raise not_typed(obj, kind, [f".{path}: field not declared in schema" for path in unknown])
    if repeats.told and validation == "Strict":
        converting = "error converting YAML to JSON: " if repeats.is_yaml else ""
        raise BadRequest(f"error strict decoding YAML: {converting}{', '.join(repeats.strict)}")
    return Admitted(value, () if validation == "Ignore" else repeats.told)


def admit_patch(patch: Any, kind: Kind, validation: str, repeats: Repeats = NONE) -> Admitted:
    """A merge or strategic merge patch: as an object, but null removes and `$` directives are kept. Raises Invalid."""
    if not isinstance(patch, dict):
        raise BadRequest("the patch is not a JSON object")
    refusal = _in_patch(patch)
    if isinstance(kind, CustomKind):
        return Admitted(patch, _judge(refusal, _unknown_in_custom(patch, kind), repeats, validation))
    checked = check_object(patch, kind.api_version, kind.kind)
    _refuse_problems(refusal, (f"{cause.field}: {cause.message}" for cause in checked.problems))
    unknown = [path for path in checked.unknown if not path.rpartition(".")[2].startswith("$")]
    warnings = _judge(refusal, unknown, repeats, validation)
    return Admitted(_canonical(patch, definition_name(kind.api_version, kind.kind)), warnings)


def _unknown_in_custom(value: Object, kind: CustomKind) -> list[str]:
    """Paths that a custom resource, or a merge patch of one, has and its schema has not. What does not fit its schema
    is the store's to refuse."""
    meta = check_object({"metadata": value.get("metadata") or {}}, "v1", "ConfigMap")
    _refuse_problems(_in_object(kind), (f"{cause.field}: {cause.message}" for cause in meta.problems))
    unknown = list(meta.unknown)
    prune(value, kind.node, root=True, unknown=unknown)
    return unknown


def admit_operations(operations: Any, kind: Kind, validation: str) -> Admitted:
    """A JSON patch: what `add` and `replace` bring is held against the schema of the place they bring it to."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch is a list of operations")
    unknown: list[str] = []
    problems: list[str] = []
    dropped: set[tuple[str, ...]] = set()
    kept = [op for given in operations if (op := _admit_operation(given, kind, unknown, problems, dropped)) is not None]
    refusal = _in_patch(operations)
    _refuse_problems(refusal, problems)
    return Admitted(kept, _judge(refusal, unknown, NONE, validation))


def _admit_operation(
    operation: Any, kind: Kind, unknown: list[str], problems: list[str], dropped: set[tuple[str, ...]]
) -> Any:
    """None for one that sets a field which the kind does not know, or sets something in a field that was `dropped` so;
    adds to `unknown` and `problems`. What is no operation, or leads nowhere, is for the patch applier to refuse.
    """
    path = operation.get("path") if isinstance(operation, dict) else None
    if not isinstance(path, str) or operation.get("op") not in ("add", "replace") or "value" not in operation:
        return operation
    if (path and not path.startswith("/")) or path.count("/") > POINTER_PARTS_MAX:
        return operation
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    if dropped and any(tuple(parts[:end]) in dropped for end in range(1, len(parts))):
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


Refusal = Callable[[str], ApiError]


def _in_object(kind: Kind) -> Refusal:
    where = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    return lambda why: BadRequest(where + why)


def _in_patch(patch: Any) -> Refusal:
    """As kube-apiserver tells what is wrong with a patched object: by the field `patch` of no kind."""

    def refuse(why: str) -> Invalid:
        shown = msgspec.json.encode(patch).decode()[:_PATCH_CHARS_MAX]
        cause = Cause("patch", f"Invalid value: {msgspec.json.encode(shown).decode()}: {why}")
        return Invalid(f' "" is invalid: {cause.field}: {cause.message}', causes=[cause])

    return refuse


def _refuse_problems(refusal: Refusal, problems: Iterable[str]) -> None:
    shown = list(problems)[:_SHOWN_MAX]
    if shown:
        raise refusal(", ".join(shown))


def _judge(refusal: Refusal, unknown: Sequence[str], repeats: Repeats, validation: str) -> tuple[str, ...]:
    """What the client is warned of."""
    found = tuple(f'unknown field "{path}"' for path in unknown)[:_SHOWN_MAX]
    if not (found or repeats.told) or validation == "Ignore":
        return ()
    if validation != "Strict":
        return repeats.told + found
    told = (*repeats.strict, *found) if repeats.is_yaml else (*found, *repeats.told)
    raise refusal(f"strict decoding error: {', '.join(told)}")


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
