"""Laws of the controllers: never too many pods, successes and failures of a Job counted once each, ends for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Job, ReplicaSet, ReplicationController, StatefulSet
from actors.controllers.job_indexes import INDEX_ANNOTATION
from actors.controllers.job_tally import FINALIZER
from actors.sim.laws.law import Breach, Sight

_ENDS = ("Complete", "Failed")


class NeverTooMany:
    """Nothing that keeps pods has more live ones than it was ever asked for; an index of a Job has one at a time.

    Pods that a user has taken from a selection are its owner's no more. While two controllers both think
    that they lead (`has_twin`), what one of them decided on old news may make one too many, as in Kubernetes, whose
    leader election does not fence: such an owner is excused until the excess is gone.
    """

    def __init__(self, has_twin: Callable[[], bool] = lambda: False) -> None:
        self._has_twin = has_twin
        self._excused: set[str] = set()
        self._asked: Counter[str] = Counter()
        self._selected: dict[str, dict[str, str]] = {}
        self._live: dict[str, dict[str, str]] = {}

    def see(self, sight: Sight) -> None:
        obj = sight.obj
        if isinstance(obj, ReplicaSet | ReplicationController | StatefulSet):
            self._asked[obj.metadata.uid] = max(self._asked[obj.metadata.uid], obj.spec.replicas)
            selector = obj.spec.selector if isinstance(obj, StatefulSet) else obj.spec.label_selector
            self._selected[obj.metadata.uid] = selector.match_labels or {}
        elif isinstance(obj, Job):
            self._asked[obj.metadata.uid] = max(self._asked[obj.metadata.uid], obj.spec.parallelism)
        elif isinstance(obj, Pod):
            self._see_pod(obj, sight.removed)

    def _see_pod(self, pod: Pod, removed: bool) -> None:
        owner, meta = controller_of(pod.metadata), pod.metadata
        if owner is None or owner.uid not in self._asked:
            return
        live = self._live.setdefault(owner.uid, {})
        is_selected = self._selected.get(owner.uid, {}).items() <= (meta.labels or {}).items()
        if removed or pod.is_finished or meta.is_deleting or not is_selected:
            live.pop(meta.uid, None)
            return
        live[meta.uid] = meta.annotation(INDEX_ANNOTATION) or ""
        excess = self._find_excess(owner.uid)
        if not excess:
            self._excused.discard(owner.uid)
        elif self._has_twin():
            self._excused.add(owner.uid)
        elif owner.uid not in self._excused:
            raise Breach(f"{owner.kind} {owner.name} has {excess}")

    def _find_excess(self, uid: str) -> str:
        live, asked = self._live[uid], self._asked[uid]
        twice = next((index for index, count in Counter(live.values()).items() if index and count > 1), None)
        if twice is not None:
            return f"two live pods of index {twice}"
        return f"{len(live)} live pods, {asked} were asked for" if len(live) > asked else ""


class _Worker(msgspec.Struct):
    """A Job's pod. `was_stopped`: its deletion came before its success, so it may count as a failure (KEP-3939), or
    the job had let go of it before."""

    index: str
    succeeded: bool = False
    was_stopped: bool = False


class JobsCountRight:
    """A Job counts no more successes than pods that succeeded, no more failures than pods that did not, once each;
    and when it has ended it stays as it is."""

    def __init__(self) -> None:
        self._ended: dict[str, str] = {}
        self._pods: dict[str, dict[str, _Worker]] = {}

    def see(self, sight: Sight) -> None:
        if isinstance(sight.obj, Job):
            self._see_job(sight.obj)
        elif isinstance(sight.obj, Pod):
            self._see_pod(sight.obj)

    def _see_pod(self, pod: Pod) -> None:
        owner, meta = controller_of(pod.metadata), pod.metadata
        if owner is not None and owner.kind == "Job":
            workers = self._pods.setdefault(owner.uid, {})
            worker = workers.setdefault(meta.uid, _Worker(meta.annotation(INDEX_ANNOTATION) or meta.uid))
            worker.succeeded = pod.status.phase == "Succeeded"
            is_tracked = FINALIZER in (meta.finalizers or ())
            was_stopped = not worker.succeeded and (meta.is_deleting or not is_tracked)
            worker.was_stopped = worker.was_stopped or was_stopped

    def _see_job(self, job: Job) -> None:
        name, uid, status = job.metadata.name, job.metadata.uid, job.status
        done = [c.type for c in status.conditions or () if c.status == "True" and c.type in _ENDS]
        if len(done) > 1 or (uid in self._ended and done != [self._ended[uid]]):
            raise Breach(f"job {name} was {self._ended.get(uid)} and is {done}")
        wins = _count(worker for worker in self._workers(uid) if worker.succeeded)
        if status.succeeded > wins:
            raise Breach(f"job {name} counts {status.succeeded} successes, {wins} pods or indexes succeeded")
        losses = sum(worker.was_stopped or not worker.succeeded for worker in self._workers(uid))
        if status.failed > losses:
            raise Breach(f"job {name} counts {status.failed} failures, {losses} pods did not succeed")
        if job.spec.completions is not None and status.succeeded > job.spec.completions:
            raise Breach(f"job {name} counts {status.succeeded} successes of {job.spec.completions}")
        if done and uid not in self._ended:
            self._ended[uid] = done[0]
            self._see_end(job, done[0])

    def _see_end(self, job: Job, end: str) -> None:
        if end == "Complete" and job.spec.completions is not None and job.status.succeeded != job.spec.completions:
            raise Breach(f"job {job.metadata.name} is complete with {job.status.succeeded} of {job.spec.completions}")
        wins = _count(w for w in self._workers(job.metadata.uid) if w.succeeded and not w.was_stopped)
        if job.status.succeeded < wins:
            raise Breach(f"job {job.metadata.name} ended with {job.status.succeeded} successes, {wins} pods succeeded")
        if job.status.active or job.status.terminating:
            raise Breach(f"job {job.metadata.name} ended while {job.status.active} pods are active")

    def _workers(self, uid: str) -> Iterable[_Worker]:
        return self._pods.get(uid, {}).values()


def _count(workers: Iterable[_Worker]) -> int:
    """Each index once."""
    return len({worker.index for worker in workers})
