"""Lenses over Job (batch/v1)."""

from __future__ import annotations

from actors.api.meta import Condition, LabelSelector, Lens, Resource
from actors.api.workloads.template import PodTemplate


class ExitCodes(Lens, frozen=True):
    operator: str = "In"
    values: tuple[int, ...] = ()
    container_name: str | None = None


class PodConditionPattern(Lens, frozen=True):
    type: str
    status: str = "True"


class PodFailureRule(Lens, frozen=True):
    """`action`: FailJob, Ignore, Count, FailIndex; of what asks for it one is given."""

    action: str = "Count"
    on_exit_codes: ExitCodes | None = None
    on_pod_conditions: tuple[PodConditionPattern, ...] | None = None


class PodFailurePolicy(Lens, frozen=True):
    rules: tuple[PodFailureRule, ...] = ()


class SuccessRule(Lens, frozen=True):
    """Indexes as in `status.completedIndexes`; how many of them (of all, where none are named) must have succeeded."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(Lens, frozen=True):
    rules: tuple[SuccessRule, ...] = ()


class JobSpec(Lens, frozen=True):
    template: PodTemplate = PodTemplate()
    selector: LabelSelector | None = None
    parallelism: int = 1
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    manual_selector: bool = False
    pod_replacement_policy: str = "TerminatingOrFailed"
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    managed_by: str | None = None


class UncountedTerminatedPods(Lens, frozen=True):
    """Uids of pods that have ended, are in no counter yet, and keep their finalizer until they are listed here."""

    succeeded: tuple[str, ...] | None = None
    failed: tuple[str, ...] | None = None


class JobStatus(Lens, frozen=True):
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    terminating: int = 0
    uncounted_terminated_pods: UncountedTerminatedPods = UncountedTerminatedPods()
    start_time: str | None = None
    completion_time: str | None = None
    completed_indexes: str = ""
    failed_indexes: str | None = None
    conditions: tuple[Condition, ...] | None = None


class Job(Resource, frozen=True):
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()
