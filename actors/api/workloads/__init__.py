"""Lenses over the workload kinds of apps/v1, batch/v1 and core/v1, a module a kind."""

from __future__ import annotations

from actors.api.workloads.cron_job import CronJob, CronJobSpec, CronJobStatus, JobReference
from actors.api.workloads.daemon_set import DaemonSet, DaemonSetSpec, DaemonSetStatus
from actors.api.workloads.deployment import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    RollingUpdate,
)
from actors.api.workloads.job import (
    ExitCodes,
    Job,
    JobSpec,
    JobStatus,
    PodConditionPattern,
    PodFailurePolicy,
    PodFailureRule,
    SuccessPolicy,
    SuccessRule,
    UncountedTerminatedPods,
)
from actors.api.workloads.replica_set import (
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    ReplicationController,
    ReplicationControllerSpec,
)
from actors.api.workloads.stateful_set import (
    ClaimRetention,
    Ordinals,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulStrategy,
    StatefulUpdate,
)
from actors.api.workloads.template import ControllerRevision, PodTemplate

__all__ = [
    "ClaimRetention",
    "ControllerRevision",
    "CronJob",
    "CronJobSpec",
    "CronJobStatus",
    "DaemonSet",
    "DaemonSetSpec",
    "DaemonSetStatus",
    "Deployment",
    "DeploymentSpec",
    "DeploymentStatus",
    "DeploymentStrategy",
    "ExitCodes",
    "Job",
    "JobReference",
    "JobSpec",
    "JobStatus",
    "Ordinals",
    "PodConditionPattern",
    "PodFailurePolicy",
    "PodFailureRule",
    "PodTemplate",
    "ReplicaSet",
    "ReplicaSetSpec",
    "ReplicaSetStatus",
    "ReplicationController",
    "ReplicationControllerSpec",
    "RollingUpdate",
    "StatefulSet",
    "StatefulSetSpec",
    "StatefulSetStatus",
    "StatefulStrategy",
    "StatefulUpdate",
    "SuccessPolicy",
    "SuccessRule",
    "UncountedTerminatedPods",
]
