"""What the expressions of policies may name (apiserver pkg/admission/plugin/cel/compile.go).

object, oldObject and params are of any type; request and namespaceObject have one; `variables.x` is the type of its
expression; authorizer asks who may do what.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from actors.api.cel.environment import CelError, Environment, Program
from actors.api.cel.functions.authorizer import AUTHORIZER, RESOURCE_CHECK
from actors.api.codec import Object
from actors.api.policies.literals import Literals, literals_of
from actors.api.structural.messages import MessageTypes

_TEXT: Object = {"type": "string"}
_TEXTS: Object = {"type": "array", "items": _TEXT}
_TEXT_MAP: Object = {"type": "object", "additionalProperties": _TEXT}
_TIME: Object = {"type": "string", "format": "date-time"}


def _fields(**fields: Object) -> Object:
    return {"type": "object", "properties": fields}


def _texts(*names: str) -> Object:
    return _fields(**dict.fromkeys(names, _TEXT))


_GVK, _GVR = _texts("group", "version", "kind"), _texts("group", "version", "resource")
_ANY: Object = {"x-kubernetes-preserve-unknown-fields": True}
REQUEST = _fields(
    kind=_GVK, resource=_GVR, subResource=_TEXT, requestKind=_GVK, requestResource=_GVR, requestSubResource=_TEXT,
    name=_TEXT, namespace=_TEXT, operation=_TEXT, dryRun={"type": "boolean"}, options=_ANY,
    userInfo=_fields(
        username=_TEXT, uid=_TEXT, groups=_TEXTS, extra={"type": "object", "additionalProperties": _TEXTS}
    ),
)  # fmt: skip
NAMESPACE = _fields(
    metadata=_fields(
        name=_TEXT, generateName=_TEXT, namespace=_TEXT, labels=_TEXT_MAP, annotations=_TEXT_MAP, UID=_TEXT,
        creationTimestamp=_TIME, deletionGracePeriodSeconds={"type": "integer"}, deletionTimestamp=_TIME,
        generation={"type": "integer"}, resourceVersion=_TEXT, finalizers=_TEXTS,
    ),
    spec=_fields(finalizers=_TEXTS),
    status=_fields(
        phase=_TEXT,
        conditions={"type": "array", "items": {**_texts("status", "type", "message", "reason")}},
    ),
)  # fmt: skip


class Scope:
    """The variables of one policy, growing as its own are declared. `types` gives object and params a type."""

    def __init__(self, has_params: bool, patches: bool = False, types: Mapping[str, Object] | None = None) -> None:
        self._schemas = dict(types or {})
        self._patches = patches
        names = ("object", "oldObject", *(("params",) if has_params else ()))
        self._plain = {name: self._schemas.get(name) for name in names}
        self._variables: dict[str, Any] = {}

    def declare(self, name: str, text: str, authorizer: bool = True) -> Program:
        """`variables.name`, of the type that its expression has. Raises CelError."""
        environment = self._environment(authorizer, None)
        tree, type_ = environment.check(text)
        self._variables[f"variables.{name}"] = type_
        return environment.program(text, tree)

    def declare_any(self, name: str) -> None:
        """One whose expression does not compile: what uses it is not to blame."""
        self._variables[f"variables.{name}"] = cel.Type.DYN

    def compile(self, text: str, authorizer: bool = True) -> Program:
        """Raises CelError."""
        if not self._patches:
            return self._environment(authorizer, None).compile(text)
        literals = literals_of(text)
        environment = self._environment(authorizer, literals)
        try:
            tree, _ = environment.check(literals.text)
        except CelError as error:
            raise CelError(literals.restored(str(error))) from error
        literals.restore(tree)
        return environment.program(text, tree)

    def check(self, text: str) -> None:
        """Raises CelError."""
        self._environment(True, None).check(text)

    def _environment(self, authorizer: bool, literals: Literals | None) -> Environment:
        if literals is None and not self._variables and not self._schemas:
            return _shared("params" in self._plain, authorizer)
        return _make(self._plain, self._variables, authorizer, literals)


@lru_cache(maxsize=4)
def _shared(has_params: bool, authorizer: bool) -> Environment:
    names = ("object", "oldObject", *(("params",) if has_params else ()))
    return _make(dict.fromkeys(names), {}, authorizer, None)


def _make(
    plain: Mapping[str, Object | None], variables: Mapping[str, Any], authorizer: bool, literals: Literals | None
) -> Environment:
    types = MessageTypes(escaped=False)
    declared: dict[str, Any] = {
        "request": types.add(REQUEST, name="AdmissionRequest"),
        "namespaceObject": types.add(NAMESPACE, name="Namespace"),
    }
    for name, schema in plain.items():
        declared[name] = cel.Type.DYN if schema is None else types.add(schema)
    if authorizer:
        declared |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
    if literals is not None:
        literals.declare(types)
    return Environment({**declared, **variables}, types.pool)


__all__ = ["CelError", "Scope"]
