"""Lenses over DaemonSet (apps/v1)."""

from __future__ import annotations

from actors.api.meta import LabelSelector, Lens, Resource
from actors.api.workloads.deployment import DeploymentStrategy
from actors.api.workloads.template import PodTemplate


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
