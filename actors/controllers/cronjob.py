"""CronJob: a Job when its schedule falls due, named after the minute, so that none is made twice (batch/v1).

Of the times that were missed only the last is made up for, unless its deadline has passed too. A time counts as kept
(`lastScheduleTime`) when its Job is there: one that was refused is asked for again until the next time comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.api.clock import Millis, format_time, parse_time
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import JOB
from actors.api.meta import key_in
from actors.api.workloads import CronJob, Job
from actors.controllers.job_tally import is_over
from actors.controllers.pods import owner_reference
from actors.controllers.schedule import Schedule, parse_schedule
from actors.reconcile.actions import Action, Create, Delete, Emit, Patch, Propagation, RequeueAfter
from actors.reconcile.conditions import is_true
from actors.reconcile.controller import controller, owner
from actors.reconcile.view import RESOURCES, View

_TIME_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_MISSED_MAX = 100


@controller(CronJob, watches={Job: owner})
def reconcile(cron: CronJob, view: View, now: Millis) -> Iterable[Action]:
    if cron.metadata.is_deleting:
        return
    jobs = view.owned_by(cron, Job)
    active = [job for job in jobs if not is_over(job) and not job.metadata.is_deleting]
    try:
        schedule = parse_schedule(cron.spec.schedule, cron.spec.time_zone)
    except ValueError as error:
        yield _told(cron, "UnparseableSchedule", f"unparseable schedule {cron.spec.schedule!r}: {error}", "Warning")
        return
    due = None if cron.spec.suspend else _due(cron, schedule, now)
    made = next((job for job in jobs if due is not None and job.metadata.name == _name_at(cron, due)), None)
    if due is not None and view.at(_job_key(cron, due)) is None:
        yield from _start(cron, active, due)
    yield from _report(cron, jobs, active, due if made is not None else None)
    yield from _clean(cron, [job for job in jobs if is_over(job) and job is not made])
    coming = None if cron.spec.suspend else schedule.next_after(now)
    if coming is not None:
        yield RequeueAfter(coming - now)


def _start(cron: CronJob, active: Sequence[Job], due: Millis) -> Iterable[Action]:
    if cron.spec.concurrency_policy == "Forbid" and active:
        words = "Not starting job because prior execution is running and concurrency policy is Forbid"
        yield _told(cron, "JobAlreadyActive", words)
        return
    for job in active if cron.spec.concurrency_policy == "Replace" else ():
        at = key_in(JOB.resource, job.metadata)
        yield Delete(key=at, uid=job.metadata.uid, propagation=Propagation.BACKGROUND)
        yield _told(cron, "SuccessfulDelete", f"Deleted job {job.metadata.name}")
    yield Create(resource=JOB.resource, namespace=cron.metadata.namespace, object=_job(cron, due))
    yield _told(cron, "SuccessfulCreate", f"Created job {_name_at(cron, due)}")


def _due(cron: CronJob, schedule: Schedule, now: Millis) -> Millis | None:
    """The last time that was missed and may still be made up for."""
    since = parse_time(cron.status.last_schedule_time) if cron.status.last_schedule_time else cron.metadata.created_ms
    if cron.spec.starting_deadline_seconds is not None:
        since = max(since, now - 1000 * cron.spec.starting_deadline_seconds)
    return _last_missed(schedule, since, now)


def _last_missed(schedule: Schedule, since: Millis, now: Millis) -> Millis | None:
    """The last time in (since, now]. Far behind, it is looked for from two of the first gap before now."""
    found, missed = None, 0
    at = schedule.next_after(since)
    while at is not None and at <= now:
        after = schedule.next_after(at)
        missed += 1
        if missed == _MISSED_MAX and after is not None:
            after = schedule.next_after(max(now - 2 * (after - at), at)) or after
        found, at = at, after
    return found


def _name_at(cron: CronJob, due: Millis) -> str:
    return f"{cron.metadata.name}-{due // 60_000}"


def _job_key(cron: CronJob, due: Millis) -> Key:
    return Key(JOB.resource, cron.metadata.namespace, _name_at(cron, due))


def _job(cron: CronJob, due: Millis) -> Object:
    template = cron.spec.job_template
    metadata: dict[str, Any] = {
        "name": _name_at(cron, due),
        "namespace": cron.metadata.namespace,
        "labels": template.metadata.get("labels") or {},
        "annotations": {**(template.metadata.get("annotations") or {}), _TIME_ANNOTATION: format_time(due)},
        "ownerReferences": [owner_reference(cron)],
    }
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": template.spec}


def _clean(cron: CronJob, over: Sequence[Job]) -> Iterable[Action]:
    """Finished Jobs beyond what the history keeps, the oldest first."""
    spec = cron.spec
    for type_, limit in (("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)):
        if limit is None:
            continue
        these = [job for job in over if is_true(job.status.conditions, type_) and not job.metadata.is_deleting]
        these.sort(key=lambda job: (job.status.start_time or "", job.metadata.name))
        for job in these[: max(len(these) - limit, 0)]:
            at = key_in(JOB.resource, job.metadata)
            yield Delete(key=at, uid=job.metadata.uid, propagation=Propagation.BACKGROUND)
            yield _told(cron, "SuccessfulDelete", f"Deleted job {job.metadata.name}")


def _report(cron: CronJob, jobs: Sequence[Job], active: Sequence[Job], due: Millis | None) -> Iterable[Action]:
    """`due`: the time that was kept since. A Job that was just made shows here once it is seen, as every Job of a
    CronJob concerns it."""
    known = {ref.uid: ref.name for ref in cron.status.active or ()}
    ended = {job.metadata.uid: job for job in jobs if is_over(job)}
    for uid, name in known.items():
        if uid in ended:
            how = "Complete" if is_true(ended[uid].status.conditions, "Complete") else "Failed"
            yield _told(cron, "SawCompletedJob", f"Saw completed job: {name}, condition: {how}")
    wins = [job.status.completion_time for job in ended.values() if job.status.completion_time]
    last = max([*wins, cron.status.last_successful_time or ""])
    status: dict[str, Any] = {
        "active": [_reference(job) for job in active] or None,
        "lastSuccessfulTime": last or None,
        "lastScheduleTime": format_time(due) if due is not None else cron.status.last_schedule_time,
    }
    before = (set(known), cron.status.last_successful_time, cron.status.last_schedule_time)
    if before != ({job.metadata.uid for job in active}, status["lastSuccessfulTime"], status["lastScheduleTime"]):
        key = _key(cron)
        yield Patch(key=key, patch={"status": status}, subresource="status", uid=cron.metadata.uid)


def _reference(job: Job) -> Object:
    meta = job.metadata
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
    }


def _key(cron: CronJob) -> Key:
    return key_in(RESOURCES[CronJob], cron.metadata)


def _told(cron: CronJob, reason: str, message: str, type_: str = "Normal") -> Emit:
    return Emit(regarding=_key(cron), uid=cron.metadata.uid, reason=reason, message=message, type=type_)
