"""`kubectl get horizontalpodautoscalers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.gateway.tables.cells import AGED, UNSET, at, items, printer, shown
from actors.gateway.tables.table import NONE, UNKNOWN

_SHOWN_MAX = 2
#: The member of a metric that holds it, by the metric's type.
_SOURCES = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def _value(found: Any, kind: str) -> str:
    """A metric's number as its target tells it: `80%`, `500m` or `2 (avg)`."""
    found = found or {}
    if found.get("averageUtilization") is not None:
        return f"{found['averageUtilization']}%"
    if found.get("averageValue") is not None:
        return f"{found['averageValue']}{' (avg)' if kind in ('Object', 'External') else ''}"
    return str(found.get("value", UNKNOWN))


def _targets(scaler: Object) -> Iterator[str]:
    current = items(scaler, "status.currentMetrics")
    for i, metric in enumerate(items(scaler, "spec.metrics")):
        kind = metric.get("type", "")
        source = _SOURCES.get(kind, "")
        is_now = at(current[i], f"{source}.current") if i < len(current) and current[i].get("type") == kind else None
        name = at(metric, f"{source}.name") if kind in ("Resource", "ContainerResource") else ""
        prefix = f"{name}: " if name else ""
        yield f"{prefix}{_value(is_now, '') if is_now else UNKNOWN}/{_value(at(metric, f'{source}.target'), kind)}"


def _shown_targets(scaler: Object) -> str:
    found = list(_targets(scaler))
    more = f" + {len(found) - _SHOWN_MAX} more..." if len(found) > _SHOWN_MAX else ""
    return ", ".join(found[:_SHOWN_MAX]) + more or NONE


def _reference(scaler: Object) -> str:
    target = at(scaler, "spec.scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


AUTOSCALERS = printer(
    shown("Reference", _reference),
    shown("Targets", _shown_targets),
    shown("MinPods", "spec.minReplicas", UNSET),
    shown("MaxPods", "spec.maxReplicas", 0),
    shown("Replicas", "status.currentReplicas", 0),
    AGED,
)
