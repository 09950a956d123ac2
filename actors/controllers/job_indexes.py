"""Completion indexes as pods bear them, and what fails an index alone: `spec.backoffLimitPerIndex` (KEP-3850).

How often an index has failed is written on its newest pod. So the last that failed keeps the Job's finalizer until the
next one bears the count: without it the index would begin anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from actors.api.clock import Millis, parse_time
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.indexes import parse_indexes
from actors.controllers.job_failures import FAIL_INDEX, IGNORE, action_for

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
IGNORED_ANNOTATION = "batch.kubernetes.io/job-index-ignored-failure-count"
_INT32_MAX = 2**31 - 1


def is_indexed(job: Job) -> bool:
    return job.spec.completion_mode == "Indexed"


def has_own_limits(job: Job) -> bool:
    """Each index may fail by itself."""
    return is_indexed(job) and job.spec.backoff_limit_per_index is not None


def index_of(pod: Pod) -> int:
    """The completion index; -1 when it has none that can be read."""
    return _number(pod, INDEX_ANNOTATION, -1)


def count_failures(pod: Pod) -> int:
    """How often the index had failed when the pod was made, the ignored ones with them."""
    return _number(pod, FAILURES_ANNOTATION) + _number(pod, IGNORED_ANNOTATION)


def failed_before(job: Job) -> frozenset[int]:
    """The indexes that are known to have failed."""
    return parse_indexes(job.status.failed_indexes or "", job.spec.completions or 0)


def select_failed(job: Job, failures: Iterable[Pod]) -> set[int]:
    """The indexes that fail with one of these pods: their limit is passed, or the pod failure policy says so."""
    return {index_of(pod) for pod in failures if _is_valid(job, pod) and _fails_its_index(job, pod)}


def select_last(job: Job, failures: Iterable[Pod], over: Collection[int]) -> dict[int, Pod]:
    """The last failure of each index that goes on: not those in `over`, which have ended or have a pod again."""
    last: dict[int, Pod] = {}
    for pod in sorted(failures, key=lambda pod: (count_failures(pod), finished_ms(pod), pod.metadata.name)):
        if _is_valid(job, pod) and index_of(pod) not in over:
            last[index_of(pod)] = pod
    return last


def marks_after(job: Job, last: Pod | None) -> Mapping[str, str]:
    """The annotations of the pod that comes after `last`, the failure before it."""
    if last is None:
        return {FAILURES_ANNOTATION: "0"}
    is_ignored = action_for(job, last) == IGNORE
    failures = _number(last, FAILURES_ANNOTATION) + (not is_ignored)
    ignored = _number(last, IGNORED_ANNOTATION) + is_ignored
    return {FAILURES_ANNOTATION: str(failures)} | ({IGNORED_ANNOTATION: str(ignored)} if ignored else {})


def finished_ms(pod: Pod) -> Millis:
    """When the last of its containers ended, by the node's clock; of one that has not ended, when it was made."""
    times = [s.state.terminated.finished_at for s in pod.status.container_statuses or () if s.state.terminated]
    return max((parse_time(at) for at in times if at), default=pod.metadata.created_ms)


def _is_valid(job: Job, pod: Pod) -> bool:
    return 0 <= index_of(pod) < (job.spec.completions or 0)


def _fails_its_index(job: Job, pod: Pod) -> bool:
    action, limit = action_for(job, pod), job.spec.backoff_limit_per_index or 0
    return action == FAIL_INDEX or (action != IGNORE and _number(pod, FAILURES_ANNOTATION) >= limit)


def _number(pod: Pod, annotation: str, otherwise: int = 0) -> int:
    """Anybody may have written there."""
    text = pod.metadata.annotation(annotation) or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_INT32_MAX)) else otherwise
    return number if number <= _INT32_MAX else otherwise
