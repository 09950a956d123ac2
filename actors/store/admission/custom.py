"""Custom resources and their definitions on the way into the store.

The definition that a write is held to is the one in the log at that very revision: no write is judged by a schema
that has been replaced, and a definition is served by the time its creation is acknowledged.
"""

from __future__ import annotations

from actors.api import kinds
from actors.api.clock import format_time
from actors.api.codec import Object
from actors.api.crd.definition import CLEANUP_FINALIZER, RESOURCE, read_definition
from actors.api.crd.kinds import CustomKind
from actors.api.crd.names import read_all, settle
from actors.api.errors import Cause, MethodNotAllowed
from actors.api.structural.defaults import ADDED_MAX, apply_defaults
from actors.api.structural.embedded import check_embedded
from actors.api.structural.prune import prune
from actors.api.structural.rules import check_rules
from actors.api.structural.validate import ABSENT
from actors.api.structural.validate import validate as validate_structure
from actors.api.validation.metadata import validate_metadata
from actors.store.admission.outcome import Context

DEFINITION = kinds.kind_of(RESOURCE)
#: What keeps rules from being asked (apiextensions-apiserver, registry/customresource/strategy.go hasBlockingErr).
_BLOCKING = frozenset(f"FieldValue{what}" for what in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"))
_UNCHECKED = Cause(
    "<nil>",
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
)


def shaped(obj: Object, kind: CustomKind) -> Object:
    """Without what its schema does not know, with the defaults of its schema."""
    filled: Object = apply_defaults(prune(obj, kind.node, root=True), kind.node, ADDED_MAX)
    return {**filled, "metadata": obj["metadata"]}


def find_problems(obj: Object, kind: CustomKind, old: Object | None = None) -> list[Cause]:
    """Rules are asked only of an object with the types and sizes of its schema; else it is told that they were not."""
    before = ABSENT if old is None else old
    causes = [*validate_metadata(obj), *validate_structure(obj, kind.node, "", before)]
    causes = causes or list(check_embedded(obj, kind.node, before))
    if not kind.node.subtree_rules:
        return causes
    if any(cause.reason in _BLOCKING for cause in causes):
        return [*causes, _UNCHECKED]
    return [*causes, *check_rules(obj, kind.node, before)]


def check_creatable(context: Context, kind: CustomKind) -> None:
    """Raises MethodNotAllowed while the definition is being deleted."""
    found = context.custom(kind.resource)
    if found is not None and found.terminating:
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating")


def guarded(obj: Object) -> Object:
    """A definition goes after its objects: a controller takes the finalizer off when they are gone."""
    finalizers = obj["metadata"].get("finalizers") or []
    if CLEANUP_FINALIZER not in finalizers:
        finalizers = [*finalizers, CLEANUP_FINALIZER]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}


def settled(obj: Object, context: Context) -> Object:
    """A definition with its names accepted, or the reason why not, and its stored versions."""
    definition = read_definition(obj)
    group = f".{definition.spec.group}"
    name = definition.metadata.name
    others = read_all(
        stored.body
        for stored in context.scan(RESOURCE, "")
        if stored.key.name.endswith(group) and stored.key.name != name
    )
    return settle(obj, definition, others, format_time(context.now))
