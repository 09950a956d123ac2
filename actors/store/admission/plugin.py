"""What a built-in admission plugin may do to a write, in kube-apiserver's words and at its places.

mutate    after defaulting, before validation: the object as the plugin wants it
validate  after validation: raises Forbidden or Invalid for what may not be; warns
settle    when all is decided: what else changes in the same commit (a quota is charged)

A plugin is a frozen struct: its fields are its configuration. It keeps no state: what it needs to know it looks up at
the revision of the write. The one writer asks it, so whoever writes passes it, in dry runs too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar

import msgspec

from actors.api.codec import Object
from actors.api.errors import Forbidden
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.store.admission import refusals
from actors.store.admission.outcome import Context, Outcome, Put, Remove


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Request(msgspec.Struct, frozen=True):
    """A write as a plugin sees it. `old`: what is stored, None for a new object."""

    operation: Operation
    kind: Kind
    key: Key
    context: Context
    old: Object | None = None
    subresource: str = ""

    def forbidden(self, why: str) -> Forbidden:
        return refusals.forbidden(self.kind, self.key.name, why)

    def warn(self, text: str) -> None:
        """Told to the client beside its answer."""
        self.context.notes.warnings.append(text)


class Change(msgspec.Struct, frozen=True):
    """One object's change, decided. `before` None: it is new; `after` None: it is gone for good."""

    kind: Kind
    key: Key
    context: Context
    before: Stored | None
    after: Object | None
    subresource: str = ""

    def forbidden(self, why: str) -> Forbidden:
        return refusals.forbidden(self.kind, self.key.name, why)


class Plugin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="plugin", tag=True, kw_only=True):
    """All places are optional. `resources` empty: all; the same for `subresources`: {""} is the object itself."""

    resources: ClassVar[frozenset[str]] = frozenset()
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE})
    subresources: ClassVar[frozenset[str]] = frozenset({""})

    def mutate(self, request: Request, obj: Object) -> Object:
        """Another object, or `obj`; never `obj` changed in place."""
        return obj

    def validate(self, request: Request, obj: Object) -> None:
        """Raises Forbidden, Invalid. `obj` of a DELETE is what is stored."""

    def settle(self, change: Change) -> Iterable[Put]:
        """Asked about every change of any object. Raises Forbidden."""
        return ()


class Plugins:
    """Those that are on, in order. Which of them a write concerns is found out once for each kind of write."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._settling = tuple(plugin for plugin in plugins if type(plugin).settle is not Plugin.settle)
        self._concerned: dict[tuple[str, Operation, str], tuple[tuple[Plugin, ...], tuple[Plugin, ...]]] = {}

    def mutate(self, request: Request, obj: Object) -> Object:
        for plugin in self._asked(request)[0]:
            obj = plugin.mutate(request, obj)
        return obj

    def validate(self, request: Request, obj: Object) -> None:
        for plugin in self._asked(request)[1]:
            plugin.validate(request, obj)

    def settle(self, outcome: Put | Remove, kind: Kind, context: Context, subresource: str) -> Outcome:
        """The outcome with what else it changes."""
        if not self._settling:
            return outcome
        key, after = outcome.key, outcome.object if isinstance(outcome, Put) else None
        change = Change(kind, key, context, context.lookup(key), after, subresource)
        also = [put for plugin in self._settling for put in plugin.settle(change)]
        return msgspec.structs.replace(outcome, also=(*outcome.also, *also)) if also else outcome

    def _asked(self, request: Request) -> tuple[tuple[Plugin, ...], tuple[Plugin, ...]]:
        at = (request.kind.resource, request.operation, request.subresource)
        found = self._concerned.get(at)
        if found is None:
            concerned = [plugin for plugin in self._plugins if _concerns(plugin, *at)]
            mutating = tuple(plugin for plugin in concerned if type(plugin).mutate is not Plugin.mutate)
            validating = tuple(plugin for plugin in concerned if type(plugin).validate is not Plugin.validate)
            found = self._concerned[at] = (mutating, validating)
        return found


def _concerns(plugin: Plugin, resource: str, operation: Operation, subresource: str) -> bool:
    if plugin.resources and resource not in plugin.resources:
        return False
    return operation in plugin.operations and (not plugin.subresources or subresource in plugin.subresources)
