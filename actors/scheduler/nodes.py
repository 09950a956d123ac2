"""All nodes as arrays, one row each: what every scheduler plugin computes over at once.

Rows are numbered by arrival and mean nothing; ties between nodes are broken by a hash of their names, so no answer
depends on the order of rows. `charge` and `discharge` are exact inverses; a `fork` may be charged freely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from actors.api.meta import Lens, Resource
from actors.api.node import NODE_DEVICES_ANNOTATION, NodeSpec, Taint
from actors.scheduler.shape import CPU, EPHEMERAL, MEMORY, PODS, HostPort, Shape, count_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
#: {resource: ids of devices}
DeviceIds = Mapping[str, tuple[str, ...]]

UNLIMITED = 1 << 60
_VECTORS_MAX = 16_384
_COLUMNS = (CPU, MEMORY, EPHEMERAL, PODS)


class NodeStatus(Lens, frozen=True):
    allocatable: dict[str, str | int | float] | None = None


class Node(Resource, frozen=True):
    """The scheduler's lens over core/v1 Node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Load(msgspec.Struct, frozen=True):
    """What one pod takes from its node."""

    shape: Shape
    devices: DeviceIds = {}


class Nodes:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.columns: dict[str, int] = {name: index for index, name in enumerate(_COLUMNS)}
        self.valid: Bools = np.zeros(0, np.bool_)
        self.unschedulable: Bools = np.zeros(0, np.bool_)
        self.allocatable: Ints = np.zeros((0, len(_COLUMNS)), np.int64)
        self.requested: Ints = np.zeros((0, len(_COLUMNS)), np.int64)
        self.devices_free: Ints = np.zeros((0, len(_COLUMNS)), np.int64)
        self.taint_set: Ints = np.zeros(0, np.int64)
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self.ties: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.labels: list[dict[str, str]] = []
        self._label_codes: dict[str, tuple[Ints, tuple[str, ...]]] = {}
        self._taint_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self._devices: list[DeviceIds] = []  # healthy ones
        self._taken: dict[int, dict[str, frozenset[str]]] = {}  # rows' own dicts are replaced, never changed
        self._ports: dict[tuple[str, int], dict[int, tuple[str, ...]]] = {}
        self._vectors: dict[bytes, Ints] = {}

    def __len__(self) -> int:
        return len(self.rows)

    # -- what plugins ask

    def free(self) -> Ints:
        """By row and column: what can still be asked for. For devices never more than the healthy ones not taken."""
        free: Ints = np.minimum(self.allocatable - self.requested, self.devices_free)
        return free

    def vector(self, shape: Shape) -> Ints:
        """The shape's requests by column. What no node offers has no column; see `unknown`."""
        vector = self._vectors.get(shape.fingerprint)
        if vector is None:
            if len(self._vectors) >= _VECTORS_MAX:
                self._vectors.clear()
            vector = np.zeros(len(self.columns), np.int64)
            for name, count in shape.requests.items():
                if name in self.columns:
                    vector[self.columns[name]] = count
            self._vectors[shape.fingerprint] = vector
        return vector

    def unknown(self, shape: Shape) -> list[str]:
        """Resources that no node has ever offered."""
        return [name for name in shape.requests if name not in self.columns]

    def select_labels(self, key: str, test: Callable[[str | None], bool]) -> Bools:
        """The rows whose value of label `key` (None when absent) passes; `test` is called once per distinct value."""
        codes, values = self._codes(key)
        verdicts = np.array([test(None), *map(test, values)], np.bool_)
        return verdicts[codes]

    def select_taints(self, test: Callable[[tuple[Taint, ...]], bool]) -> Bools:
        """The rows whose taints pass; `test` is called once per distinct set of taints."""
        return np.array([test(taints) for taints in self.taint_sets], np.bool_)[self.taint_set]

    def has_port_conflict(self, port: HostPort) -> Bools:
        taken = np.zeros(len(self.names), np.bool_)
        for row, addresses in self._ports.get((port.protocol, port.host_port), {}).items():
            taken[row] = any(_addresses_clash(port.host_ip, other) for other in addresses)
        return taken

    def free_devices(self, row: int, resource: str) -> tuple[str, ...] | None:
        """Healthy ids not taken, in the node's order; None when the node lists no devices of the kind."""
        ids = self._devices[row].get(resource)
        taken = self._taken_of(row, resource)
        return ids if ids is None or not taken else tuple(id_ for id_ in ids if id_ not in taken)

    # -- nodes come and go

    def put(self, node: Node) -> bool:
        """Adds a node or takes over its new state. True when a column was added: loads must be charged anew."""
        row = self.rows.get(node.metadata.name)
        if row is None:
            row = self._add_row(node.metadata.name)
        offered = {name: _count_or_zero(name, q) for name, q in (node.status.allocatable or {}).items()}
        added = self._add_columns(offered)
        self.allocatable[row] = [offered.get(name, 0) for name in self.columns]
        self.unschedulable[row] = node.spec.unschedulable
        self.taint_set[row] = self._taint_id(node.spec.taints or ())
        self._put_labels(row, node.metadata.labels or {})
        self._put_devices(row, parse_devices(node.metadata.annotation(NODE_DEVICES_ANNOTATION)))
        return added

    def remove(self, name: str) -> None:
        """The node is gone. Its row is used again; loads on it must have been discharged or are forgotten."""
        row = self.rows.pop(name)
        self.names[row] = ""
        self.valid[row] = False
        self.allocatable[row] = self.requested[row] = 0
        self._put_labels(row, {})
        self._put_devices(row, {})
        self._taken.pop(row, None)
        for users in self._ports.values():
            users.pop(row, None)

    # -- pods come and go

    def charge(self, row: int, load: Load) -> None:
        self.requested[row] += self.vector(load.shape)
        for resource, ids in load.devices.items():
            self._take(row, resource, self._taken_of(row, resource).union(ids))
        for port in load.shape.host_ports:
            users = self._ports.setdefault((port.protocol, port.host_port), {})
            users[row] = (*users.get(row, ()), port.host_ip)

    def discharge(self, row: int, load: Load) -> None:
        self.requested[row] -= self.vector(load.shape)
        for resource, ids in load.devices.items():
            self._take(row, resource, self._taken_of(row, resource).difference(ids))
        for port in load.shape.host_ports:
            users = self._ports[port.protocol, port.host_port]
            left = list(users.pop(row, ()))
            if port.host_ip in left:
                left.remove(port.host_ip)
            if left:
                users[row] = tuple(left)

    def reset_loads(self) -> None:
        self.requested[:] = 0
        self._ports.clear()
        taken, self._taken = self._taken, {}
        for row, resources in taken.items():
            for resource in resources:
                self._count_devices(row, resource)

    def fork(self) -> Nodes:
        """A copy whose loads may be changed without changing ours; all else is shared."""
        copy = Nodes.__new__(Nodes)
        copy.__dict__.update(self.__dict__)
        copy.requested = self.requested.copy()
        copy.devices_free = self.devices_free.copy()
        copy._taken = dict(self._taken)
        copy._ports = {key: dict(users) for key, users in self._ports.items()}
        return copy

    # -- inside

    def _add_row(self, name: str) -> int:
        row = self._free_row()
        self.rows[name] = row
        self.names[row] = name
        self.valid[row] = True
        self.ties[row] = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
        return row

    def _free_row(self) -> int:
        if len(self.rows) == len(self.names):
            self._grow(max(16, len(self.names)))
        return int(np.flatnonzero(~self.valid)[0])

    def _grow(self, count: int) -> None:
        """Twice the rows at a time: adding N nodes costs N, not N squared."""
        self.names += [""] * count
        self.labels += [{} for _ in range(count)]
        self._devices += [{} for _ in range(count)]
        for field in ("valid", "unschedulable", "allocatable", "requested", "taint_set", "ties"):
            array = getattr(self, field)
            setattr(self, field, np.concatenate([array, np.zeros((count, *array.shape[1:]), array.dtype)]))
        shape = (count, self.devices_free.shape[1])
        self.devices_free = np.concatenate([self.devices_free, np.full(shape, UNLIMITED, np.int64)])
        self._label_codes.clear()

    def _add_columns(self, names: Iterable[str]) -> bool:
        new = [name for name in sorted(names) if name not in self.columns]
        if not new:
            return False
        for name in new:
            self.columns[name] = len(self.columns)
        pad = ((0, 0), (0, len(new)))
        self.allocatable = np.pad(self.allocatable, pad)
        self.requested = np.pad(self.requested, pad)
        self.devices_free = np.pad(self.devices_free, pad, constant_values=UNLIMITED)
        self._vectors = {}
        return True

    def _put_labels(self, row: int, labels: dict[str, str]) -> None:
        before, self.labels[row] = self.labels[row], labels
        for key in {*before, *labels}:
            if before.get(key) != labels.get(key):
                self._label_codes.pop(key, None)

    def _put_devices(self, row: int, devices: DeviceIds) -> None:
        self._devices[row] = devices
        self.devices_free[row] = UNLIMITED
        for resource in devices:
            self._count_devices(row, resource)

    def _taken_of(self, row: int, resource: str) -> frozenset[str]:
        return self._taken.get(row, {}).get(resource, frozenset())

    def _take(self, row: int, resource: str, ids: frozenset[str]) -> None:
        self._taken[row] = {**self._taken.get(row, {}), resource: ids}
        self._count_devices(row, resource)

    def _count_devices(self, row: int, resource: str) -> None:
        ids = self.free_devices(row, resource)
        if resource in self.columns:
            self.devices_free[row, self.columns[resource]] = UNLIMITED if ids is None else len(ids)

    def _taint_id(self, taints: tuple[Taint, ...]) -> int:
        effective = tuple(sorted({(t.key, t.value, t.effect) for t in taints}))
        taints = tuple(Taint(key=key, value=value, effect=effect) for key, value, effect in effective)
        if taints not in self._taint_ids:
            self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets = [*self.taint_sets, taints]
        return self._taint_ids[taints]

    def _codes(self, key: str) -> tuple[Ints, tuple[str, ...]]:
        found = self._label_codes.get(key)
        if found is None:
            values = sorted({labels[key] for labels in self.labels if key in labels})
            number = {value: index for index, value in enumerate(values, start=1)}
            codes = np.fromiter(
                (number.get(labels.get(key, ""), 0) if key in labels else 0 for labels in self.labels), np.int64
            )
            found = self._label_codes[key] = (codes, tuple(values))
        return found


def parse_devices(text: str | None) -> dict[str, tuple[str, ...]]:
    """Healthy device ids by resource, of a node's annotation. An unreadable annotation lists nothing."""
    try:
        listed: dict[str, list[dict[str, Any]]] = msgspec.json.decode(
            text or "{}", type=dict[str, list[dict[str, Any]]]
        )
        return {
            resource: tuple(dict.fromkeys(str(device["id"]) for device in devices if device.get("healthy", True)))
            for resource, devices in listed.items()
        }
    except (msgspec.DecodeError, KeyError):
        return {}


def _count_or_zero(name: str, quantity: str | int | float) -> int:
    try:
        return count_of(name, quantity)
    except ValueError:
        return 0


def _addresses_clash(one: str, other: str) -> bool:
    wild = ("", "0.0.0.0", "::")
    return one == other or one in wild or other in wild
