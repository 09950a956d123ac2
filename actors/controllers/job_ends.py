"""How a failed Job takes its other pods down: none goes before it is known how it ended.

A pod that is deleted while it still bears the Job's finalizer stays until its node has told its end. Then its exit
code and its name go into the Job's annotation `raypod.io/stopped` (JSON: by completion index, `[code, name]`) and only
then the pod goes: who looks at a failed training run sees how every replica ended and finds its log, not only those of
the one that failed first. As in Kubernetes the pods that are taken down count as failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.kinds import JOB
from actors.api.meta import key_in
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.job_indexes import index_of, is_indexed
from actors.controllers.job_tally import Tally, release
from actors.controllers.pods import is_gone, pod_key
from actors.reconcile.actions import Action, Delete, Patch

STOPPED_ANNOTATION = "raypod.io/stopped"
#: All annotations of an object have 256 KiB; this is enough for about 7,000 replicas.
_BYTES_MAX = 200 << 10


def bring_down(count: Tally) -> Iterable[Action]:
    """Deletes what is active, and lets go of what has ended."""
    yield from (release(pod) for pod in count.releasable if not _is_ending(pod))
    for pod in count.active:
        if not pod.metadata.is_deleting:
            yield Delete(key=pod_key(pod), uid=pod.metadata.uid)


def _is_ending(pod: Pod) -> bool:
    return pod.metadata.is_deleting and not pod.is_finished and not is_gone(pod)


def note_ends(job: Job, pods: Sequence[Pod]) -> list[Patch]:
    """How what was deleted has ended, where that is not noted yet.

    Comes alone, before the status, and only to the job as it is known here: its reply shows the job as it is then, and
    who knew that beside pods of before would count some of them twice.
    """
    if not is_indexed(job):
        return []
    known = _read(job)
    codes = ((pod, _exit_code(pod)) for pod in pods)
    ends = {str(index_of(pod)): (code, pod.metadata.name) for pod, code in codes if code is not None}
    if ends.items() <= known.items():
        return []
    text = msgspec.json.encode(known | ends, order="deterministic").decode()
    if len(text) > _BYTES_MAX:
        return []
    key, patch = key_in(JOB.resource, job.metadata), {"metadata": {"annotations": {STOPPED_ANNOTATION: text}}}
    return [Patch(key=key, patch=patch, uid=job.metadata.uid, revision=job.metadata.revision)]


def _read(job: Job) -> dict[str, tuple[int, str]]:
    """What is noted; nothing when somebody else has written there."""
    text = job.metadata.annotation(STOPPED_ANNOTATION) or "{}"
    try:
        return msgspec.json.decode(text, type=dict[str, tuple[int, str]])
    except msgspec.MsgspecError:
        return {}


def _exit_code(pod: Pod) -> int | None:
    """Of the first container of a pod that has been deleted and has ended."""
    if not pod.metadata.is_deleting or not (pod.is_finished or is_gone(pod)):
        return None
    ends = [s.state.terminated for s in pod.status.container_statuses or () if s.name == pod.spec.containers[0].name]
    return ends[0].exit_code if ends and ends[0] is not None else None
