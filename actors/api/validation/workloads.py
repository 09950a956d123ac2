"""Kinds that make pods and keep them (pkg/apis/apps/validation)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import ValidationError, convert

from actors.api.codec import Object
from actors.api.errors import BadRequest
from actors.api.meta import LabelSelector
from actors.api.selector import from_selector
from actors.api.validation.causes import Causes, forbidden, is_int, required, unsupported, wrong
from actors.api.validation.metadata import validate_labels
from actors.api.validation.pod import validate_pod_spec
from actors.api.validation.relations import JUDGE


def _selector(selector: Any, template: Object, path: str, kind: str = "deployment") -> Causes:
    if not isinstance(selector, dict):
        yield required(path)
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield wrong(path, {}, f"empty selector is invalid for {kind}")
        return
    yield from validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not _selects(selector, labels):
        yield wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _selects(selector: Object, labels: Object) -> bool:
    """An expression that cannot be read is told of beside this."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    try:
        return not selector.get("matchExpressions") or from_selector(convert(selector, LabelSelector)).matches(labels)
    except (BadRequest, ValidationError):
        return True


def validate_replicated(obj: Object, old: Object | None) -> Causes:
    """Deployment and ReplicaSet."""
    spec = obj.get("spec") or {}
    yield from JUDGE.part(spec, f"apps.v1.{obj['kind']}Spec", "spec")
    template = spec.get("template") or {}
    if not is_int(spec.get("replicas"), 0):
        yield wrong("spec.replicas", spec.get("replicas"), "must be greater than or equal to 0")
    yield from _selector(spec.get("selector"), template, "spec.selector")
    yield from _template(template, ("Always",))
    if old is not None and spec.get("selector") != (old.get("spec") or {}).get("selector"):
        yield wrong("spec.selector", spec.get("selector"), "field is immutable")


def _template(template: Object, restart_policies: Sequence[str]) -> Causes:
    yield from validate_labels((template.get("metadata") or {}).get("labels"), "spec.template.metadata.labels")
    yield from validate_pod_spec(template.get("spec") or {}, "spec.template.spec", restart_policies)


def validate_deployment(deployment: Object, old: Object | None) -> Causes:
    yield from validate_replicated(deployment, old)
    spec = deployment.get("spec") or {}
    strategy = spec.get("strategy") or {}
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        yield wrong("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    kinds = ("Recreate", "RollingUpdate")
    if strategy.get("type") not in kinds:
        yield unsupported("spec.strategy.type", strategy.get("type"), kinds)
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        yield forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    rolling = strategy.get("rollingUpdate") or {}
    for field in ("maxUnavailable", "maxSurge"):
        value = rolling.get(field)
        if value is not None and not is_int(value, 0) and not re.fullmatch(r"\d+%", str(value)):
            yield wrong(
                f"spec.strategy.rollingUpdate.{field}",
                value,
                "must be a non-negative integer or a percentage such as 25%",
            )
    if all(rolling.get(field) in (0, "0%") for field in ("maxUnavailable", "maxSurge")):
        yield wrong("spec.strategy.rollingUpdate.maxUnavailable", 0, "may not be 0 when `maxSurge` is 0")


_STATEFUL_SET_FIELDS = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def validate_stateful_set(stateful_set: Object, old: Object | None) -> Causes:
    spec = stateful_set.get("spec") or {}
    yield from _stateful_policies(spec)
    yield from _owns(spec, "statefulset")
    before = (old or {}).get("spec") or {}
    if old is not None and _others(spec, _STATEFUL_SET_FIELDS) != _others(before, _STATEFUL_SET_FIELDS):
        *first, last = (f"'{name}'" for name in _STATEFUL_SET_FIELDS)
        told = f"updates to statefulset spec for fields other than {', '.join(first)} and {last} are forbidden"
        yield forbidden("spec", told)


def _stateful_policies(spec: Object) -> Causes:
    """As ValidateStatefulSetSpec tells them: of the strategy as a whole, not of its type."""
    order, strategy, at = spec.get("podManagementPolicy"), spec.get("updateStrategy") or {}, "spec.updateStrategy"
    rolling = strategy.get("rollingUpdate")
    if order and order not in ("OrderedReady", "Parallel"):
        yield wrong("spec.podManagementPolicy", order, "must be 'OrderedReady' or 'Parallel'")
    match strategy.get("type"):
        case None | "":
            yield required(at)
        case "OnDelete" if rolling is not None:
            yield wrong(f"{at}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
        case "OnDelete":
            pass
        case "RollingUpdate":
            fewer = (rolling or {}).get("maxUnavailable")
            if fewer in (0, "0%"):
                yield wrong(f"{at}.rollingUpdate.maxUnavailable", fewer, "cannot be 0")
            if isinstance(fewer, str) and re.fullmatch(r"\d+%", fewer) and int(fewer[:-1]) > 100:
                yield wrong(f"{at}.rollingUpdate.maxUnavailable", fewer, "must not be greater than 100%")
        case _:
            yield wrong(at, strategy, "must be 'RollingUpdate' or 'OnDelete'")


def _others(spec: Object, names: Sequence[str]) -> Object:
    return {name: value for name, value in spec.items() if name not in names}


def validate_daemon_set(daemon_set: Object, old: Object | None) -> Causes:
    spec = daemon_set.get("spec") or {}
    yield from _owns(spec, "daemonset")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if isinstance(rolling, dict):
        at, nothing = "spec.updateStrategy.rollingUpdate", (0, "0%", None)
        fewer, more = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        if fewer in nothing and more in nothing:
            yield required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0")
        elif fewer not in nothing and more not in nothing:
            yield wrong(f"{at}.maxSurge", more, "may not be set when maxUnavailable is non-zero")


def _owns(spec: Object, kind: str) -> Causes:
    template = spec.get("template") or {}
    if spec.get("selector") is not None:
        yield from _selector(spec["selector"], template, "spec.selector", kind)
    yield from _template(template, ("Always",))


def validate_replication_controller(controller: Object, old: Object | None) -> Causes:
    spec = controller.get("spec") or {}
    template, selector = spec.get("template") or {}, spec.get("selector") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        yield wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _template(template, ("Always",))


def validate_pod_template(template: Object, old: Object | None) -> Causes:
    spec = (template.get("template") or {}).get("spec") or {}
    yield from validate_pod_spec(spec, "template.spec")
