"""Rules between fields of HorizontalPodAutoscalers and PodDisruptionBudgets (pkg/apis/autoscaling, pkg/apis/policy)."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.codec import Object
from actors.api.quantity import parse_millis
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, wrong


def _autoscaler(spec: Object, path: str) -> Causes:
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas") or 0
    if low < 1:
        yield wrong(f"{path}.minReplicas", low, "must be greater than or equal to 1")
    if 0 < high < low:
        yield wrong(f"{path}.maxReplicas", high, "must be greater than or equal to `minReplicas`")


#: Where a metric of a type has its target, and whether that is a share of what its pods ask for.
_SOURCES = {
    "Resource": ("resource", True),
    "ContainerResource": ("containerResource", True),
    "Pods": ("pods", False),
    "Object": ("object", False),
    "External": ("external", False),
}


def _metric(metric: Object, path: str) -> Causes:
    kind = metric.get("type")
    source, is_share = _SOURCES.get(str(kind), ("", False))
    if source and not metric.get(source):
        yield required(f"{path}.{source}", f"must populate information for the given metric source ({kind})")
    for name, _ in _SOURCES.values() if source else ():
        if name != source and metric.get(name) is not None:
            yield forbidden(f"{path}.{name}", "must populate the given metric source only")
    target = (metric.get(source) or {}).get("target") if source else None
    if isinstance(target, dict):
        yield from _target(target, f"{path}.{source}.target", str(kind), is_share)


def _target(target: Object, path: str, kind: str, is_share: bool) -> Causes:
    for name in ("value", "averageValue"):
        if target.get(name) is not None and parse_millis(target[name]) <= 0:
            yield wrong(f"{path}.{name}", target[name], "must be positive")
    average, share, value = (target.get(name) for name in ("averageValue", "averageUtilization", "value"))
    if is_share:
        if share is None and average is None:
            yield required(f"{path}.averageUtilization", "must set either a target raw value or a target utilization")
        elif share is not None and average is not None:
            yield forbidden(f"{path}.averageValue", "may not set both a target raw value and a target utilization")
    elif kind == "Pods":
        if average is None:
            yield required(f"{path}.averageValue", "must specify a positive target averageValue")
    elif value is None and average is None:
        yield required(f"{path}.averageValue", "must set either a target value or averageValue")
    elif kind == "External" and value is not None and average is not None:
        yield forbidden(f"{path}.value", "may not set both a target value and a target averageValue")


def _scaling(rules: Object, path: str) -> Causes:
    if rules.get("policies") is not None and not dicts_of(rules["policies"]):
        yield required(f"{path}.policies", "must specify at least one Policy")


def _budget(spec: Object, path: str) -> Causes:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield wrong(path, "", "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        share = str(spec.get(name) or "")
        if share.endswith("%") and share[:-1].isdigit() and int(share[:-1]) > 100:
            yield wrong(f"{path}.{name}", share, "must not be greater than 100%")


SCALING_RELATIONS: dict[str, Callable[[Object, str], Causes]] = {
    "autoscaling.v2.HorizontalPodAutoscalerSpec": _autoscaler,
    "autoscaling.v2.HPAScalingRules": _scaling,
    "autoscaling.v2.MetricSpec": _metric,
    "policy.v1.PodDisruptionBudgetSpec": _budget,
}
