"""Lenses over StatefulSet (apps/v1)."""

from __future__ import annotations

from typing import Any

from actors.api.meta import Condition, LabelSelector, Lens, Resource
from actors.api.workloads.template import PodTemplate


class StatefulStrategy(Lens, frozen=True):
    partition: int = 0
    max_unavailable: int | str | None = None


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
