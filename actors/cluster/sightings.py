"""What Ray says there is: its nodes and our actors, as `topology` plans from them. Blocking: use a thread."""

from __future__ import annotations

from typing import Any

import ray

from actors.cluster.topology import RAY_NAMESPACE, RayNode, SeenActor


def read_nodes() -> list[RayNode]:
    return [_node(row) for row in ray.nodes()]


def read_actors() -> list[SeenActor]:
    """Those with a name of ours, of this Ray namespace, in Ray's own table (no dashboard needed)."""
    table = ray._private.state.actors()
    return [_actor(row) for row in table.values() if row["Name"].startswith("raypod-") and _is_ours(row)]


def _is_ours(row: dict[str, Any]) -> bool:
    return bool(row.get("RayNamespace", RAY_NAMESPACE) == RAY_NAMESPACE)


def _node(row: dict[str, Any]) -> RayNode:
    return RayNode(
        id=row["NodeID"],
        alive=row["Alive"],
        ip=row["NodeManagerAddress"],
        labels=dict(row.get("Labels") or {}),
        resources=dict(row.get("Resources") or {}),
    )


def _actor(row: dict[str, Any]) -> SeenActor:
    return SeenActor(
        name=row["Name"],
        state=row["State"],
        node_id=row["Address"]["NodeID"],
        pid=row.get("Pid", 0),
        restarts=int(row.get("NumRestarts", 0)),
        started_ms=int(row.get("StartTime", 0)),
    )
