"""How a failed Job takes its other pods down: none goes before it is known how it ended.

A pod that is deleted while it still bears the Job's finalizer stays until its node has told its end. Then its exit
code goes into the Job's annotation `raypod.io/exit-codes` (JSON, by completion index) and only then the pod goes: who
looks at a failed training run sees how every replica ended, not only the one that failed first. As in Kubernetes the
pods that are taken down count as failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.kinds import JOB
from actors.api.meta import key_in
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.job_tally import Tally, index_of, is_indexed, release
from actors.controllers.pods import is_gone, pod_key
from actors.reconcile.actions import Action, Delete, Patch

EXIT_CODES_ANNOTATION = "raypod.io/exit-codes"


def bring_down(job: Job, count: Tally, pods: Sequence[Pod]) -> Iterable[Action]:
    """Deletes what is active, notes how what was deleted has ended, and lets go of what has ended."""
    yield from _note(job, pods)
    yield from (release(pod) for pod in count.releasable if not _is_ending(pod))
    for pod in count.active:
        if not pod.metadata.is_deleting:
            yield Delete(key=pod_key(pod), uid=pod.metadata.uid)


def _is_ending(pod: Pod) -> bool:
    return pod.metadata.is_deleting and not pod.is_finished and not is_gone(pod)


def _note(job: Job, pods: Sequence[Pod]) -> Iterable[Action]:
    if not is_indexed(job):
        return
    known = read_exit_codes(job)
    ends = {str(index_of(pod)): code for pod in pods if (code := _exit_code(pod)) is not None}
    if not ends.items() <= known.items():
        text = msgspec.json.encode(known | ends, order="deterministic").decode()
        patch = {"metadata": {"annotations": {EXIT_CODES_ANNOTATION: text}}}
        yield Patch(key=key_in(JOB.resource, job.metadata), patch=patch, uid=job.metadata.uid)


def read_exit_codes(job: Job) -> dict[str, int]:
    """What is noted; nothing when somebody else has written there."""
    try:
        return msgspec.json.decode(job.metadata.annotation(EXIT_CODES_ANNOTATION) or "{}", type=dict[str, int])
    except msgspec.MsgspecError:
        return {}


def _exit_code(pod: Pod) -> int | None:
    """Of the first container of a pod that has been deleted and has ended."""
    if not pod.metadata.is_deleting or not (pod.is_finished or is_gone(pod)):
        return None
    ends = [s.state.terminated for s in pod.status.container_statuses or () if s.name == pod.spec.containers[0].name]
    return ends[0].exit_code if ends and ends[0] is not None else None
