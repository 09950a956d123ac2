"""What must be true once everything is calm: users have what they asked for, and nothing else is left over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.api.codec import lens
from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.quantity import parse_resource
from actors.api.workloads import Deployment, Job
from actors.reconcile.watch import Selection
from actors.sim.invariants import requests_of
from actors.sim.scenarios import NAMESPACE

if TYPE_CHECKING:
    from actors.sim.node import SimNode
    from actors.sim.world import World


def find_unfinished(world: World) -> list[str]:
    """Sentences about what is not as it should be; empty at rest."""
    if not world.store.is_up:
        return ["the store is down"]
    return [
        *_deployments(world),
        *_jobs(world),
        *_pods(world),
        *(s for node in world.nodes for s in _leftovers(node, world)),
    ]


def _pods_of(world: World) -> list[Pod]:
    page = world.store.list(Selection(resources=("pods",)))
    return [lens(stored, Pod) for stored in page.items]


def _deployments(world: World) -> Iterator[str]:
    for name, replicas in sorted(world.user.wanted.items()):
        stored = world.store.find(Key("deployments.apps", NAMESPACE, name))
        if stored is None:
            yield f"deployment {name} is not there"
            continue
        deployment = lens(stored, Deployment)
        status = deployment.status
        if status.observed_generation < deployment.metadata.generation:
            yield f"deployment {name} is at generation {status.observed_generation}"
        if deployment.spec.replicas != replicas:
            yield f"deployment {name} asks for {deployment.spec.replicas}, its user for {replicas}"
        waiting = [pod for pod in _pods_of(world) if _is_hopeless(pod, world)]
        if (status.ready_replicas, status.updated_replicas, status.replicas) != (replicas,) * 3 and not waiting:
            yield f"deployment {name} has {status.ready_replicas} ready of {replicas} ({status.replicas} in all)"


def _jobs(world: World) -> Iterator[str]:
    for stored in world.store.list(Selection(resources=("jobs.batch",))).items:
        job = lens(stored, Job)
        done = [c.type for c in job.status.conditions or () if c.status == "True" and c.type in ("Complete", "Failed")]
        waiting = [pod for pod in _pods_of(world) if _is_hopeless(pod, world)]
        if not done and not waiting:
            yield f"job {job.metadata.name} is not finished: {job.status}"
        if done == ["Complete"] and job.spec.completions is not None and job.status.succeeded != job.spec.completions:
            yield f"job {job.metadata.name} is complete with {job.status.succeeded} of {job.spec.completions}"


def _is_hopeless(pod: Pod, world: World) -> bool:
    """It waits for a node, and none has room now: the simulated cluster is full, which is no defect."""
    if pod.spec.node_name or pod.is_finished or pod.metadata.is_deleting:
        return False
    asked = requests_of(pod)
    return not any(_fits(asked, node, world) for node in world.nodes)


def _fits(asked: dict[str, int], node: SimNode, world: World) -> bool:
    used: dict[str, int] = {}
    for pod in _pods_of(world):
        if pod.spec.node_name == node.name and not pod.is_finished:
            for resource, amount in requests_of(pod).items():
                used[resource] = used.get(resource, 0) + amount
    free = {name: parse_resource(name, quantity) - used.get(name, 0) for name, quantity in node.allocatable().items()}
    return all(amount <= free.get(resource, 0) for resource, amount in asked.items())


def _pods(world: World) -> Iterator[str]:
    uids = {stored.uid for stored in world.store.list(Selection()).items}
    for pod in _pods_of(world):
        name = pod.metadata.name
        owner = controller_of(pod.metadata)
        if owner is not None and owner.uid not in uids:
            yield f"pod {name} outlived its {owner.kind} {owner.name}"
        if pod.metadata.is_deleting:
            yield f"pod {name} is still terminating"
        elif owner is None and name not in world.user.pods:
            yield f"pod {name} was deleted and is there"
        elif not pod.spec.node_name and not pod.is_finished and not _is_hopeless(pod, world):
            yield f"pod {name} has no node and there is room"


def _leftovers(node: SimNode, world: World) -> Iterator[str]:
    """On the node: exactly the sandboxes of pods that are bound to it."""
    bound = {pod.metadata.uid: pod for pod in _pods_of(world) if pod.spec.node_name == node.name}
    for sandbox in node.machine.sandboxes.values():
        if sandbox.spec.pod_uid not in bound:
            yield f"{node.name} keeps sandbox {sandbox.spec.id} of a pod that is gone"
    for status in node.running():
        pod = bound.get(node.uid_of(status))
        if pod is None or pod.is_finished:
            yield f"{node.name} runs {status.spec.id}, whose pod is {'finished' if pod else 'gone'}"
