"""Jobs that succeed, fail (some index by index), are suspended and resumed, run out of time, expire, and are deleted in
all three ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Job
from actors.reconcile.actions import Create, Delete, Patch, Propagation, StoreWrite
from actors.sim.manifests import job
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_RESOURCE = "jobs.batch"


class _Wanted(msgspec.Struct):
    exit_code: int
    is_suspended: bool = False
    expires: bool = False
    has_deadline: bool = False


class Jobs:
    """`is_calm`: nothing goes wrong, so a job ends exactly as its containers do."""

    def __init__(self, draw: Draw, is_calm: bool) -> None:
        self._draw, self._is_calm = draw, is_calm
        self._wanted: dict[str, _Wanted] = {}

    def wishes(self) -> Sequence[Wish]:
        some = [self._suspend, self._suspend, self._resize, self._delete]
        return [self._create, self._create, self._create, *(some if self._wanted else [])]

    def settle(self) -> Sequence[StoreWrite]:
        """Most of what is suspended goes on; some stays as it is."""
        resumed = [name for name, wanted in sorted(self._wanted.items()) if wanted.is_suspended][1:]
        for name in resumed:
            self._wanted[name].is_suspended = False
        return [Patch(key=_key(name), patch={"spec": {"suspend": False}}) for name in resumed]

    def _create(self) -> StoreWrite:
        name, random_ = self._draw.name("job"), self._draw.random
        wanted = self._wanted[name] = _Wanted(0 if random_.random() < 0.8 else random_.randint(1, 3))
        made = job(name, random_, wanted.exit_code)
        dice = random_.random()
        if dice < 0.1:
            made["spec"]["suspend"] = wanted.is_suspended = True
        elif dice < 0.2:
            made["spec"]["ttlSecondsAfterFinished"] = random_.randint(0, 10)
            wanted.expires = True
        elif dice < 0.25:
            made["spec"]["activeDeadlineSeconds"] = random_.randint(1, 10)
            wanted.has_deadline = True
        elif dice < 0.35:
            del made["spec"]["completions"], made["spec"]["completionMode"]
        elif dice < 0.6 and made["spec"]["template"]["spec"]["restartPolicy"] == "Never":
            self._limit_each_index(made["spec"])
        return Create(resource=_RESOURCE, namespace=NAMESPACE, object=made)

    def _limit_each_index(self, spec: Object) -> None:
        del spec["backoffLimit"]
        spec |= {"completionMode": "Indexed", "backoffLimitPerIndex": self._draw.random.choice((0, 1, 2))}
        if self._draw.random.random() < 0.5:
            spec["maxFailedIndexes"] = self._draw.random.randint(0, spec["completions"])

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._wanted))

    def _suspend(self) -> StoreWrite:
        name = self._pick()
        wanted = self._wanted[name]
        wanted.is_suspended = not wanted.is_suspended
        return Patch(key=_key(name), patch={"spec": {"suspend": wanted.is_suspended}})

    def _resize(self) -> StoreWrite:
        parallelism = self._draw.random.randint(1, 4)
        return Patch(key=_key(self._pick()), patch={"spec": {"parallelism": parallelism}})

    def _delete(self) -> StoreWrite:
        name = self._pick()
        del self._wanted[name]
        return Delete(key=_key(name), propagation=self._draw.random.choice((None, *Propagation)))

    def unfinished(self, look: Look) -> Iterable[str]:
        for name, wanted in sorted(self._wanted.items()):
            found = look.get(Job, NAMESPACE, name)
            if found is None:
                if not wanted.expires:
                    yield f"job {name} is not there"
            else:
                yield from self._unfinished(found, wanted, look)
        for found in look.all(Job):
            name = found.metadata.name
            if name.startswith("job-") and name not in self._wanted:
                yield f"job {name} was deleted and is there"

    def _unfinished(self, found: Job, wanted: _Wanted, look: Look) -> Iterable[str]:
        name = found.metadata.name
        ends = [
            c.type for c in found.status.conditions or () if c.status == "True" and c.type in ("Complete", "Failed")
        ]
        live = [pod for pod in look.all(Pod) if _is_of(pod, found) and not pod.is_finished]
        if ends and wanted.expires:
            yield f"job {name} has ended and has not expired"
        if not ends and wanted.is_suspended and (live or found.status.active):
            yield f"job {name} is suspended and has {len(live)} pods"
        if not ends and not wanted.is_suspended and not look.any_hopeless(live):
            yield f"job {name} is not finished: {found.status}"
        if ends and live:
            yield f"job {name} has ended and has {len(live)} pods that have not"
        if ends == ["Complete"] and wanted.exit_code:
            yield f"job {name} is complete, and its containers end with {wanted.exit_code}"
        if ends == ["Failed"] and self._is_calm and not wanted.exit_code and not wanted.has_deadline:
            yield f"job {name} has failed, and its containers succeed: {found.status}"


def _is_of(pod: Pod, job: Job) -> bool:
    owner = controller_of(pod.metadata)
    return owner is not None and owner.uid == job.metadata.uid


def _key(name: str) -> Key:
    return Key(_RESOURCE, NAMESPACE, name)
