"""Laws of Jobs whose indexes fail by themselves (`backoffLimitPerIndex`): none is tried more often than its limit says,
none has failed that was tried less, and a failed one stays so.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.controllers.indexes import parse_indexes
from actors.controllers.job_indexes import INDEX_ANNOTATION
from actors.controllers.job_tally import FINALIZER
from actors.sim.laws.law import Breach, Sight


class _Index(msgspec.Struct):
    """Uids of pods. `stopped`: deleted, or let go of before they ended; what the Job stops takes its count along."""

    failed: set[str] = msgspec.field(default_factory=set)
    stopped: set[str] = msgspec.field(default_factory=set)


class IndexesFailByThemselves:
    """While two controllers both think that they lead (`has_twin`) an index may have two pods, which fail once each."""

    def __init__(self, has_twin: Callable[[], bool] = lambda: False) -> None:
        self._has_twin = has_twin
        self._limits: dict[str, int] = {}
        self._failed: dict[str, frozenset[int]] = {}
        self._indexes: dict[str, dict[str, _Index]] = {}
        self._excused: set[str] = set()

    def see(self, sight: Sight) -> None:
        obj = sight.obj
        if isinstance(obj, Job) and obj.spec.backoff_limit_per_index is not None:
            self._limits[obj.metadata.uid] = obj.spec.backoff_limit_per_index
            self._see_job(obj)
        elif isinstance(obj, Pod):
            owner = controller_of(obj.metadata)
            if owner is not None and owner.uid in self._limits:
                self._see_pod(obj, owner.uid, owner.name)

    def _see_pod(self, pod: Pod, job_uid: str, job_name: str) -> None:
        meta, name = pod.metadata, pod.metadata.annotation(INDEX_ANNOTATION) or ""
        index = self._indexes.setdefault(job_uid, {}).setdefault(name, _Index())
        if self._has_twin():
            self._excused.add(job_uid)
        if pod.status.phase == "Failed":
            index.failed.add(meta.uid)
        elif not pod.is_finished and (meta.is_deleting or FINALIZER not in (meta.finalizers or ())):
            index.stopped.add(meta.uid)
        most = (self._limits[job_uid] + 1) * (1 + len(index.stopped))
        if len(index.failed) > most and job_uid not in self._excused:
            raise Breach(f"index {name} of job {job_name} has failed {len(index.failed)} times, {most} are its limit")

    def _see_job(self, job: Job) -> None:
        name, uid, total = job.metadata.name, job.metadata.uid, job.spec.completions or 0
        failed = parse_indexes(job.status.failed_indexes or "", total)
        if gone := self._failed.get(uid, frozenset()) - failed:
            raise Breach(f"job {name} had failed indexes {sorted(gone)}, and they have failed no more")
        if both := failed & parse_indexes(job.status.completed_indexes, total):
            raise Breach(f"indexes {sorted(both)} of job {name} have failed and succeeded")
        for number in failed - self._failed.get(uid, frozenset()):
            index = self._indexes.get(uid, {}).get(str(number), _Index())
            if len(index.failed | index.stopped) <= self._limits[uid]:
                raise Breach(f"index {number} of job {name} has failed after {len(index.failed)} failures")
        self._failed[uid] = failed
