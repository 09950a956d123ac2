"""What must not be left over once everything is calm: in the store and on the machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.api.key import Key
from actors.api.kinds import kind_for
from actors.api.meta import Resource, controller_of
from actors.api.node import TAINT_NOT_READY, TAINT_OUT_OF_SERVICE, TAINT_UNREACHABLE, Node
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.job_indexes import index_of
from actors.controllers.job_tally import is_over
from actors.controllers.pods import pod_key
from actors.sim.node import SimNode
from actors.sim.rest.look import Look


def find_leftovers(look: Look, nodes: Iterable[SimNode]) -> Iterator[str]:
    yield from _objects(look)
    nodes = list(nodes)
    known = {node.name for node in nodes}
    yield from (f"node {n.metadata.name} is lost and there" for n in look.all(Node) if n.metadata.name not in known)
    for pod in look.all(Pod):
        if pod.spec.node_name and pod.spec.node_name not in known and not _awaits_successor(look, pod_key(pod)):
            yield f"pod {pod.metadata.name} is on {pod.spec.node_name}, which is lost"
    for node in nodes:
        yield from _node(look, node)
        yield from _machine(look, node)


def _objects(look: Look) -> Iterator[str]:
    """Nothing outlives all its owners, nothing is still on its way out."""
    for key in look.stored:
        obj = look.at(key, Resource)
        assert obj is not None
        if obj.metadata.is_deleting and not _awaits_successor(look, key):
            yield f"{key} is still being deleted, held by {obj.metadata.finalizers}"
        refs = obj.metadata.owner_references or ()
        if refs and not any(_is_there(look, key, ref.api_version, ref.kind, ref.name, ref.uid) for ref in refs):
            yield f"{key} outlived its {refs[0].kind} {refs[0].name}"


def _awaits_successor(look: Look, key: Key) -> bool:
    """The last failure of an index stays, deleted or not, until the index has another pod (KEP-3850): for as long as
    its Job is suspended, or has no place for it."""
    pod = look.at(key, Pod) if key.resource == "pods" else None
    owner = controller_of(pod.metadata) if pod is not None else None
    if pod is None or owner is None or pod.status.phase != "Failed":
        return False
    job = look.get(Job, pod.metadata.namespace, owner.name)
    if job is None or job.spec.backoff_limit_per_index is None or is_over(job):
        return False
    siblings = (p for p in look.all(Pod) if (ref := controller_of(p.metadata)) is not None and ref.uid == owner.uid)
    return not any(index_of(other) == index_of(pod) for other in siblings if not other.is_finished)


def _is_there(look: Look, key: Key, api_version: str, kind: str, name: str, uid: str) -> bool:
    row = kind_for(api_version, kind)
    if row is None:
        return True
    stored = look.stored.get(Key(row.resource, key.namespace if row.namespaced else "", name))
    return stored is not None and stored.uid == uid


def _node(look: Look, node: SimNode) -> Iterator[str]:
    found = look.get(Node, "", node.name)
    if found is None or not found.is_ready:
        yield f"{node.name} is {'not ready' if found else 'not registered'}"
    taints = {taint.key for taint in found.spec.taints or ()} if found else set()
    for key in sorted(taints & {TAINT_NOT_READY, TAINT_UNREACHABLE, TAINT_OUT_OF_SERVICE}):
        yield f"{node.name} has the taint {key}"


def _machine(look: Look, node: SimNode) -> Iterator[str]:
    """Exactly what pods that are bound here ask for."""
    bound = {pod.metadata.uid: pod for pod in look.all(Pod) if pod.spec.node_name == node.name}
    for sandbox in node.machine.machine.sandboxes.values():
        pod = bound.get(sandbox.spec.pod_uid)
        if pod is None or pod.is_finished:
            yield f"{node.name} keeps a sandbox of {sandbox.spec.pod_name}, which is {'finished' if pod else 'gone'}"
    for uid in sorted(node.machine.volumes_of):
        if uid not in bound or bound[uid].is_finished:
            yield f"{node.name} keeps volumes of pod {uid}, which is over"
