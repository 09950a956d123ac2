"""Nodes that Ray saw die, told to the store long before their Lease runs out, so that their pods are replaced at once.

Told by the taint `node.kubernetes.io/out-of-service`, which the controllers act on: Ready becomes Unknown, pods end.
A raylet that is started again at once is no dead node: only one that stays away for the grace period is. When Ray has
the node again the taint is taken off; one that somebody else has set stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.codec import lens
from actors.api.errors import NotFound
from actors.api.key import Key
from actors.api.kinds import NODE
from actors.api.node import TAINT_OUT_OF_SERVICE, Node, Taint
from actors.cluster.topology import RayNode, plan_gone
from actors.reconcile.actions import Patch
from actors.store.port import StorePort

#: The taint's value, by which we know our own.
BY_RAY = "ray-node-died"


class LostNodes:
    """Remembers since when each node is away, and what the store was told of each."""

    def __init__(self, store: StorePort, grace_ms: Millis) -> None:
        self._store, self._grace_ms = store, grace_ms
        self._away_since: dict[str, Millis] = {}
        self._told: dict[str, bool] = {}

    async def observe(self, nodes: Sequence[RayNode], now: Millis) -> None:
        """What could not be told is told the next time."""
        gone = plan_gone(nodes)
        self._away_since = {name: self._away_since.get(name, now) for name in gone}
        for name in sorted({node.name for node in nodes}):
            lost = self._is_lost(name, now)
            if lost is not None and lost != self._told.get(name) and await self._tell(name, lost, now):
                self._told[name] = lost

    def _is_lost(self, name: str, now: Millis) -> bool | None:
        """None while it is too early to say."""
        if name not in self._away_since:
            return False
        return True if now - self._away_since[name] >= self._grace_ms else None

    async def _tell(self, name: str, lost: bool, now: Millis) -> bool:
        try:
            stored = await self._store.get(Key(NODE.resource, "", name))
        except NotFound:
            return not lost
        patch = plan_taint(lens(stored, Node), lost, now)
        if patch is None:
            return True
        (reply,) = await self._store.commit([patch])
        return reply.error is None


def plan_taint(node: Node, lost: bool, now: Millis) -> Patch | None:
    """The change to the node's taints, None when they are as they should be."""
    taints = node.spec.taints or ()
    others = [taint for taint in taints if not (taint.key == TAINT_OUT_OF_SERVICE and taint.value == BY_RAY)]
    is_tainted = len(others) < len(taints)
    if is_tainted == lost:
        return None
    rows = [_row(taint) for taint in others]
    if lost:
        taint = Taint(key=TAINT_OUT_OF_SERVICE, effect="NoExecute", value=BY_RAY, time_added=format_time(now))
        rows.append(_row(taint))
    key = Key(NODE.resource, "", node.metadata.name)
    return Patch(key=key, patch={"spec": {"taints": rows or None}}, revision=node.metadata.revision)


def _row(taint: Taint) -> dict[str, Any]:
    row = {"key": taint.key, "effect": taint.effect, "value": taint.value, "timeAdded": taint.time_added}
    return {name: text for name, text in row.items() if text}
