"""Lenses over ReplicaSet (apps/v1) and ReplicationController (core/v1)."""

from __future__ import annotations

from actors.api.meta import Condition, LabelSelector, Lens, Resource
from actors.api.workloads.template import PodTemplate


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
