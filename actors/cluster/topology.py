"""Which actors must be, and where, given the Ray nodes and actors that are. Pure.

One of each part of the control plane, on the node where `raypod up` ran; one nodelet on every live Ray node. A
nodelet is pinned by the label `raypod.io/node`, which outlives the Ray node's id; where operators set no such label
by the id itself, and then it is replaced when the node comes back under another id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from actors.api.node import NODE_LABEL

RAY_NAMESPACE = "raypod"
RAY_NODE_ID_LABEL = "ray.io/node-id"
STORE, GATEWAY, SCHEDULER, CONTROLLERS, SUPERVISOR = (
    f"raypod-{part}" for part in ("store", "gateway", "scheduler", "controllers", "supervisor")
)
#: In the order in which they are started: nothing is of use before the store.
CONTROL_PLANE = (STORE, GATEWAY, SCHEDULER, CONTROLLERS, SUPERVISOR)
NODELET_PREFIX = "raypod-nodelet-"
#: In the names of the gateways after the first.
GATEWAY_PREFIX = GATEWAY + "-"
#: Room for every watcher's long poll beside the calls that work.
CALLS_AT_ONCE = 10_000


class RayNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node as Ray tells of it. `resources` are totals; dead nodes stay listed for a while."""

    id: str
    alive: bool
    ip: str = ""
    labels: dict[str, str] = {}
    resources: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The raypod node's name: the label, else one made of the address, which a rejoining node keeps."""
        return self.labels.get(NODE_LABEL) or "ray-" + re.sub(r"[^a-z0-9]+", "-", self.ip.lower()).strip("-")

    @property
    def pin(self) -> dict[str, str]:
        return {NODE_LABEL: self.name} if NODE_LABEL in self.labels else {RAY_NODE_ID_LABEL: self.id}


class SeenActor(msgspec.Struct, frozen=True, kw_only=True):
    """An actor of ours in Ray's table. `node_id`: the Ray node it runs or last ran on."""

    name: str
    state: str
    node_id: str = ""
    pid: int = 0
    restarts: int = 0
    started_ms: int = 0

    @property
    def is_dead(self) -> bool:
        return self.state == "DEAD"


class ActorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An actor to start: `options` are Ray's, `node` the raypod node it runs on."""

    name: str
    node: str
    options: dict[str, object]

    @property
    def is_nodelet(self) -> bool:
        return self.name.startswith(NODELET_PREFIX)


class Plan(msgspec.Struct, frozen=True):
    """`stop` by name, before `start`."""

    start: tuple[ActorSpec, ...] = ()
    stop: tuple[str, ...] = ()


def plan_actors(
    nodes: Sequence[RayNode], actors: Iterable[SeenActor], head: str, *, cpus_left: float = 0, gateways: int = 1
) -> Plan:
    """What to change so that every actor is where it should be; empty when all is well. `head` is a node's name."""
    seen = {actor.name: actor for actor in actors if not actor.is_dead}
    live = {node.name: node for node in nodes if node.alive}
    stop = tuple(sorted(name for name, actor in seen.items() if _is_stranded(name, actor, nodes, live)))
    kept = seen.keys() - set(stop)
    wanted = plan_control_plane(live[head], gateways) if head in live else ()
    nodelets = (plan_nodelet(live[name], cpus_left) for name in sorted(live))
    return Plan(tuple(spec for spec in (*wanted, *nodelets) if spec.name not in kept), stop)


def gateway_number(name: str) -> int | None:
    """0 for the first; None for an actor that is no gateway."""
    number = name.removeprefix(GATEWAY_PREFIX)
    return 0 if name == GATEWAY else int(number) if number != name and number.isdecimal() else None


def plan_control_plane(head: RayNode, gateways: int = 1) -> tuple[ActorSpec, ...]:
    """The five parts, and the gateways beside the first. They take no CPU from Ray's ledger: that is the users'."""
    options = {**_options(head), "num_cpus": 0}
    names = (*CONTROL_PLANE, *(f"{GATEWAY_PREFIX}{number}" for number in range(1, gateways)))
    return tuple(ActorSpec(name=name, node=head.name, options={**options, "name": name}) for name in names)


def plan_nodelet(node: RayNode, cpus_left: float = 0) -> ActorSpec:
    """It holds from Ray what raypod may hand out on its node, so that Ray tasks never get the same CPU or GPU."""
    name = NODELET_PREFIX + node.name
    held: dict[str, object] = {"num_cpus": max(0.0, node.resources.get("CPU", 0) - cpus_left)}
    if gpus := node.resources.get("GPU", 0):
        held["num_gpus"] = gpus
    if memory := node.resources.get("memory", 0):
        held["memory"] = int(memory)
    return ActorSpec(name=name, node=node.name, options={**_options(node), **held, "name": name})


def plan_gone(nodes: Sequence[RayNode]) -> frozenset[str]:
    """Names of nodes that Ray knows only as dead."""
    alive = {node.name for node in nodes if node.alive}
    return frozenset(node.name for node in nodes) - alive


def _options(node: RayNode) -> Mapping[str, object]:
    return {
        "namespace": RAY_NAMESPACE,
        "lifetime": "detached",
        "max_restarts": -1,
        "max_concurrency": CALLS_AT_ONCE,
        "label_selector": node.pin,
        "get_if_exists": True,
    }


def _is_stranded(name: str, actor: SeenActor, nodes: Sequence[RayNode], live: Mapping[str, RayNode]) -> bool:
    """A nodelet that waits for a Ray node id that will never come back."""
    if not name.startswith(NODELET_PREFIX) or actor.state == "ALIVE":
        return False
    node_name = name.removeprefix(NODELET_PREFIX)
    known = [node for node in nodes if node.name == node_name]
    unlabelled = bool(known) and all(NODE_LABEL not in node.labels for node in known)
    current = live.get(node_name)
    return unlabelled and bool(actor.node_id) and (current is None or current.id != actor.node_id)
