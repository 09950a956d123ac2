"""What a policy's status warns of: expressions that cannot be right for the kinds that it names (KEP-3488).

Nothing is refused for it: the kinds may change, and a policy may be about several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from actors.api.cel.environment import CelError
from actors.api.codec import Object
from actors.api.policies.environment import Scope
from actors.api.policies.policy import PolicySpec
from actors.api.schema import definition, definition_name

_KINDS_MAX = 10
_SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "int32": {"type": "integer"},
    "bool": {"type": "boolean"},
    "number": {"type": "number"},
    "bytes": {"type": "string", "format": "byte"},
    "meta.v1.Time": {"type": "string", "format": "date-time"},
    "meta.v1.MicroTime": {"type": "string", "format": "date-time"},
}
_ANY: Object = {"x-kubernetes-preserve-unknown-fields": True}


class Typed(NamedTuple):
    """`name` as in `apps/v1, Kind=Deployment`."""

    name: str
    schema: Object


#: A kind by group, version and plural; None where it is not served.
Resolve = Callable[[str, str, str], Typed | None]


@lru_cache(maxsize=64)
def schema_of(type_name: str) -> Object:
    """Of a field's type in the table of schemas, as a structural schema; of any type what refers to itself."""
    return _schema(type_name, ())


def _schema(type_name: str, above: tuple[str, ...]) -> Object:
    if type_name.startswith("[]"):
        return {"type": "array", "items": _schema(type_name[2:], above)}
    if type_name.startswith("map:"):
        return {"type": "object", "additionalProperties": _schema(type_name[4:], above)}
    found = definition(type_name)
    if found is None or type_name in above:
        return _SCALARS.get(type_name, _ANY)
    inner = (*above, type_name)
    return {"type": "object", "properties": {name: _schema(part.type, inner) for name, part in found.fields.items()}}


def find_warnings(spec: PolicySpec, resolve: Resolve) -> list[Object]:
    """`status.typeChecking.expressionWarnings`."""
    scopes = [(typed.name, _scope(spec, typed)) for typed in _kinds(spec, resolve)]
    warnings = []
    for at, validation in enumerate(spec.validations or ()):
        for field, text in (
            ("expression", validation.expression),
            ("messageExpression", validation.message_expression),
        ):
            if text and (told := "\n".join(_check(text, scopes))):
                warnings.append({"fieldRef": f"spec.validations[{at}].{field}", "warning": told})
    return warnings


def _kinds(spec: PolicySpec, resolve: Resolve) -> list[Typed]:
    found: dict[str, Typed] = {}
    for rule in (spec.match_constraints.resource_rules if spec.match_constraints else None) or ():
        groups, versions = sorted(rule.api_groups or ()), sorted(rule.api_versions or ())
        if any("*" in word for word in (*groups, *versions)):
            continue
        resources = sorted(name for name in rule.resources or () if "*" not in name and "/" not in name)
        for place in product(groups, versions, resources):
            if len(found) < _KINDS_MAX and (typed := resolve(*place)) is not None:
                found[typed.name] = typed
    return [found[name] for name in sorted(found)]


def _scope(spec: PolicySpec, typed: Typed) -> Scope:
    types = {"object": typed.schema, "oldObject": typed.schema}
    if spec.param_kind is not None:
        params = _params(spec)
        types |= {"params": params} if params else {}
    scope = Scope(spec.param_kind is not None, types=types)
    for variable in spec.variables or ():
        try:
            scope.declare(variable.name, variable.expression)
        except CelError:
            scope.declare_any(variable.name)
    return scope


def _params(spec: PolicySpec) -> Object | None:
    assert spec.param_kind is not None
    name = definition_name(spec.param_kind.api_version, spec.param_kind.kind)
    return schema_of(name) if definition(name) else None


def _check(text: str, scopes: list[tuple[str, Scope]]) -> Iterator[str]:
    for name, scope in scopes:
        try:
            scope.check(text)
        except CelError as error:
            yield f"{name}: {error}\n"
