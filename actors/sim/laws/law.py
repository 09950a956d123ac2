"""What a law is: something that must never be seen, with a memory of its own.

A breach raises `Breach`, which names the object and what is wrong; the driver adds the seed and how to replay it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import msgspec

from actors.api.codec import lens
from actors.api.key import Key
from actors.api.meta import Resource
from actors.api.namespaces import Namespace
from actors.api.node import Node
from actors.api.pod import Pod
from actors.api.workloads import DaemonSet, Deployment, Job, ReplicaSet, ReplicationController, StatefulSet
from actors.store.record import Record

T = TypeVar("T", bound=Resource)

_SHAPES: dict[str, type[Resource]] = {
    "pods": Pod,
    "nodes": Node,
    "namespaces": Namespace,
    "deployments.apps": Deployment,
    "replicasets.apps": ReplicaSet,
    "jobs.batch": Job,
    "statefulsets.apps": StatefulSet,
    "daemonsets.apps": DaemonSet,
    "replicationcontrollers": ReplicationController,
}


class Breach(AssertionError):
    """A law does not hold."""


class Sight(NamedTuple):
    """One durable change, read once for all laws."""

    record: Record
    obj: Resource

    @property
    def key(self) -> Key:
        return self.record.stored.key

    @property
    def removed(self) -> bool:
        return self.record.removed


class Law(Protocol):
    def see(self, sight: Sight) -> None:
        """Called for every durable change, in order. Raises Breach."""
        ...


def read(record: Record) -> Sight:
    shape = _SHAPES.get(record.stored.key.resource, Resource)
    try:
        return Sight(record, lens(record.stored, shape))
    except msgspec.ValidationError as error:
        raise Breach(f"{record.stored.key} does not have the shape of its kind: {error}") from error
