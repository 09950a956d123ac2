"""Lenses over the workload kinds of apps/v1, batch/v1, policy/v1 and core/v1 (ReplicationController, Namespace)."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.meta import Condition, LabelSelector, Lens, Resource


class PodTemplate(Lens, frozen=True):
    """`spec.template`, kept as dicts: pods are stamped out of it, nothing in it is interpreted here."""

    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}


class ReplicaSetSpec(Lens, frozen=True):
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    min_ready_seconds: int = 0

    @property
    def label_selector(self) -> LabelSelector:
        return self.selector


class ReplicaSetStatus(Lens, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    fully_labeled_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] | None = None


class ReplicaSet(Resource, frozen=True):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ReplicationControllerSpec(Lens, frozen=True):
    selector: dict[str, str] | None = None
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    min_ready_seconds: int = 0

    @property
    def label_selector(self) -> LabelSelector:
        return LabelSelector(match_labels=self.selector)


class ReplicationController(Resource, frozen=True):
    """A ReplicaSet of the time before there were any: only the form of its selector differs."""

    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdate(Lens, frozen=True):
    max_unavailable: int | str = "25%"
    max_surge: int | str = "25%"


class DeploymentStrategy(Lens, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Lens, frozen=True):
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False


class DeploymentStatus(Lens, frozen=True):
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    observed_generation: int = 0
    collision_count: int = 0
    conditions: tuple[Condition, ...] | None = None


class Deployment(Resource, frozen=True):
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class StatefulStrategy(Lens, frozen=True):
    partition: int = 0


class StatefulUpdate(Lens, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: StatefulStrategy | None = None


class Ordinals(Lens, frozen=True):
    start: int = 0


class ClaimRetention(Lens, frozen=True):
    when_deleted: str = "Retain"
    when_scaled: str = "Retain"


class StatefulSetSpec(Lens, frozen=True):
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    service_name: str = ""
    replicas: int = 1
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    pod_management_policy: str = "OrderedReady"
    update_strategy: StatefulUpdate = StatefulUpdate()
    ordinals: Ordinals | None = None
    volume_claim_templates: tuple[dict[str, Any], ...] | None = None
    persistent_volume_claim_retention_policy: ClaimRetention | None = None


class StatefulSetStatus(Lens, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    observed_generation: int = 0
    collision_count: int = 0
    conditions: tuple[Condition, ...] | None = None


class StatefulSet(Resource, frozen=True):
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class ControllerRevision(Resource, frozen=True):
    """A version of a template: `data` is the patch that leads to it."""

    data: dict[str, Any] | None = None
    revision: int = 0


class DaemonSetSpec(Lens, frozen=True):
    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    update_strategy: DeploymentStrategy = DeploymentStrategy()


class DaemonSetStatus(Lens, frozen=True):
    current_number_scheduled: int = 0
    desired_number_scheduled: int = 0
    number_misscheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    updated_number_scheduled: int = 0
    observed_generation: int = 0
    collision_count: int = 0


class DaemonSet(Resource, frozen=True):
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class JobReference(Lens, frozen=True):
    name: str = ""
    uid: str = ""


class CronJobSpec(Lens, frozen=True):
    schedule: str = ""
    job_template: PodTemplate = PodTemplate()
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    successful_jobs_history_limit: int | None = 3
    failed_jobs_history_limit: int | None = 1


class CronJobStatus(Lens, frozen=True):
    active: tuple[JobReference, ...] | None = None
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(Resource, frozen=True):
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


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
    conditions: tuple[Condition, ...] | None = None


class Job(Resource, frozen=True):
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class NamespaceSpec(Lens, frozen=True):
    finalizers: tuple[str, ...] | None = None


class NamespaceStatus(Lens, frozen=True):
    phase: str = "Active"
    conditions: tuple[Condition, ...] | None = None


class Namespace(Resource, frozen=True):
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class RootCaData(Lens, frozen=True):
    ca_crt: str = msgspec.field(name="ca.crt", default="")


class RootCaMap(Resource, frozen=True):
    """A ConfigMap as who looks after `kube-root-ca.crt` reads it: of others' contents nothing is kept."""

    data: RootCaData = RootCaData()


class BootstrapTokenData(Lens, frozen=True):
    expiration: str = ""


class BootstrapToken(Resource, frozen=True):
    """A Secret as who looks for expired tokens reads it: of contents nothing else is kept."""

    type: str = ""
    data: BootstrapTokenData = BootstrapTokenData()
