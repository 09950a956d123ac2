"""`kubectl get replicasets`."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.meta import Resource
from actors.api.workloads import ReplicaSetStatus
from actors.gateway.tables.deployments import ShownSpec
from actors.gateway.tables.table import (
    AGE,
    NAME,
    Cell,
    Column,
    Printer,
    age,
    containers_and_images,
    format_selector,
    wide,
)


class ShownReplicaSet(Resource, frozen=True):
    spec: ShownSpec = ShownSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


def cells(replica_set: ShownReplicaSet, now: Millis) -> tuple[Cell, ...]:
    spec, status = replica_set.spec, replica_set.status
    return (
        replica_set.metadata.name,
        spec.replicas,
        status.replicas,
        status.ready_replicas,
        age(replica_set, now),
        *containers_and_images(spec.template),
        format_selector(spec.selector),
    )


COLUMNS = (
    NAME,
    Column("Desired", "integer", description="Number of pods desired."),
    Column("Current", "integer", description="Number of pods that exist."),
    Column("Ready", "integer", description="Number of pods that are ready."),
    AGE,
    *wide("Containers", "Images", "Selector"),
)
PRINTER = Printer(COLUMNS, ShownReplicaSet, cells)
