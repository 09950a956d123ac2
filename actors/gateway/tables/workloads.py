"""`kubectl get` of what makes pods, beside Deployments, ReplicaSets and Jobs."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.gateway.tables.cells import (
    AGED,
    at,
    containers,
    flag,
    items,
    labels,
    only_wide,
    printer,
    selector,
    shown,
    timed,
)
from actors.gateway.tables.table import NONE, Cell, format_since

_WIDE = tuple(only_wide(cell) for cell in containers("spec.template"))
_SELECTOR = only_wide(shown("Selector", lambda obj: selector(at(obj, "spec.selector"))))


def _ready(obj: Object) -> str:
    return f"{at(obj, 'status.readyReplicas') or 0}/{at(obj, 'spec.replicas') or 0}"


def _controller(revision: Object) -> str:
    """`statefulset.apps/web`."""
    for owner in items(revision, "metadata.ownerReferences"):
        if owner.get("controller"):
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            return f"{str(owner.get('kind', '')).lower()}{'.' * bool(group)}{group}/{owner.get('name', '')}"
    return NONE


def _last_schedule(job: Object, now: Millis) -> Cell:
    last = at(job, "status.lastScheduleTime")
    return format_since(last, now) if last else NONE


STATEFUL_SETS = printer(shown("Ready", _ready), AGED, *_WIDE)
DAEMON_SETS = printer(
    shown("Desired", "status.desiredNumberScheduled", 0, "integer"),
    shown("Current", "status.currentNumberScheduled", 0, "integer"),
    shown("Ready", "status.numberReady", 0, "integer"),
    shown("Up-to-date", "status.updatedNumberScheduled", 0, "integer"),
    shown("Available", "status.numberAvailable", 0, "integer"),
    shown("Node Selector", lambda obj: labels(at(obj, "spec.template.spec.nodeSelector"))),
    AGED,
    *_WIDE,
    _SELECTOR,
)
CONTROLLERS = printer(
    shown("Desired", "spec.replicas", 0, "integer"),
    shown("Current", "status.replicas", 0, "integer"),
    shown("Ready", "status.readyReplicas", 0, "integer"),
    AGED,
    *_WIDE,
    only_wide(shown("Selector", lambda obj: labels(at(obj, "spec.selector")))),
)
REVISIONS = printer(shown("Controller", _controller), shown("Revision", "revision", 0), AGED)
TEMPLATES = printer(
    *containers("template"), shown("Pod Labels", lambda obj: labels(at(obj, "template.metadata.labels")))
)
CRON_JOBS = printer(
    shown("Schedule", "spec.schedule"),
    shown("Timezone", "spec.timeZone", NONE),
    shown("Suspend", lambda obj: flag(at(obj, "spec.suspend")), type="boolean"),
    shown("Active", lambda obj: len(items(obj, "status.active")), type="integer"),
    timed("Last Schedule", _last_schedule),
    AGED,
    *(only_wide(cell) for cell in containers("spec.jobTemplate.spec.template")),
    only_wide(shown("Selector", lambda obj: selector(at(obj, "spec.jobTemplate.spec.selector")))),
)
