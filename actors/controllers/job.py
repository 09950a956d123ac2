"""Job (batch/v1): run pods until `completions` of them have succeeded, or the job has failed.

running  -> SuccessCriteriaMet | FailureTarget    the outcome is certain; what still runs is stopped
         -> Complete | Failed                     when every pod has ended and is counted (job_tally)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from actors.api.clock import Millis, format_time, parse_time
from actors.api.key import Key
from actors.api.kinds import JOB, POD
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.selector import LabelMatcher, from_selector
from actors.api.workloads import Job
from actors.controllers.config import ControllersConfig
from actors.controllers.job_ends import bring_down, note_ends
from actors.controllers.job_failures import why_failed
from actors.controllers.job_indexes import count_failures, finished_ms, has_own_limits
from actors.controllers.job_pods import count_restarts, plan_pods
from actors.controllers.job_success import met_rule
from actors.controllers.job_tally import FINALIZER, Tally, is_over, is_tracked, release, status_of, tally
from actors.controllers.pods import adopt, is_ready, pod_key
from actors.controllers.pods import release as let_go
from actors.reconcile.actions import Action, Create, Delete, Emit, Patch, Propagation, RequeueAfter
from actors.reconcile.backoff import Backoff
from actors.reconcile.conditions import condition, differs, find_condition, is_true, with_conditions
from actors.reconcile.controller import Controller, controller, owner
from actors.reconcile.view import View

_BURST = 500
_UID_LABEL = "batch.kubernetes.io/controller-uid"
_OURSELVES = "kubernetes.io/job-controller"
_TERMINAL = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


class Verdict(NamedTuple):
    """The outcome, as soon as it is certain: condition type, reason, message."""

    type: str
    reason: str
    message: str


def job(config: ControllersConfig) -> Controller[Job]:
    @controller(Job, watches={Pod: interested})
    def reconcile(job: Job, view: View, now: Millis) -> Iterable[Action]:
        if job.metadata.is_deleting:
            return
        if is_over(job):
            yield from _expire(job, now)
            return
        if job.spec.managed_by not in (None, _OURSELVES):
            return
        if claims := [*_claim(job, view)]:  # counted once they are ours, or no longer
            yield from claims
            return
        pods = view.owned_by(job, Pod)
        count = tally(job, pods)
        verdict = _known_verdict(job) or _judge(job, count, now)
        failing = verdict is not None and verdict.type == "FailureTarget"
        yield from (note_ends(job, pods) if failing else None) or _report(job, count, verdict, now)
        if failing:
            yield from bring_down(count)
            return
        yield from (release(pod) for pod in count.releasable)
        if verdict or job.spec.suspend:
            yield from _stop(pod for pod in count.active)
        else:
            yield from _run(job, count, pods, view, config.job_backoff, now)

    return reconcile


def interested(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    """Its controller; of an orphan, the Job whose label it bears."""
    if controller_of(pod.metadata):
        return owner(key, pod, view)
    found = view.with_uid(pod.metadata.label(_UID_LABEL) or "")
    return (found,) if found is not None and found.resource == JOB.resource else ()


def _claim(job: Job, view: View) -> Iterable[Action]:
    """Takes in orphans that the selector matches, lets go of own pods that it no longer matches."""
    matcher = from_selector(job.spec.selector) if job.spec.selector is not None else LabelMatcher()
    if matcher.is_empty:
        return
    for pod in view.owned_by(job, Pod):
        if not matcher.matches(pod.metadata.labels) and not pod.metadata.is_deleting:
            yield let_go(pod_key(pod), pod, job, FINALIZER)
    for pod in view.orphans(Pod, job.metadata.namespace):
        if matcher.matches(pod.metadata.labels) and not pod.metadata.is_deleting:
            yield adopt(pod_key(pod), pod, job, FINALIZER)


def _judge(job: Job, count: Tally, now: Millis) -> Verdict | None:
    spec, limit = job.spec, job.spec.backoff_limit
    if said := why_failed(job, count.failures):
        return Verdict("FailureTarget", "PodFailurePolicy", said)
    restarts = count_restarts(count.active) if spec.template.spec.get("restartPolicy") == "OnFailure" else 0
    if count.failed_total > limit or restarts >= max(limit, 1):
        return Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if not spec.suspend and _deadline_ms(job, now) <= now:
        return Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    if verdict := _judge_indexes(job, count):
        return verdict
    rule = met_rule(job, count.completed)
    if rule is not None:
        return Verdict("SuccessCriteriaMet", "SuccessPolicy", f"Matched rules at index {rule}")
    if spec.completions is None:
        done = count.succeeded_total > 0 and not count.active
    else:
        done = count.succeeded_total >= spec.completions
    return (
        Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
        if done
        else None
    )


def _judge_indexes(job: Job, count: Tally) -> Verdict | None:
    failed, most = len(count.failed_indexes or ()), job.spec.max_failed_indexes
    if most is not None and failed > most:
        words = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict("FailureTarget", "MaxFailedIndexesExceeded", words)
    if failed and failed + len(count.completed) >= (job.spec.completions or 0):
        return Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")
    return None


def _deadline_ms(job: Job, now: Millis) -> Millis:
    if job.spec.active_deadline_seconds is None or not job.status.start_time:
        return now + 1
    return parse_time(job.status.start_time) + 1000 * job.spec.active_deadline_seconds


def _known_verdict(job: Job) -> Verdict | None:
    """An outcome that has been written down is not judged again."""
    known = (find_condition(job.status.conditions, type_) for type_ in _TERMINAL)
    return next((Verdict(c.type, c.reason, c.message) for c in known if c is not None and c.status == "True"), None)


def _run(job: Job, count: Tally, pods: Sequence[Pod], view: View, backoff: Backoff, now: Millis) -> Iterable[Action]:
    waits = _waits(count, view, backoff, now)
    plan = plan_pods(job, count, view, _BURST, waits)
    yield from _stop(plan.stop)
    if waits:
        yield RequeueAfter(min(waits.values()))
    delay_ms = _backoff_ms(pods, view, backoff, now) if plan.create and not has_own_limits(job) else 0
    if delay_ms:
        yield RequeueAfter(delay_ms)
    for pod in () if delay_ms else plan.create:
        yield Create(resource=POD.resource, namespace=job.metadata.namespace, object=pod)
        yield _told(job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
    if job.spec.active_deadline_seconds is not None and job.status.start_time:
        yield RequeueAfter(_deadline_ms(job, now) - now)


def _stop(pods: Iterable[Pod]) -> Iterable[Action]:
    """Ended by us: no failure of the pod, so it is deleted only once it has lost its finalizer and cannot count."""
    for pod in pods:
        if is_tracked(pod):
            yield release(pod)
        elif not pod.metadata.is_deleting:
            yield Delete(key=pod_key(pod), uid=pod.metadata.uid)


def _backoff_ms(pods: Sequence[Pod], view: View, backoff: Backoff, now: Millis) -> Millis:
    """How long to wait before the next pod: doubles with each failure since the last success (KEP-3850).

    Pods that the cluster took down (DisruptionTarget) are replaced without waiting.
    """
    successes = [_ended_ms(pod, view) for pod in pods if pod.status.phase == "Succeeded"]
    failures = [
        _ended_ms(p, view)
        for p in pods
        if p.status.phase == "Failed" and not is_true(p.status.conditions, "DisruptionTarget")
    ]
    recent = [at for at in failures if at > max(successes, default=0)]
    return max(max(recent) + backoff.delay_ms(len(recent)) - now, 0) if recent else 0


def _waits(count: Tally, view: View, backoff: Backoff, now: Millis) -> dict[int, Millis]:
    """How long each index that has failed by itself is to wait: it doubles with each failure of its own."""
    due = {
        index: _ended_ms(pod, view) + backoff.delay_ms(count_failures(pod) + 1)
        for index, pod in count.delayed.items()
        if not is_true(pod.status.conditions, "DisruptionTarget")
    }
    return {index: at - now for index, at in due.items() if at > now}


def _ended_ms(pod: Pod, view: View) -> Millis:
    """Not after we saw it: the node's clock may be ahead of ours."""
    return min(finished_ms(pod), view.seen_ms(pod_key(pod)))


def _report(job: Job, count: Tally, verdict: Verdict | None, now: Millis) -> Iterable[Action]:
    status: dict[str, Any] = status_of(count) | {"ready": sum(is_ready(pod) for pod in count.active)}
    news = _conditions(job, count, verdict, now)
    start = None if job.spec.suspend and not verdict else job.status.start_time or format_time(now)
    if differs(job.status.conditions, news):
        status["conditions"] = with_conditions(job.status.conditions, news)
    over = {row["type"]: row for row in news}
    if "Complete" in over:
        # Not before it started, as the store demands: the clock may have been set back since.
        status["completionTime"] = format_time(max(now, parse_time(start) if start else now))
        yield _told(job, "Completed", "Job completed")
    elif "Failed" in over:
        yield _told(job, over["Failed"]["reason"], over["Failed"]["message"], "Warning")
    if "conditions" in status or status != _known(job) or start != job.status.start_time:
        patch = {"status": {**status, "startTime": start}}
        revision = job.metadata.revision
        yield Patch(key=_key(job), patch=patch, subresource="status", revision=revision, uid=job.metadata.uid)


def _conditions(job: Job, count: Tally, verdict: Verdict | None, now: Millis) -> list[dict[str, Any]]:
    if verdict is not None:
        rows = [condition(verdict.type, True, verdict.reason, verdict.message, now)]
        if _known_verdict(job) and count.is_settled:
            rows.append(condition(_TERMINAL[verdict.type], True, verdict.reason, verdict.message, now))
        return rows
    if job.spec.suspend:
        return [condition("Suspended", True, "JobSuspended", "Job suspended", now)]
    if is_true(job.status.conditions, "Suspended"):
        return [condition("Suspended", False, "JobResumed", "Job resumed", now)]
    return []


def _known(job: Job) -> dict[str, Any]:
    status, listed = job.status, job.status.uncounted_terminated_pods
    return {
        "active": status.active,
        "terminating": status.terminating,
        "succeeded": status.succeeded,
        "failed": status.failed,
        "completedIndexes": status.completed_indexes or None,
        "failedIndexes": status.failed_indexes,
        "uncountedTerminatedPods": {
            "succeeded": list(listed.succeeded or ()) or None,
            "failed": list(listed.failed or ()) or None,
        },
        "ready": status.ready,
    }


def _expire(job: Job, now: Millis) -> Iterable[Action]:
    """`ttlSecondsAfterFinished`."""
    ends = [find_condition(job.status.conditions, type_) for type_ in ("Complete", "Failed")]
    ended = next((c.last_transition_time for c in ends if c is not None and c.status == "True"), None)
    if job.spec.ttl_seconds_after_finished is None or ended is None:
        return
    left_ms = parse_time(ended) + 1000 * job.spec.ttl_seconds_after_finished - now
    if left_ms > 0:
        yield RequeueAfter(left_ms)
    else:
        yield Delete(key=_key(job), uid=job.metadata.uid, propagation=Propagation.FOREGROUND)


def _key(job: Job) -> Key:
    return Key(JOB.resource, job.metadata.namespace, job.metadata.name)


def _told(job: Job, reason: str, message: str, type_: str = "Normal") -> Emit:
    return Emit(regarding=_key(job), uid=job.metadata.uid, reason=reason, message=message, type=type_)
