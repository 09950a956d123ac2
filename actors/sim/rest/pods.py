"""What the API tells of pods at rest is true and complete: each runs, has ended, or says why it does neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.api.clock import Millis, parse_time
from actors.api.pod import Pod, ResourceRequirements
from actors.api.quantity import parse_millis
from actors.reconcile.conditions import find_condition
from actors.sim.machine import uid_of
from actors.sim.node import SimNode
from actors.sim.rest.look import Look

#: Why a container may still wait when nothing goes wrong: it fails by itself, or its image is nowhere.
_LASTING = frozenset({"CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "RunContainerError", "PodInitializing"})
#: A deadline that passed so long ago is known to everyone, whatever their clocks say.
_LATE_MS: Millis = 120_000


def find_untold(look: Look, nodes: Iterable[SimNode], now: Millis) -> Iterator[str]:
    machines = {node.name: node for node in nodes}
    for pod in look.all(Pod):
        if pod.spec.node_name in machines:
            yield from _bound(pod, machines[pod.spec.node_name])
            yield from _overdue(pod, now)
        elif not pod.is_finished:
            yield from _waiting(pod, look)


def _waiting(pod: Pod, look: Look) -> Iterator[str]:
    told = find_condition(pod.status.conditions, "PodScheduled")
    if not look.is_hopeless(pod):
        yield f"pod {pod.metadata.name} has no node and there is room"
    elif told is None or told.reason != "Unschedulable" or not told.message:
        yield f"pod {pod.metadata.name} has no node and nobody says why"


def _bound(pod: Pod, node: SimNode) -> Iterator[str]:
    name = pod.metadata.name
    running = {status.spec.name for status in node.machine.running() if uid_of(status) == pod.metadata.uid}
    for status in pod.status.container_statuses or ():
        if bool(status.state.running) != (status.name in running):
            told = "running" if status.state.running else "not running"
            yield f"{status.name} of {name} is told to be {told} on {node.name}, and that is not so"
        if status.state.waiting and not pod.is_finished and status.state.waiting.reason not in _LASTING:
            yield f"{status.name} of {name} waits on {node.name}: {status.state.waiting.reason}"
    yield from _missized(pod, node)
    if not pod.status.container_statuses and not pod.is_finished:
        yield f"nothing is told of pod {name} on {node.name}"
    ends = [status.state.terminated for status in pod.status.container_statuses or ()]
    if pod.spec.restart_policy == "Never" and ends and all(ends) and not pod.is_finished:
        yield f"all of pod {name} has ended, and the pod has not"


def _missized(pod: Pod, node: SimNode) -> Iterator[str]:
    """What runs has what its pod asks for, or the pod says why not; and what it has is told."""
    if pod.is_finished or pod.metadata.is_deleting:
        return
    name, pending = pod.metadata.name, find_condition(pod.status.conditions, "PodResizePending")
    if find_condition(pod.status.conditions, "PodResizeInProgress") is not None:
        yield f"pod {name} is still being resized on {node.name}"
    runs = (status.spec for status in node.machine.running() if uid_of(status) == pod.metadata.uid)
    has = {spec.name: spec.resources.cpu_request_millis for spec in runs}
    told = {s.name: _cpu_millis(s.resources) for s in pod.status.container_statuses or () if s.resources is not None}
    for container in (container for container in pod.spec.containers if container.name in has):
        asked, amount = _cpu_millis(container.resources), has[container.name]
        what = f"{container.name} of {name} on {node.name}"
        if pending is None and amount != asked:
            yield f"{what} asks for {asked} millis of CPU and has {amount}"
        if told.get(container.name, amount) != amount:
            yield f"{what} has {amount} millis of CPU and is told to have {told[container.name]}"


def _cpu_millis(resources: ResourceRequirements) -> int:
    return parse_millis((resources.requests or {}).get("cpu", 0))


def _overdue(pod: Pod, now: Millis) -> Iterator[str]:
    seconds = pod.spec.active_deadline_seconds
    if seconds is None or pod.is_finished or not pod.status.start_time:
        return
    if now > parse_time(pod.status.start_time) + 1_000 * seconds + _LATE_MS:
        yield f"pod {pod.metadata.name} goes on beyond its deadline"
