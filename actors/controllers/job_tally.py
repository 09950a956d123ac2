"""Counting a Job's pods exactly once, whatever crashes when (KEP-2307).

    pod ends, has the finalizer        -> its uid goes into status.uncountedTerminatedPods (with the job's revision)
    its uid is there                   -> the finalizer is taken from the pod
    its uid is there, finalizer gone   -> the counter goes up and the uid goes, in one write

So a pod can vanish only when it is on the list, and leaves the list only by being counted. One that was listed as
failed while it was on its way out, and succeeded after all, stays counted as failed. Successes of an Indexed
Job need no list: `completedIndexes` is a set, and adding to it twice is the same as once; so is `failedIndexes`, and
what is in one of them never comes into the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.indexes import format_indexes, parse_indexes
from actors.controllers.job_failures import IGNORE, action_for
from actors.controllers.job_indexes import (
    failed_before,
    has_own_limits,
    index_of,
    is_indexed,
    select_failed,
    select_last,
)
from actors.controllers.pods import is_gone, pod_key
from actors.reconcile.actions import Action, Patch
from actors.reconcile.conditions import is_true
from actors.reconcile.controller import controller
from actors.reconcile.view import View

FINALIZER = "batch.kubernetes.io/job-tracking"


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Where the counting stands. `succeeded` and `failed` are for `status`, the totals for decisions."""

    active: tuple[Pod, ...]
    terminating: int
    succeeded: int
    failed: int
    uncounted_succeeded: tuple[str, ...]
    uncounted_failed: tuple[str, ...]
    completed: frozenset[int]
    releasable: tuple[Pod, ...]
    failures: tuple[Pod, ...]  # ended without success, with their finalizer
    held: int  # ended pods that still have their finalizer
    failed_indexes: frozenset[int] | None = None  # None: indexes do not fail by themselves
    delayed: dict[int, Pod] = {}  # by index: the last failure, which is listed once its successor is there
    delayed_failures: int = 0  # those of them that are to count

    @property
    def succeeded_total(self) -> int:
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def failed_total(self) -> int:
        return self.failed + len(self.uncounted_failed) + self.delayed_failures

    @property
    def is_settled(self) -> bool:
        """Nothing runs, ends, or waits to be counted."""
        return not (self.active or self.terminating or self.held or self.uncounted_succeeded or self.uncounted_failed)


def tally(job: Job, pods: Sequence[Pod]) -> Tally:
    """`pods` are all that the job owns."""
    indexed = is_indexed(job)
    tracked = {pod.metadata.uid: pod for pod in pods if is_tracked(pod)}
    ended = [pod for pod in tracked.values() if is_success(pod) or is_failure(job, pod)]
    bound = job.spec.completions or 0
    completed = parse_indexes(job.status.completed_indexes, bound) if indexed else frozenset()
    listed = job.status.uncounted_terminated_pods
    succeeded = _List(listed.succeeded, tracked)
    failed = _List(listed.failed, tracked)
    wins = [pod for pod in ended if is_success(pod)]
    ignored = [pod for pod in ended if not is_success(pod) and action_for(job, pod) == IGNORE]
    lost = [pod for pod in ended if not is_success(pod) and pod not in ignored]
    active = tuple(pod for pod in pods if is_active_of(job, pod))
    known_failed = failed_before(job)
    won = {index_of(pod) for pod in wins if 0 <= index_of(pod) < bound} - known_failed if indexed else set()
    now_completed, unwritten = completed | won, won - completed
    now_failed = known_failed | select_failed(job, lost) - now_completed if has_own_limits(job) else None
    delayed = _delayed(job, [*lost, *ignored], {*now_completed, *(now_failed or ()), *map(index_of, active)})
    kept = {pod.metadata.uid for pod in delayed.values()}
    failed.add(pod for pod in lost if pod.metadata.uid not in succeeded.known and pod.metadata.uid not in kept)
    if not indexed:
        succeeded.add(pod for pod in wins if pod.metadata.uid not in failed.known)
    releasable = [p for p in ended if p.metadata.uid in (*succeeded.known, *failed.known)]
    releasable += [p for p in wins if indexed and index_of(p) not in unwritten]
    releasable += [pod for pod in ignored if pod not in releasable]
    return Tally(
        active=active,
        terminating=sum(p.metadata.is_deleting and not p.is_finished and not is_gone(p) for p in pods),
        succeeded=len(now_completed) if indexed else job.status.succeeded + succeeded.flushed,
        failed=job.status.failed + failed.flushed,
        uncounted_succeeded=tuple(succeeded.uids),
        uncounted_failed=tuple(failed.uids),
        completed=frozenset(now_completed),
        releasable=tuple(pod for pod in releasable if pod.metadata.uid not in kept),
        failures=tuple(lost),
        held=len(ended),
        failed_indexes=now_failed,
        delayed=delayed,
        delayed_failures=sum(p.metadata.uid in kept and p.metadata.uid not in failed.uids for p in lost),
    )


def _delayed(job: Job, failures: Sequence[Pod], over: Collection[int]) -> dict[int, Pod]:
    """Where the outcome is certain nothing is waited for. What was deleted before it failed takes its count along while
    the Job is suspended, for who knows when its successor comes."""
    is_judged = any(is_true(job.status.conditions, type_) for type_ in ("SuccessCriteriaMet", "FailureTarget"))
    held = [pod for pod in failures if pod.is_finished or not job.spec.suspend]
    return select_last(job, held, over) if has_own_limits(job) and not is_judged else {}


class _List:
    """One of the two lists of uids: `known` as it is stored, `uids` as it shall be, `flushed` how many leave it."""

    def __init__(self, stored: tuple[str, ...] | None, tracked: dict[str, Pod]) -> None:
        self.known = stored or ()
        self.uids = [uid for uid in self.known if uid in tracked]
        self.flushed = len(self.known) - len(self.uids)

    def add(self, pods: Iterable[Pod]) -> None:
        self.uids += [pod.metadata.uid for pod in pods if pod.metadata.uid not in self.uids]


def is_tracked(pod: Pod) -> bool:
    return FINALIZER in (pod.metadata.finalizers or ())


def is_success(pod: Pod) -> bool:
    return pod.status.phase == "Succeeded"


def is_failure(job: Job, pod: Pod) -> bool:
    """Failed, gone, or (unless the job waits for that) on its way out without having succeeded."""
    early = job.spec.pod_replacement_policy == "TerminatingOrFailed"
    lost = is_gone(pod) or (early and pod.metadata.is_deleting)
    return pod.status.phase == "Failed" or (lost and not is_success(pod))


def is_active_of(job: Job, pod: Pod) -> bool:
    """A pod on its way out is not, also where its end is waited for."""
    return not pod.is_finished and not pod.metadata.is_deleting and not is_failure(job, pod)


def status_of(tally_: Tally) -> dict[str, object]:
    """The counters as they go into `status`."""
    return {
        "active": len(tally_.active),
        "terminating": tally_.terminating,
        "succeeded": tally_.succeeded,
        "failed": tally_.failed,
        "completedIndexes": format_indexes(tally_.completed) or None,
        "failedIndexes": None if tally_.failed_indexes is None else format_indexes(tally_.failed_indexes),
        "uncountedTerminatedPods": {
            "succeeded": list(tally_.uncounted_succeeded) or None,
            "failed": list(tally_.uncounted_failed) or None,
        },
    }


def release(pod: Pod) -> Patch:
    """Takes the finalizer from the pod: it is counted, or shall not be."""
    kept = [name for name in pod.metadata.finalizers or () if name != FINALIZER]
    patch = {"metadata": {"finalizers": kept or None}}
    return Patch(key=pod_key(pod), patch=patch, uid=pod.metadata.uid, revision=pod.metadata.revision)


def pods_of_ended(key: Key, job: Job, view: View) -> Iterable[Key]:
    if view.at(key) is None or job.metadata.is_deleting or is_over(job):
        return [pod_key(pod) for pod in view.owned_by(job, Pod)]
    return ()


def is_over(job: Job) -> bool:
    return is_true(job.status.conditions, "Complete") or is_true(job.status.conditions, "Failed")


@controller(Pod, watches={Job: pods_of_ended})
def reconcile(pod: Pod, view: View, now: int) -> Iterable[Action]:
    """Pods that no living Job will count any more lose the finalizer, so that they can go."""
    if not is_tracked(pod):
        return
    ref = controller_of(pod.metadata)
    job = view.get(Job, pod.metadata.namespace, ref.name) if ref else None
    if job is None or ref is None or job.metadata.uid != ref.uid or job.metadata.is_deleting or is_over(job):
        yield release(pod)
