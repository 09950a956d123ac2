"""What a Deployment says of itself: counters and the conditions that `kubectl rollout status` reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.api.clock import Millis, format_time, parse_time
from actors.api.key import Key
from actors.api.kinds import DEPLOYMENT
from actors.api.workloads import Deployment, ReplicaSet
from actors.controllers.replicaset import FAILURE
from actors.controllers.rollout import read_bounds
from actors.reconcile.actions import Action, Patch, RequeueAfter
from actors.reconcile.conditions import condition, find_condition, with_conditions

_NO_DEADLINE_SECONDS = 2**31 - 1
Row = dict[str, Any]


def report(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], now: Millis) -> Iterable[Action]:
    counts = _count(deployment, new, old)
    rows = [_available(deployment, counts, now)]
    progressing = _progressing(deployment, new, counts, now)
    if progressing is not None:
        rows.append(progressing)
        yield from _watch_deadline(deployment, progressing, now)
    failure = _failure(new, old, now)
    rows += [failure] if failure is not None else []
    news = [row for row in rows if _is_news(deployment, row)]
    kept = [row for row in deployment.status.conditions or () if row.type != FAILURE or failure is not None]
    is_mended = len(kept) < len(deployment.status.conditions or ())
    if counts != _known(deployment) or news or is_mended:
        status: Row = dict(counts)
        if news or is_mended:
            status["conditions"] = with_conditions(kept, news)
        key, patch = deployment_key(deployment), {"status": status}
        yield Patch(key=key, patch=patch, subresource="status", uid=deployment.metadata.uid)


def deployment_key(deployment: Deployment) -> Key:
    return Key(DEPLOYMENT.resource, deployment.metadata.namespace, deployment.metadata.name)


def is_complete(deployment: Deployment, counts: Row) -> bool:
    desired = deployment.spec.replicas
    return bool(counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == desired)


def _count(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> Row:
    sets = [*old, *([new] if new else [])]
    available = sum(rs.status.available_replicas for rs in sets)
    return {
        "replicas": sum(rs.status.replicas for rs in sets),
        "updatedReplicas": new.status.replicas if new else 0,
        "readyReplicas": sum(rs.status.ready_replicas for rs in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(rs.spec.replicas for rs in sets) - available, 0),
        "observedGeneration": deployment.metadata.generation,
    }


def _known(deployment: Deployment) -> Row:
    status = deployment.status
    return {
        "replicas": status.replicas,
        "updatedReplicas": status.updated_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "unavailableReplicas": status.unavailable_replicas,
        "observedGeneration": status.observed_generation,
    }


def _failure(new: ReplicaSet | None, old: Sequence[ReplicaSet], now: Millis) -> Row | None:
    """What its new ReplicaSet, else an old one, says of pods that are refused."""
    found = (find_condition(rs.status.conditions, FAILURE) for rs in ([new] if new else old))
    told = next((row for row in found if row is not None), None)
    return condition(FAILURE, told.status, told.reason, told.message, now) if told is not None else None


def _available(deployment: Deployment, counts: Row, now: Millis) -> Row:
    if counts["availableReplicas"] >= deployment.spec.replicas - read_bounds(deployment).unavailable:
        return condition("Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    message = "Deployment does not have minimum availability."
    return condition("Available", False, "MinimumReplicasUnavailable", message, now)


def _progressing(deployment: Deployment, new: ReplicaSet | None, counts: Row, now: Millis) -> Row | None:
    """The Progressing condition as it should be; `lastUpdateTime` is when something last moved."""
    known = find_condition(deployment.status.conditions, "Progressing")
    if deployment.spec.progress_deadline_seconds == _NO_DEADLINE_SECONDS:
        return None
    if deployment.spec.paused:
        return _row("Unknown", "DeploymentPaused", "Deployment is paused", now)
    if new is None:
        return None
    subject = f'ReplicaSet "{new.metadata.name}"'
    if is_complete(deployment, counts):
        row = _row("True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.", now)
    elif known is None or known.reason == "DeploymentPaused" or _has_moved(deployment, counts):
        row = _row("True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
    elif _deadline_ms(deployment, known.last_update_time, now) <= now and known.reason != "NewReplicaSetAvailable":
        row = _row("False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing.", now)
    else:
        return _row(known.status, known.reason, known.message, now) | {"lastUpdateTime": known.last_update_time}
    if (
        known is not None
        and (known.reason, known.message) == (row["reason"], row["message"])
        and not _has_moved(deployment, counts)
    ):
        row["lastUpdateTime"] = known.last_update_time
    return row


def _row(status: str, reason: str, message: str, now: Millis) -> Row:
    return condition("Progressing", status, reason, message, now) | {"lastUpdateTime": format_time(now)}


def _has_moved(deployment: Deployment, counts: Row) -> bool:
    """More updated, fewer old, more ready or available than was last written down; or a new generation."""
    status = deployment.status
    old_before, old_now = status.replicas - status.updated_replicas, counts["replicas"] - counts["updatedReplicas"]
    return bool(
        counts["updatedReplicas"] > status.updated_replicas
        or old_now < old_before
        or counts["readyReplicas"] > status.ready_replicas
        or counts["availableReplicas"] > status.available_replicas
        or counts["observedGeneration"] > status.observed_generation
    )


def _deadline_ms(deployment: Deployment, last_update: str | None, now: Millis) -> Millis:
    since = parse_time(last_update) if last_update else now
    return since + 1000 * deployment.spec.progress_deadline_seconds


def _watch_deadline(deployment: Deployment, row: Row, now: Millis) -> Iterable[RequeueAfter]:
    if row["reason"] == "ReplicaSetUpdated":
        yield RequeueAfter(max(_deadline_ms(deployment, row["lastUpdateTime"], now) - now, 1000))


def _is_news(deployment: Deployment, row: Row) -> bool:
    known = find_condition(deployment.status.conditions, row["type"])
    if known is None:
        return True
    before = (known.status, known.reason, known.message, known.last_update_time)
    return before != (row["status"], row["reason"], row["message"], row.get("lastUpdateTime"))
