"""Deployment, ReplicaSet and Job (pkg/apis/apps/validation, pkg/apis/batch/validation)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import Causes, forbidden, is_int, required, unsupported, wrong
from actors.api.validation.metadata import validate_labels
from actors.api.validation.pod import validate_pod_spec

#: maxParallelismForIndexedJob in pkg/apis/batch/validation.
INDEXED_PODS_MAX = 100_000


def _selector(selector: Any, template: Object, path: str, kind: str = "deployment") -> Causes:
    if not isinstance(selector, dict):
        yield required(path)
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield wrong(path, "{}", f"empty selector is invalid for {kind}")
        return
    yield from validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        yield wrong("spec.template.metadata.labels", str(labels), "`selector` does not match template `labels`")


def validate_replicated(obj: Object, old: Object | None) -> Causes:
    """Deployment and ReplicaSet."""
    spec = obj.get("spec") or {}
    template = spec.get("template") or {}
    if not is_int(spec.get("replicas"), 0):
        yield wrong("spec.replicas", spec.get("replicas"), "must be greater than or equal to 0")
    yield from _selector(spec.get("selector"), template, "spec.selector")
    yield from _template(template, ("Always",))
    if old is not None and spec.get("selector") != (old.get("spec") or {}).get("selector"):
        yield wrong("spec.selector", str(spec.get("selector")), "field is immutable")


def _template(template: Object, restart_policies: Sequence[str]) -> Causes:
    yield from validate_labels((template.get("metadata") or {}).get("labels"), "spec.template.metadata.labels")
    yield from validate_pod_spec(template.get("spec") or {}, "spec.template.spec", restart_policies)


def validate_deployment(deployment: Object, old: Object | None) -> Causes:
    yield from validate_replicated(deployment, old)
    strategy = (deployment.get("spec") or {}).get("strategy") or {}
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


def validate_job(job: Object, old: Object | None) -> Causes:
    spec = job.get("spec") or {}
    for field in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if spec.get(field) is not None and not is_int(spec[field], 0):
            yield wrong(f"spec.{field}", spec[field], "must be greater than or equal to 0")
    modes = ("Indexed", "NonIndexed")
    if spec.get("completionMode") not in modes:
        yield unsupported("spec.completionMode", spec.get("completionMode"), modes)
    elif spec["completionMode"] == "Indexed" and spec.get("completions") is None:
        yield required("spec.completions", "when completion mode is Indexed")
    elif spec["completionMode"] == "Indexed" and is_int(spec.get("parallelism"), INDEXED_PODS_MAX + 1):
        told = f"must be less than or equal to {INDEXED_PODS_MAX} when completion mode is Indexed"
        yield wrong("spec.parallelism", spec["parallelism"], told)
    yield from _template(spec.get("template") or {}, ("OnFailure", "Never"))
    previous = (old or {}).get("spec") or {}
    for field in ("selector", "template", "completionMode"):
        if old is not None and spec.get(field) != previous.get(field) and not previous.get("suspend"):
            yield wrong(f"spec.{field}", "", "field is immutable")


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
    yield from _owns(spec, "statefulset")
    before = (old or {}).get("spec") or {}
    if old is not None and _others(spec, _STATEFUL_SET_FIELDS) != _others(before, _STATEFUL_SET_FIELDS):
        *first, last = (f"'{name}'" for name in _STATEFUL_SET_FIELDS)
        told = f"updates to statefulset spec for fields other than {', '.join(first)} and {last} are forbidden"
        yield forbidden("spec", told)


def _others(spec: Object, names: Sequence[str]) -> Object:
    return {name: value for name, value in spec.items() if name not in names}


def validate_daemon_set(daemon_set: Object, old: Object | None) -> Causes:
    yield from _owns(daemon_set.get("spec") or {}, "daemonset")


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
        yield wrong("spec.template.metadata.labels", str(labels), "`selector` does not match template `labels`")
    yield from _template(template, ("Always",))


#: So that the jobs' names, with a time behind, are names.
_CRON_JOB_NAME_CHARS_MAX = 52


def validate_cron_job(job: Object, old: Object | None) -> Causes:
    name = str((job.get("metadata") or {}).get("name", ""))
    if old is None and len(name) > _CRON_JOB_NAME_CHARS_MAX:
        yield wrong("metadata.name", name, f"must be no more than {_CRON_JOB_NAME_CHARS_MAX} characters")
    made = ((job.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    template = made.get("template") or {}
    path = "spec.jobTemplate.spec.template"
    yield from validate_labels((template.get("metadata") or {}).get("labels"), f"{path}.metadata.labels")
    yield from validate_pod_spec(template.get("spec") or {}, f"{path}.spec", ("OnFailure", "Never"))


def validate_pod_template(template: Object, old: Object | None) -> Causes:
    spec = (template.get("template") or {}).get("spec") or {}
    yield from validate_pod_spec(spec, "template.spec")
