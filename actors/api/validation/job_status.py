"""What the status of a Job may become (pkg/apis/batch/validation ValidateJobUpdateStatus, KEP-4368): a Job that has
ended stays so, its counters grow, and its conditions agree with each other and with what they tell of.

A rule is only asked where the write changes what it is about: who has a bad status may still write the rest of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.api.clock import parse_time
from actors.api.codec import Object
from actors.api.validation.causes import Causes, amiss, dicts_of, duplicate, required, wrong
from actors.api.validation.indexes import count_indexes, spans_of

_COMPLETE, _FAILED, _FAILING, _MET = "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"
_COUNTERS = ("active", "succeeded", "failed", "ready", "terminating")
_AT = "status.conditions"
#: Two conditions that exclude each other, in Kubernetes' words, and order.
_EXCLUSIVE = (
    (_COMPLETE, _FAILED, "cannot set Complete=True and Failed=true conditions"),
    (_COMPLETE, _FAILING, "cannot set Complete=True and FailureTarget=true conditions"),
    (_MET, _FAILED, "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    (_MET, _FAILING, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
)


def validate_job_status(job: Object, old: Object) -> Causes:
    status, before, spec = job.get("status") or {}, old.get("status") or {}, job.get("spec") or {}
    now, then = _true_of(status), _true_of(before)

    def changed(*names: str) -> bool:
        return any((status.get(name) or None) != (before.get(name) or None) for name in names)

    def turned(*conditions: str) -> bool:
        return any((name in now) != (name in then) for name in conditions)

    yield from _counts(status)
    for one, other, told in _EXCLUSIVE:
        if {one, other} <= now and (one == _MET or turned(one, other)):
            yield amiss(_AT, told)
    if _COMPLETE in now and _MET not in now:
        if turned(_COMPLETE, _MET):
            yield amiss(_AT, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
        if spec.get("successPolicy") is not None:
            yield amiss(_AT, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
    if turned(_FAILED, _FAILING) and _FAILED in now and _FAILING not in now:
        yield amiss(_AT, "cannot set Failed=True condition without the FailureTarget=true condition")
    if turned(_COMPLETE) or changed("completionTime"):
        yield from _completed(status, _COMPLETE in now)
    if changed("startTime", "completionTime") and _is_before(status.get("completionTime"), status.get("startTime")):
        yield wrong("status.completionTime", status["completionTime"], "completionTime cannot be set before startTime")
    if now & {_COMPLETE, _FAILED}:
        ended = turned(_COMPLETE, _FAILED)
        fields = [name for name in _ENDED if ended or changed(name)]
        yield from _ended(status, spec, fields)
    yield from _indexes(status, spec, changed("completedIndexes"), changed("failedIndexes"))
    ready = status.get("ready")
    if changed("ready", "active") and ready is not None and ready > (status.get("active") or 0):
        yield wrong("status.ready", ready, "cannot set more ready pods than active")
    yield from _undone(status, before, spec, now, then)


def _true_of(status: Object) -> set[str]:
    rows = dicts_of(status.get("conditions"))
    return {str(row.get("type")) for row in rows if row.get("status") == "True"}


def _counts(status: Object) -> Causes:
    for name in _COUNTERS:
        if (status.get(name) or 0) < 0:
            yield wrong(f"status.{name}", status[name], "must be greater than or equal to 0")
    seen: set[str] = set()
    uncounted = status.get("uncountedTerminatedPods") or {}
    for name in ("succeeded", "failed"):
        for i, uid in enumerate(uncounted.get(name) or ()):
            at = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                yield wrong(at, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(at, uid)
            seen.add(uid)


def _completed(status: Object, is_complete: bool) -> Causes:
    at, time = "status.completionTime", status.get("completionTime")
    if time and not is_complete:
        yield wrong(at, time, "cannot set completionTime when there is no Complete=True condition")
    if is_complete and not time:
        yield required(at, "completionTime is required for Complete jobs")


#: What a Job that has ended has none of; and when it began.
_ENDED = ("active", "startTime", "uncountedTerminatedPods", "terminating")


def _ended(status: Object, spec: Object, fields: Iterable[str]) -> Causes:
    for name in fields:
        value, at = status.get(name), f"status.{name}"
        if name == "startTime":
            if not value and not (spec.get("suspend") and spec.get("completions") == 0):
                yield required(at, "startTime is required for finished job")
        elif name == "uncountedTerminatedPods":
            if any((value or {}).values()):
                yield wrong(at, value, "uncountedTerminatedPods needs to be empty for finished job")
        elif (value or 0) > 0:
            yield wrong(at, value, f"{name}>0 is invalid for finished job")


def _indexes(status: Object, spec: Object, completed_changed: bool, failed_changed: bool) -> Causes:
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    total = spec.get("completions")
    if completed_changed:
        if total is not None:
            yield from _readable("completedIndexes", completed, total)
        if completed and spec.get("completionMode") != "Indexed":
            rule = "cannot set non-empty completedIndexes when non-indexed completion mode"
            yield wrong("status.completedIndexes", completed, rule)
    if failed is None:
        return
    per_index = spec.get("backoffLimitPerIndex")
    if failed_changed and total is not None and per_index is not None:
        yield from _readable("failedIndexes", failed, total)
    if failed_changed and per_index is None:
        rule = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield wrong("status.failedIndexes", failed, rule)
    if (completed_changed or failed_changed) and total is not None:
        overlap = _overlap(spans_of(completed, total), spans_of(failed, total))
        if overlap is not None:
            rule = f"failedIndexes and completedIndexes overlap at index: {overlap}"
            yield wrong("status.failedIndexes", failed, rule)


def _readable(name: str, text: str, total: int) -> Causes:
    try:
        count_indexes(text, total)
    except ValueError as error:
        yield wrong(f"status.{name}", text, f"error parsing {name}: {error}")


def _overlap(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> int | None:
    """The first index that both have, of intervals in their order."""
    i = j = 0
    while i < len(some) and j < len(others):
        low, high = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if low <= high:
            return low
        i, j = (i + 1, j) if some[i][0] <= others[j][0] else (i, j + 1)
    return None


def _undone(status: Object, before: Object, spec: Object, now: set[str], then: set[str]) -> Causes:
    """What has been told of a Job is not taken back."""
    for name in (_FAILED, _COMPLETE, _FAILING):
        if name in then - now:
            yield amiss(_AT, f"cannot disable the terminal {name}=True condition")
    may_shrink = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for name in ("failed",) if may_shrink else ("failed", "succeeded"):
        if (status.get(name) or 0) < (before.get(name) or 0):
            yield wrong(f"status.{name}", status.get(name) or 0, f"cannot decrease the {name} counter")
    end, known = status.get("completionTime"), before.get("completionTime")
    if end and known and not _are_same(end, known):
        yield wrong("status.completionTime", end, "completionTime cannot be mutated")
    started = before.get("startTime")
    if started and not _are_same(started, status.get("startTime")) and not spec.get("suspend"):
        yield required("status.startTime", "startTime cannot be removed for unsuspended job")
    if _MET in then - now:
        yield amiss(_AT, "cannot disable the SuccessCriteriaMet=True condition")
    if _COMPLETE in then and _MET in now - then:
        told = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        yield amiss(_AT, told)


def _is_before(one: Any, other: Any) -> bool:
    return bool(one and other) and parse_time(one) < parse_time(other)


def _are_same(one: str, other: Any) -> bool:
    return bool(other) and parse_time(one) == parse_time(other)
