"""Which pods a Job starts and stops, and what they look like (batch/v1, KEP-2214 for Indexed)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import POD
from actors.api.pod import Pod
from actors.api.workloads import Job, PodTemplate
from actors.controllers.job_indexes import INDEX_ANNOTATION, has_own_limits, index_of, is_indexed, marks_after
from actors.controllers.job_tally import FINALIZER, Tally, is_tracked
from actors.controllers.pods import derive_suffix, free_names, is_gone, new_pod
from actors.controllers.replicaset import select_victims
from actors.reconcile.view import View

_NAME_CHARS_MAX = 57


class Plan(msgspec.Struct, frozen=True):
    create: tuple[Object, ...] = ()
    stop: tuple[Pod, ...] = ()


def plan_pods(job: Job, tally: Tally, view: View, most: int, waiting: Collection[int] = ()) -> Plan:
    """What to start (at most `most`) and what to stop, to have as many pods as the job may have now. No pod is started
    of the indexes `waiting`, nor, where a pod is replaced only when it has failed, for one on its way out."""
    strays = tuple(pod for pod in tally.active if not is_tracked(pod))
    active = tuple(pod for pod in tally.active if is_tracked(pod))
    wanted = count_wanted(job, tally, len(active))
    leaving = tally.terminating if job.spec.pod_replacement_policy == "Failed" else 0
    if is_indexed(job):
        plan = _plan_indexed(job, tally, active, wanted, leaving, waiting, view, most)
    else:
        missing = min(max(wanted - len(active) - leaving, 0), most)
        names = islice(free_names(job, view), missing)
        plan = Plan(tuple(_stamp(job, name) for name in names), tuple(select_victims(active, len(active) - wanted)))
    return Plan(plan.create, plan.stop + strays)


def count_wanted(job: Job, tally: Tally, active: int) -> int:
    """How many may run at once: parallelism, less when little is left. A work queue starts none after a success."""
    if job.spec.completions is None:
        return active if tally.succeeded_total and active < job.spec.parallelism else job.spec.parallelism
    return max(min(job.spec.parallelism, job.spec.completions - tally.succeeded_total), 0)


def _plan_indexed(
    job: Job,
    tally: Tally,
    active: Sequence[Pod],
    wanted: int,
    leaving: int,
    waiting: Collection[int],
    view: View,
    most: int,
) -> Plan:
    every, over = range(job.spec.completions or 0), tally.completed | (tally.failed_indexes or frozenset())
    kept: dict[int, Pod] = {}
    stop: list[Pod] = []
    for pod in sorted(active, key=lambda pod: (index_of(pod), pod.metadata.created_ms, pod.metadata.name)):
        index = index_of(pod)
        needed = index in every and index not in over and index not in kept
        if needed and len(kept) < wanted:
            kept[index] = pod
        else:
            stop.append(pod)
    blocked = {*over, *kept, *waiting, *(_leaving(job, view) if leaving else ())}
    start = islice((i for i in every if i not in blocked), min(max(wanted - len(kept) - leaving, 0), most))
    return Plan(tuple(_stamp_index(job, index, tally, view) for index in start), tuple(stop))


def _leaving(job: Job, view: View) -> set[int]:
    """The indexes whose pods are on their way out and have not ended."""
    pods = (pod for pod in view.owned_by(job, Pod) if pod.metadata.is_deleting)
    return {index_of(pod) for pod in pods if not pod.is_finished and not is_gone(pod)}


def _stamp(job: Job, name: str, **metadata: Any) -> Object:
    return new_pod(job.spec.template, job, name, finalizers=[FINALIZER], **metadata)


def _stamp_index(job: Job, index: int, tally: Tally, view: View) -> Object:
    marks = {INDEX_ANNOTATION: str(index)}
    failures = marks_after(job, tally.delayed.get(index)) if has_own_limits(job) else {}
    pod = _stamp(job, _free_name(job, index, view), labels=marks, annotations={**marks, **failures})
    pod["spec"] = _with_index(job.spec.template, job.metadata.name, index)
    return pod


def _free_name(job: Job, index: int, view: View) -> str:
    meta, attempt = job.metadata, 0
    while True:
        name = f"{meta.name[:_NAME_CHARS_MAX]}-{index}-{derive_suffix(meta.uid, index, attempt)}"
        if view.at(Key(POD.resource, meta.namespace, name)) is None:
            return name
        attempt += 1


def _with_index(template: PodTemplate, name: str, index: int) -> Object:
    """The host name `<job>-<index>` and JOB_COMPLETION_INDEX in every container."""
    spec = {"hostname": f"{name[:_NAME_CHARS_MAX]}-{index}", **template.spec}
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            spec[kind] = [_with_env(container, index) for container in spec[kind]]
    return spec


def _with_env(container: Object, index: int) -> Object:
    env: list[Object] = container.get("env") or []
    if any(row.get("name") == "JOB_COMPLETION_INDEX" for row in env):
        return container
    return {**container, "env": [*env, {"name": "JOB_COMPLETION_INDEX", "value": str(index)}]}


def count_restarts(pods: Iterable[Pod]) -> int:
    """Restarts in place (restartPolicy OnFailure), which count against `backoffLimit` too."""
    every = (s for p in pods for s in (*(p.status.container_statuses or ()), *(p.status.init_container_statuses or ())))
    return sum(status.restart_count for status in every)
