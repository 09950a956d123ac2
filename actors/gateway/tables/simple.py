"""Kinds whose rows are a field or two: namespaces, configmaps, secrets, leases, priority classes, and all the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.meta import Resource
from actors.api.namespaces import Namespace
from actors.api.node import Lease
from actors.gateway.tables.table import AGE, NAME, Cell, Column, Printer, age

#: Of a value that is counted, not read.
Entries = dict[str, msgspec.Raw] | None


class ConfigMap(Resource, frozen=True):
    data: Entries = None
    binary_data: Entries = None


class Secret(Resource, frozen=True):
    type: str = "Opaque"
    data: Entries = None


class PriorityClass(Resource, frozen=True):
    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"


def _rows(shape: type[Any], columns: tuple[Column, ...], middle: Callable[[Any], tuple[Cell, ...]]) -> Printer:
    """NAME, what `middle` tells, AGE."""

    def cells(obj: Any, now: Millis) -> tuple[Cell, ...]:
        return (obj.metadata.name, *middle(obj), age(obj, now))

    return Printer((NAME, *columns, AGE), shape, cells)


def _priority_cells(obj: PriorityClass, now: Millis) -> tuple[Cell, ...]:
    return obj.metadata.name, obj.value, obj.global_default, age(obj, now), obj.preemption_policy


DEFAULT = _rows(Resource, (), lambda obj: ())
NAMESPACES = _rows(Namespace, (Column("Status"),), lambda obj: (obj.status.phase,))
LEASES = _rows(Lease, (Column("Holder"),), lambda obj: (obj.spec.holder_identity,))
CONFIG_MAPS = _rows(ConfigMap, (Column("Data"),), lambda obj: (str(len(obj.data or ()) + len(obj.binary_data or ())),))
SECRETS = _rows(Secret, (Column("Type"), Column("Data")), lambda obj: (obj.type, str(len(obj.data or ()))))
PRIORITY_CLASSES = Printer(
    (NAME, Column("Value", "integer"), Column("Global-Default", "boolean"), AGE, Column("PreemptionPolicy")),
    PriorityClass,
    _priority_cells,
)
