"""Lens over PodDisruptionBudget (policy/v1), and whether it speaks of a pod."""

from __future__ import annotations

from typing import Any

from actors.api.meta import Condition, LabelSelector, Lens, Resource
from actors.api.pod import Pod
from actors.api.selector import from_selector

RESOURCE = "poddisruptionbudgets.policy"
#: The condition that says whether a pod may be evicted now; True or False with one of these reasons.
ALLOWED = "DisruptionAllowed"
SUFFICIENT, INSUFFICIENT, SYNC_FAILED = "SufficientPods", "InsufficientPods", "SyncFailed"


class BudgetSpec(Lens, frozen=True):
    selector: LabelSelector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class BudgetStatus(Lens, frozen=True):
    """`disrupted_pods`: by name, when an eviction was granted that has not shown yet."""

    observed_generation: int = 0
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    disrupted_pods: dict[str, Any] | None = None
    conditions: tuple[Condition, ...] | None = None


class PodDisruptionBudget(Resource, frozen=True):
    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()

    def covers(self, pod: Pod) -> bool:
        """An empty selector is for all pods of the namespace, none is for no pod."""
        if self.spec.selector is None or pod.metadata.namespace != self.metadata.namespace:
            return False
        return from_selector(self.spec.selector).matches(pod.metadata.labels)
