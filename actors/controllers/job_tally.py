"""Counting a Job's pods exactly once, whatever crashes when (KEP-2307).

    pod ends, has the finalizer        -> its uid goes into status.uncountedTerminatedPods (with the job's revision)
    its uid is there                   -> the finalizer is taken from the pod
    its uid is there, finalizer gone   -> the counter goes up and the uid goes, in one write

So a pod can vanish only when it is on the list, and leaves the list only by being counted. One that was listed as
failed while it was on its way out, and succeeded after all, stays counted as failed. Successes of an Indexed
Job need no list: `completedIndexes` is a set, and adding to it twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.indexes import format_indexes, parse_indexes
from actors.controllers.job_failures import IGNORE, action_for
from actors.controllers.pods import is_gone, pod_key
from actors.reconcile.actions import Action, Patch
from actors.reconcile.conditions import is_true
from actors.reconcile.controller import controller
from actors.reconcile.view import View

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"


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

    @property
    def succeeded_total(self) -> int:
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def failed_total(self) -> int:
        return self.failed + len(self.uncounted_failed)

    @property
    def is_settled(self) -> bool:
        """Nothing runs, ends, or waits to be counted."""
        return not (self.active or self.terminating or self.held or self.uncounted_succeeded or self.uncounted_failed)


def tally(job: Job, pods: Sequence[Pod]) -> Tally:
    """`pods` are all that the job owns."""
    indexed = is_indexed(job)
    tracked = {pod.metadata.uid: pod for pod in pods if is_tracked(pod)}
    ended = [pod for pod in tracked.values() if is_success(pod) or is_failure(job, pod)]
    completed = parse_indexes(job.status.completed_indexes, job.spec.completions or 0) if indexed else frozenset()
    listed = job.status.uncounted_terminated_pods
    succeeded = _List(listed.succeeded, tracked)
    failed = _List(listed.failed, tracked)
    wins = [pod for pod in ended if is_success(pod)]
    ignored = [pod for pod in ended if not is_success(pod) and action_for(job, pod) == IGNORE]
    lost = [pod for pod in ended if not is_success(pod) and pod not in ignored]
    failed.add(pod for pod in lost if pod.metadata.uid not in succeeded.known)
    now_completed = completed | ({index_of(pod) for pod in wins} - {-1}) if indexed else frozenset()
    if not indexed:
        succeeded.add(pod for pod in wins if pod.metadata.uid not in failed.known)
    releasable = [p for p in ended if p.metadata.uid in (*succeeded.known, *failed.known)]
    releasable += [p for p in wins if indexed and (index_of(p) in completed or index_of(p) == -1)]
    releasable += [pod for pod in ignored if pod not in releasable]
    return Tally(
        active=tuple(pod for pod in pods if is_active_of(job, pod)),
        terminating=sum(p.metadata.is_deleting and not p.is_finished and not is_gone(p) for p in pods),
        succeeded=len(now_completed) if indexed else job.status.succeeded + succeeded.flushed,
        failed=job.status.failed + failed.flushed,
        uncounted_succeeded=tuple(succeeded.uids),
        uncounted_failed=tuple(failed.uids),
        completed=frozenset(now_completed),
        releasable=tuple(releasable),
        failures=tuple(lost),
        held=len(ended),
    )


class _List:
    """One of the two lists of uids: `known` as it is stored, `uids` as it shall be, `flushed` how many leave it."""

    def __init__(self, stored: tuple[str, ...] | None, tracked: dict[str, Pod]) -> None:
        self.known = stored or ()
        self.uids = [uid for uid in self.known if uid in tracked]
        self.flushed = len(self.known) - len(self.uids)

    def add(self, pods: Iterable[Pod]) -> None:
        self.uids += [pod.metadata.uid for pod in pods if pod.metadata.uid not in self.uids]


def is_indexed(job: Job) -> bool:
    return job.spec.completion_mode == "Indexed"


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
    return not pod.is_finished and not is_failure(job, pod)


def index_of(pod: Pod) -> int:
    """The completion index; -1 when it has none that can be read."""
    text = pod.metadata.annotation(INDEX_ANNOTATION) or ""
    return int(text) if text.isascii() and text.isdigit() else -1


def status_of(tally_: Tally) -> dict[str, object]:
    """The counters as they go into `status`."""
    return {
        "active": len(tally_.active),
        "terminating": tally_.terminating,
        "succeeded": tally_.succeeded,
        "failed": tally_.failed,
        "completedIndexes": format_indexes(tally_.completed) or None,
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
