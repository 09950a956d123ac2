"""What a controller is: a pure generator over one object, and which other objects' changes concern it.

    @controller(ReplicaSet, watches={Pod: owner})
    def reconcile(rs: ReplicaSet, view: View, now: Millis) -> Iterable[Action]: ...

The decorator returns a frozen `Controller`; nothing is registered by importing it. `Resource` in place of a shape
means every kind. A reconcile is level-triggered: it looks at what is, never at what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.meta import Resource, controller_of
from actors.reconcile.actions import Action
from actors.reconcile.view import RESOURCES, View

T = TypeVar("T", bound=Resource)

Reconcile = Callable[[T, View, Millis], Iterable[Action]]
#: From a changed object (its old and its new state are both asked) to the objects that must look again.
Concerns = Callable[[Key, Any, View], Iterable[Key]]


class Controller(msgspec.Struct, Generic[T], frozen=True):
    name: str
    shape: type[T]
    reconcile: Reconcile[T]
    watches: tuple[tuple[type[Resource], Concerns], ...] = ()

    def concerns(self, resource: str) -> list[Concerns]:
        """What tells the keys to reconcile when an object of that resource changes."""
        watches: tuple[tuple[type[Resource], Concerns], ...] = ((self.shape, itself), *self.watches)
        return [mapper for shape, mapper in watches if shape is Resource or RESOURCES[shape] == resource]

    def handles(self, obj: Resource) -> bool:
        return isinstance(obj, self.shape)

    def shapes(self) -> tuple[type[Resource], ...]:
        return (self.shape, *(shape for shape, _ in self.watches))


def controller(
    shape: type[T], watches: Mapping[type[Any], Concerns] | None = None, name: str = ""
) -> Callable[[Reconcile[T]], Controller[T]]:
    """Makes a reconcile function a `Controller`, named after its module."""

    def wrap(reconcile: Reconcile[T]) -> Controller[T]:
        label = name or reconcile.__module__.rpartition(".")[2].replace("_", "-")
        return Controller(label, shape, reconcile, tuple((watches or {}).items()))

    return wrap


def itself(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The changed object."""
    return (key,)


def owner(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The object that controls the changed one."""
    ref = controller_of(obj.metadata)
    found = view.with_uid(ref.uid) if ref else None
    return (found,) if found else ()
