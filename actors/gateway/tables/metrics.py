"""Rows of nodes' and pods' metrics, with the columns of metrics-server."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.meta import Lens, Resource
from actors.api.quantity import Quantity, parse_bytes, parse_millis
from actors.gateway.tables.table import NAME, Cell, Column, Printer

_COLUMNS = (NAME, Column("cpu"), Column("memory"), Column("Window", format="duration"))


class NodeMetrics(Resource, frozen=True):
    usage: dict[str, Quantity] | None = None
    window: str = ""


class ContainerMetrics(Lens, frozen=True):
    usage: dict[str, Quantity] | None = None


class PodMetrics(Resource, frozen=True):
    containers: tuple[ContainerMetrics, ...] | None = None
    window: str = ""


def _node_cells(obj: NodeMetrics, now: Millis) -> tuple[Cell, ...]:
    return obj.metadata.name, *_sums([obj.usage or {}]), obj.window


def _pod_cells(obj: PodMetrics, now: Millis) -> tuple[Cell, ...]:
    return obj.metadata.name, *_sums([one.usage or {} for one in obj.containers or ()]), obj.window


def _sums(usages: list[dict[str, Quantity]]) -> tuple[str, str]:
    cpu = sum(parse_millis(usage.get("cpu", 0)) for usage in usages)
    return f"{cpu}m", f"{sum(parse_bytes(usage.get('memory', 0)) for usage in usages) >> 10}Ki"


NODES = Printer(_COLUMNS, NodeMetrics, _node_cells)
PODS = Printer(_COLUMNS, PodMetrics, _pod_cells)
