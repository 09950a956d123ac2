"""Kubernetes' schemas as data: types, merge keys, list types and enums of the kinds that we serve, from schema.json.

`scripts/derive_schemas.py` makes the table. Here it answers three questions: which fields does an object have that
its kind does not know, which have a value of the wrong type, and how does a strategic merge patch merge a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import msgspec

from actors.api.clock import parse_time
from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.kept import kept_for_short
from actors.api.kinds import SERVED
from actors.api.quantity import parse_millis

#: Of the groups that Kubernetes defines; a group of anybody else's keeps its name.
_GROUPS = {kind.group: kind.group.split(".")[0] or "core" for kind in SERVED} | {
    "apiextensions.k8s.io": "apiextensions"
}
_PROBLEMS_MAX = 100
#: Lists that may be absent, and yet are told when they are empty: their Go types do not say `omitempty`.
_SHOWN_EMPTY = frozenset(
    {
        ("discovery.v1.EndpointSlice", "endpoints"),
        ("discovery.v1.EndpointSlice", "ports"),
        ("rbac.v1.ClusterRole", "rules"),
        ("rbac.v1.Role", "rules"),
    }
)


class Field(msgspec.Struct, frozen=True):
    """One field. `type` is a scalar, a definition's name, or one of these behind `[]` (list) and `map:` (by string).

    `merge_key` is set for lists that merge by it, "" for lists of scalars that merge as sets, None for the others.
    `map_type` "atomic": server-side apply owns the object as a whole.
    """

    type: str
    merge_key: str | None = None
    retain_keys: bool = False
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    enum: tuple[str, ...] = ()

    @property
    def element(self) -> str:
        """The type of what a list or map holds; of anything else its own."""
        return self.type.removeprefix("[]").removeprefix("map:")

    @property
    def item(self) -> Field:
        """The schema of a list's items."""
        return _field_of(self.element)

    @property
    def is_map(self) -> bool:
        return self.type.startswith("map:")

    @property
    def empty(self) -> Any:
        """A list or map of this type with nothing in it; None for other types."""
        return {} if self.is_map else [] if self.type.startswith("[]") else None

    @property
    def is_struct(self) -> bool:
        """An object whose members are all known."""
        return definition(self.type) is not None

    def member(self, name: str) -> Field | None:
        """The schema of a member of a struct or map."""
        if self.is_map:
            return _field_of(self.type.removeprefix("map:"))
        found = definition(self.type)
        return found.fields.get(name) if found else None


@cache
def _field_of(type_name: str) -> Field:
    return Field(type_name, map_type=_map_type(type_name))


class Definition(msgspec.Struct, frozen=True):
    name: str
    fields: dict[str, Field]
    required: tuple[str, ...] = ()
    map_type: str = ""

    def omits_empty(self, name: str) -> bool:
        """Whether a field is left out when nothing is in it: a list or map that may be absent (Go's `omitempty`)."""
        may_be_absent = name not in self.required and (self.name, name) not in _SHOWN_EMPTY
        return may_be_absent and self.fields[name].empty is not None


class _Row(msgspec.Struct, frozen=True):
    fields: dict[str, str]
    required: tuple[str, ...] = ()
    map: str = ""


def _parse_field(row: str) -> Field:
    type_name, *words = row.split(" ")
    options = dict(word.split("=", 1) for word in words)
    strategies = options.get("strategy", "").split(",")
    return Field(
        type=type_name,
        merge_key=options.get("merge", "") if "merge" in strategies and type_name.startswith("[]") else None,
        retain_keys="retainKeys" in strategies,
        list_type=options.get("list", ""),
        map_keys=tuple(filter(None, options.get("keys", "").split(","))),
        map_type=options.get("map", "") or _map_type(type_name),
        enum=tuple(filter(None, options.get("enum", "").split("|"))),
    )


def _map_type(type_name: str) -> str:
    """Of a struct: "atomic" where it is one value to server-side apply, as a LabelSelector is."""
    row = _rows().get(type_name)
    return row.map if row is not None else ""


@lru_cache(maxsize=1)
def _rows() -> dict[str, _Row]:
    text = resources.files("actors.api").joinpath("schema.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, _Row])


@lru_cache(maxsize=1024)
def definition(name: str) -> Definition | None:
    """Of `core.v1.PodSpec`; None for scalars and unknown names."""
    row = _rows().get(name)
    if row is None:
        return None
    return Definition(name, {field: _parse_field(text) for field, text in row.fields.items()}, row.required, row.map)


def definitions() -> Iterator[Definition]:
    """All of them, by name."""
    return (found for name in _rows() if (found := definition(name)) is not None)


def definition_name(api_version: str, kind: str) -> str:
    """`apps/v1`, `Deployment` -> `apps.v1.Deployment`."""
    group, _, version = api_version.rpartition("/")
    return f"{_GROUPS.get(group, group)}.{version}.{kind}"


class Checked(msgspec.Struct, frozen=True):
    """`object` without the unknown fields; `unknown`: their paths; `problems`: values of the wrong type, by path."""

    object: Object
    unknown: tuple[str, ...] = ()
    problems: tuple[Cause, ...] = ()


def check_object(
    obj: Object, api_version: str, kind: str, old: Object | None = None, *, compact: bool = False
) -> Checked:
    """Against the schema of the kind; an unknown kind has no schema and passes as it is.

    What `obj` has in common with `old`, which has passed before, is not looked at again. `compact`: without empty lists
    and maps where absent ones mean the same.
    """
    checker = _Checker(compact)
    name = definition_name(api_version, kind)
    pruned = checker.walk(obj, name, "", old) if definition(name) else obj
    return Checked(pruned, tuple(checker.unknown), tuple(checker.problems))


class _Checker:
    """Walks one object; collects what is wrong instead of stopping at the first."""

    def __init__(self, compact: bool) -> None:
        self.unknown: list[str] = []
        self.problems: list[Cause] = []
        self._compact = compact

    def walk(self, value: Any, type_name: str, path: str, old: Any = None) -> Any:
        if value is None or value == old:
            return old if value is not None else None  # `old`, for 0 == False
        if type_name.startswith("[]"):
            if not isinstance(value, list):
                return self._refuse(value, "an array", path)
            return [self._walk_item(item, type_name[2:], f"{path}[{i}]") for i, item in enumerate(value)]
        if type_name.startswith("map:"):
            if not isinstance(value, dict):
                return self._refuse(value, "an object", path)
            return {key: self.walk(item, type_name[4:], f"{path}.{key}") for key, item in value.items()}
        found = definition(type_name)
        if found is not None:
            return self._walk_object(value, found, path, old if isinstance(old, dict) else {})
        expected = _expected(value, type_name)
        return value if expected is None else self._refuse(value, expected, path)

    def _walk_item(self, item: Any, type_name: str, path: str) -> Any:
        """A null among a list's items would be read by nobody, nor can it be left out as a null field is."""
        return self._refuse(item, "set", path) if item is None else self.walk(item, type_name, path)

    def _walk_object(self, value: Any, found: Definition, path: str, old: Object) -> Any:
        if not isinstance(value, dict):
            return self._refuse(value, "an object", path)
        pruned = {}
        for key, item in value.items():
            field = found.fields.get(key)
            at = f"{path}.{key}" if path else key
            if field is None:
                self.unknown.append(at)
            elif not (self._compact and not item and item == field.empty and found.omits_empty(key)):
                pruned[key] = self.walk(item, field.type, at, old.get(key))
        return pruned

    def _refuse(self, value: Any, expected: str, path: str) -> Any:
        if len(self.problems) < _PROBLEMS_MAX:
            shown = msgspec.json.encode(value).decode()[:80]
            self.problems.append(Cause(path, f"Invalid value: {shown}: must be {expected}", "FieldValueTypeInvalid"))
        return value


_INT32, _INT64 = range(-(2**31), 2**31), range(-(2**63), 2**63)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*$")


def _is_quantity(value: Any) -> bool:
    if isinstance(value, str):
        return _is_quantity_text(value)
    try:
        parse_millis(value)
    except ValueError:
        return False
    return isinstance(value, int | float) and not isinstance(value, bool)


@kept_for_short(4096)
def _is_quantity_text(text: str) -> bool:
    try:
        parse_millis(text)
    except ValueError:
        return False
    return True


def _is_time(value: Any) -> bool:
    try:
        parse_time(value)
    except (ValueError, TypeError):
        return False
    return True


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _is_int32(value: Any) -> bool:
    return _is_int(value) and value in _INT32


_TEXT_TIME = "an RFC 3339 time such as 2026-11-23T10:20:30Z"
_SCALARS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "string": (lambda value: isinstance(value, str), "a string"),
    "int": (_is_int, "an integer"),
    "int32": (_is_int32, "an integer of 32 bits"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "number": (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number"),
    "bytes": (lambda value: isinstance(value, str) and _BASE64.match(value) is not None, "a base64 string"),
    "api.resource.Quantity": (_is_quantity, "a quantity such as 500m, 2 or 1.5Gi"),
    "util.intstr.IntOrString": (lambda value: isinstance(value, str) or _is_int(value), "an integer or a string"),
    "meta.v1.Time": (_is_time, _TEXT_TIME),
    "meta.v1.MicroTime": (_is_time, _TEXT_TIME),
    "meta.v1.FieldsV1": (lambda value: isinstance(value, dict), "an object"),
}


def scalar_rule(type_name: str) -> Callable[[Any], bool]:
    """Whether a value is of a scalar type; of one without rules every value is."""
    rule = _SCALARS.get(type_name)
    return rule[0] if rule else lambda value: True


def _expected(value: Any, type_name: str) -> str | None:
    """What a scalar should have been, or None when it is that (or of a type without rules)."""
    rule = _SCALARS.get(type_name)
    return rule[1] if rule and not rule[0](value) else None


class Shape(msgspec.Struct, frozen=True):
    """A place in an object, for the patch applier. `name` "" is a place that no schema knows: everything replaces."""

    name: str = ""

    def field(self, name: str) -> Field | None:
        found = definition(self.name)
        return found.fields.get(name) if found else None

    def child(self, name: str) -> Shape:
        """Of a field's value, or of the elements of its list."""
        field = self.field(name)
        return Shape(field.type.removeprefix("[]")) if field else Shape()

    def merge_key(self, name: str) -> str | None:
        field = self.field(name)
        return field.merge_key if field else None
