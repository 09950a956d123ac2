"""The arithmetic of a Deployment's ReplicaSets: how many each should have next. Pure numbers in, numbers out.

Invariant of a rolling update: never more than replicas + maxSurge pods asked for, never fewer than
replicas - maxUnavailable available ones taken down on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.api.workloads import Deployment, ReplicaSet, RollingUpdate

DESIRED = "deployment.kubernetes.io/desired-replicas"
#: How many pods all sets were allowed together when this one was last sized.
MAX = "deployment.kubernetes.io/max-replicas"
Sizes = dict[str, int]


class Bounds(msgspec.Struct, frozen=True):
    surge: int
    unavailable: int


def read_bounds(deployment: Deployment) -> Bounds:
    """maxSurge rounds up, maxUnavailable down; both zero would stand still, so then one may be unavailable."""
    replicas, strategy = deployment.spec.replicas, deployment.spec.strategy
    if strategy.type == "Recreate":
        return Bounds(0, replicas)
    update = strategy.rolling_update or RollingUpdate()
    surge = share_of(update.max_surge, replicas, round_up=True)
    unavailable = min(share_of(update.max_unavailable, replicas, round_up=False), replicas)
    return Bounds(surge, 1 if surge == 0 and unavailable == 0 else unavailable)


def share_of(value: int | str, whole: int, *, round_up: bool) -> int:
    """Of `whole`: a number, or a part such as `25%`."""
    if isinstance(value, int):
        return max(value, 0)
    percent = int(value.removesuffix("%"))
    return max((percent * whole + (99 if round_up else 0)) // 100, 0)


def plan_rolling(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Sizes:
    """The next sizes, by name, of those that change. `old` is sorted oldest first."""
    bounds, desired = read_bounds(deployment), deployment.spec.replicas
    total = sum(rs.spec.replicas for rs in (new, *old))
    if new.spec.replicas > desired:
        return {new.metadata.name: desired}
    room = desired + bounds.surge - total
    grown = new.spec.replicas + max(min(room, desired - new.spec.replicas), 0)
    sizes = {new.metadata.name: grown} if grown != new.spec.replicas else {}
    return sizes | _shrink(desired - bounds.unavailable, new, old)


def _shrink(available_min: int, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Sizes:
    """First old pods that are not available anyway, then as many available ones as may go."""
    sizes = {rs.metadata.name: rs.spec.replicas for rs in old}
    unavailable_new = max(new.spec.replicas - new.status.available_replicas, 0)
    budget = new.spec.replicas + sum(sizes.values()) - available_min - unavailable_new
    for rs in old:
        sick = max(sizes[rs.metadata.name] - rs.status.available_replicas, 0)
        cut = max(min(sick, budget), 0)
        sizes[rs.metadata.name] -= cut
        budget -= cut
    spare = new.status.available_replicas + sum(rs.status.available_replicas for rs in old) - available_min
    for rs in old:
        cut = max(min(sizes[rs.metadata.name], spare, budget), 0)
        sizes[rs.metadata.name] -= cut
        spare, budget = spare - cut, budget - cut
    return {rs.metadata.name: sizes[rs.metadata.name] for rs in old if sizes[rs.metadata.name] != rs.spec.replicas}


def plan_recreate(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], old_pods: int) -> Sizes:
    """All old ones down, and only when none of their pods is left the new one up."""
    down = {rs.metadata.name: 0 for rs in old if rs.spec.replicas}
    if down or old_pods or new is None or new.spec.replicas == deployment.spec.replicas:
        return down
    return {new.metadata.name: deployment.spec.replicas}


def plan_resize(deployment: Deployment, sets: Sequence[ReplicaSet]) -> Sizes:
    """After `spec.replicas` has changed amid a rollout: each set keeps its share of all that is allowed, rounded, the
    largest first; what rounding leaves over is the first's (deployment_util.go: GetReplicaSetProportion).

    `sets` are those with pods; one alone takes everything.
    """
    if not sets:
        return {}
    if len(sets) == 1 or deployment.spec.replicas == 0:
        return _changed(sets, {rs.metadata.name: deployment.spec.replicas for rs in sets})
    allowed = deployment.spec.replicas + read_bounds(deployment).surge
    missing = allowed - sum(rs.spec.replicas for rs in sets)
    age = -1 if missing > 0 else 1  # when growing the newer of two of one size goes first
    ranked = sorted(sets, key=lambda rs: (-rs.spec.replicas, age * rs.metadata.created_ms, rs.metadata.name))
    sizes: Sizes = {}
    left = missing
    for rs in ranked:
        wanted = _rounded(rs.spec.replicas * allowed, _allowed_before(deployment, rs)) - rs.spec.replicas
        part = min(wanted, left) if missing > 0 else max(wanted, left)
        sizes[rs.metadata.name] = rs.spec.replicas + part
        left -= part
    first = ranked[0].metadata.name
    return _changed(sets, sizes | {first: max(sizes[first] + left, 0)})


def _allowed_before(deployment: Deployment, rs: ReplicaSet) -> int:
    text = rs.metadata.annotation(MAX) or ""
    return int(text) if text.isascii() and text.isdigit() and int(text) else max(deployment.status.replicas, 1)


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _changed(sets: Sequence[ReplicaSet], sizes: Sizes) -> Sizes:
    return {name: sizes[name] for rs in sets if sizes[name := rs.metadata.name] != rs.spec.replicas}


def was_resized(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """Whether a set with pods was last sized for another `spec.replicas`."""
    marks = (rs.metadata.annotation(DESIRED) for rs in sets if rs.spec.replicas)
    return any(mark is not None and mark != str(deployment.spec.replicas) for mark in marks)
