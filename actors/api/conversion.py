"""One stored object in several served shapes: pure functions from the stored shape to a view's and back.

Views are the other versions of a custom resource, which only the apiVersion tells apart, and the rows of the table of
kinds with `stored_as`. events.k8s.io/v1 names the fields of a core Event anew; autoscaling/v1 keeps what it has no
field for in annotations, as pkg/apis/autoscaling/v1/conversion.go does, so that there and back again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.api.codec import Object, decode, encode
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.meta import Lens


class _Type(Lens, frozen=True):
    api_version: str = ""


_TYPE = msgspec.json.Decoder(_Type)
Converter = Callable[[Object], Object]


def written_version(stored: Stored) -> str:
    """The apiVersion that a body is written in: of a custom resource, that of the storage version of then."""
    return _TYPE.decode(stored.body).api_version


def shown(stored: Stored, kind: Kind) -> Stored:
    """`stored` with its body in the shape of `kind`; itself unless `kind` is a view."""
    if not kind.stored_as and not kind.is_custom:
        return stored
    if kind.is_custom and _TYPE.decode(stored.body).api_version == kind.api_version:
        return stored
    return msgspec.structs.replace(
        stored, body=encode({**to_view(decode(stored), kind), "apiVersion": kind.api_version})
    )


def to_view(obj: Object, kind: Kind) -> Object:
    """A stored object in the shape of `kind`."""
    if not kind.stored_as:
        return obj
    return {**_CONVERTERS.get((kind.api_version, kind.kind), _SAME)[0](obj), "apiVersion": kind.api_version}


def to_stored(obj: Object, kind: Kind) -> Object:
    """An object in the shape of `kind` as the store keeps it."""
    if not kind.stored_as:
        return obj
    return {**_CONVERTERS.get((kind.api_version, kind.kind), _SAME)[1](obj), "apiVersion": kind.stored_as}


# --- events -----------------------------------------------------------------------------------------------------

_EVENTS = "events.k8s.io/v1"
_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_EVENT_NAMES_BACK = {new: old for old, new in _EVENT_NAMES.items()}


def _renamed(obj: Object, names: dict[str, str]) -> Object:
    return {names.get(name, name): value for name, value in obj.items()}


def _event_to_view(event: Object) -> Object:
    return _renamed(event, _EVENT_NAMES)


def _event_to_stored(event: Object) -> Object:
    return _renamed(event, _EVENT_NAMES_BACK)


# --- autoscaling ------------------------------------------------------------------------------------------------

_ANNOTATIONS = {
    ("spec", "metrics"): "autoscaling.alpha.kubernetes.io/metrics",
    ("spec", "behavior"): "autoscaling.alpha.kubernetes.io/behavior",
    ("status", "currentMetrics"): "autoscaling.alpha.kubernetes.io/current-metrics",
    ("status", "conditions"): "autoscaling.alpha.kubernetes.io/conditions",
}
#: Section, list of metrics, where a metric has its number, and the one field that version 1 has for it.
_CPU = (
    ("spec", "metrics", "target", "targetCPUUtilizationPercentage"),
    ("status", "currentMetrics", "current", "currentCPUUtilizationPercentage"),
)


def _cpu_percentage(metric: Any, number: str) -> int | None:
    if not isinstance(metric, dict) or metric.get("type") != "Resource":
        return None
    resource = metric.get("resource") or {}
    value = (resource.get(number) or {}).get("averageUtilization")
    return value if resource.get("name") == "cpu" and isinstance(value, int) else None


def _cpu_metric(percentage: int, number: str) -> Object:
    value: Object = {"averageUtilization": percentage}
    if number == "target":
        value["type"] = "Utilization"
    return {"type": "Resource", "resource": {"name": "cpu", number: value}}


def _sections(obj: Object) -> tuple[Object, dict[str, Any], Object]:
    """Copies: the object, its annotations, its spec and status by name."""
    parts = {name: dict(obj[name]) for name in ("spec", "status") if isinstance(obj.get(name), dict)}
    return {**obj, **parts}, dict((obj.get("metadata") or {}).get("annotations") or {}), parts


def _with_annotations(obj: Object, annotations: Object) -> Object:
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "annotations"}
    return {**obj, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}


def _scaler_to_view(scaler: Object) -> Object:
    obj, annotations, parts = _sections(scaler)
    for section, metrics, number, field in _CPU:
        part = parts.get(section, {})
        known = part.get(metrics) or []
        percentages = [_cpu_percentage(metric, number) for metric in known]
        at = next((i for i, found in enumerate(percentages) if found is not None), None)
        if at is not None:
            part[field] = percentages[at]
            part[metrics] = known[:at] + known[at + 1 :]
    for (section, name), annotation in _ANNOTATIONS.items():
        value = parts.get(section, {}).pop(name, None)
        if value:
            annotations[annotation] = msgspec.json.encode(value).decode()
    return _with_annotations(obj, annotations)


def _scaler_to_stored(scaler: Object) -> Object:
    obj, annotations, parts = _sections(scaler)
    for (section, name), annotation in _ANNOTATIONS.items():
        value = _json(annotations.pop(annotation, None))
        if isinstance(value, dict if name == "behavior" else list):
            parts.setdefault(section, {})[name] = value
    for section, metrics, number, field in _CPU:
        percentage = parts.get(section, {}).pop(field, None)
        if isinstance(percentage, int):
            parts[section][metrics] = [_cpu_metric(percentage, number), *parts[section].get(metrics, [])]
    return _with_annotations({**obj, **parts}, annotations)


def _json(text: Any) -> Any:
    """What a user wrote into an annotation that is not JSON counts as nothing."""
    try:
        return msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return None


#: Versions of a custom resource: another name of the same shape (conversion strategy None).
_SAME: tuple[Converter, Converter] = (lambda obj: obj, lambda obj: obj)
_CONVERTERS: dict[tuple[str, str], tuple[Converter, Converter]] = {
    (_EVENTS, "Event"): (_event_to_view, _event_to_stored),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (_scaler_to_view, _scaler_to_stored),
}
