"""Nodes that Ray saw die, told to the store long before their Lease runs out, so that their pods are replaced.

A raylet that is started again at once is no dead node: only one that stays away for the grace period is. The
nodelet's next heartbeat makes a node Ready again; the node lifecycle controller takes the taint off.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.api.clock import Millis, format_time
from actors.api.key import Key
from actors.api.kinds import NODE
from actors.cluster.topology import RayNode, plan_gone
from actors.reconcile.actions import Patch, PatchType
from actors.store.port import StorePort


class LostNodes:
    """Remembers since when each node is away, and which were told."""

    def __init__(self, store: StorePort, grace_ms: Millis) -> None:
        self._store, self._grace_ms = store, grace_ms
        self._away_since: dict[str, Millis] = {}
        self._told: set[str] = set()

    async def observe(self, nodes: Sequence[RayNode], now: Millis) -> None:
        gone = plan_gone(nodes)
        self._away_since = {name: self._away_since.get(name, now) for name in gone}
        self._told &= gone
        due = sorted(
            n for n, since in self._away_since.items() if n not in self._told and now - since >= self._grace_ms
        )
        if not due:
            return
        replies = await self._store.commit([plan_lost(name, now) for name in due])
        self._told |= {name for name, reply in zip(due, replies, strict=True) if _is_settled(reply.error)}


def plan_lost(name: str, now: Millis) -> Patch:
    """Ready becomes Unknown, as the node lifecycle controller would say after the Lease has run out."""
    condition = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Ray reports that this node has died.",
        "lastTransitionTime": format_time(now),
    }
    return Patch(
        key=Key(NODE.resource, "", name),
        patch={"status": {"conditions": [condition]}},
        type=PatchType.STRATEGIC,
        subresource="status",
    )


def _is_settled(error: dict[str, object] | None) -> bool:
    return error is None or error.get("code") == 404
