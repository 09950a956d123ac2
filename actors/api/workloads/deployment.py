"""Lenses over Deployment (apps/v1)."""

from __future__ import annotations

from actors.api.meta import Condition, LabelSelector, Lens, Resource
from actors.api.workloads.template import PodTemplate


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
