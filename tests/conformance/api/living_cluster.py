"""A gateway with the controllers, the scheduler and nodes that run nothing but say so: what Kubernetes' e2e tests of
workloads need of a cluster, in one process.

What a pod does is told by its first container's command (`exit N` ends it so, `exit $(expr ${JOB_COMPLETION_INDEX} % 2)`
as its index is even or odd; anything else runs on) and by a test
through `Nodes`: which pods are not ready, which end how.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gateway_server import RunningGateway

from actors.api.clock import Millis, format_time
from actors.api.codec import Object, decode
from actors.api.key import Key, Stored
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite
from actors.reconcile.backoff import Backoff
from actors.reconcile.watch import EventType, Selection, WatchBatch
from actors.scheduler.core import SchedulerCore
from actors.store.local import read_clock
from actors.store.loop import run_core

_T = TypeVar("_T")
_EXIT = re.compile(r"\bexit (\d+)\b")
NODE_NAMES = ("worker-1", "worker-2", "worker-3")


class Nodes:
    """A core (actors/reconcile/core.py) that does for all pods what nodelets do: they start, end and go."""

    def __init__(self) -> None:
        self._pods: dict[Key, Object] = {}
        self._dirty: set[Key] = set()
        #: Told by tests: names of pods that run and are not ready, exit codes of pods that are to end, by (namespace, name).
        self.unready: set[tuple[str, str]] = set()
        self.ends: dict[tuple[str, str], int] = {}
        #: Names of pods that, once deleted, take until the test takes them out.
        self.lingering: set[tuple[str, str]] = set()
        #: Decides of a pod that none of the above speaks of whether it is ready.
        self.is_ready: Callable[[Object], bool] = _has_an_image_that_serves

    def look_again(self) -> None:
        self._dirty |= set(self._pods)

    def selection(self) -> Selection:
        return Selection(resources=("pods",))

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self._pods = {stored.key: decode(stored) for stored in items}
        self.look_again()

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            self._dirty.add(event.stored.key)
            if event.type is EventType.DELETED:
                self._pods.pop(event.stored.key, None)
            else:
                self._pods[event.stored.key] = decode(event.stored)

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        keys, self._dirty = sorted(self._dirty), set()
        writes = (self._serve(key, self._pods[key], now) for key in keys if key in self._pods)
        return [write for write in writes if write is not None]

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        """The watch tells."""

    def wake_at(self) -> Millis | None:
        return None

    def _serve(self, key: Key, pod: Object, now: Millis) -> StoreWrite | None:
        meta = pod["metadata"]
        if not pod["spec"].get("nodeName"):
            return None
        if "deletionTimestamp" in meta and not meta.get("deletionGracePeriodSeconds"):
            return None  # only its finalizers keep it
        if "deletionTimestamp" in meta and (key.namespace, key.name) in self.lingering:
            return None
        if "deletionTimestamp" in meta:
            return Delete(key=key, uid=meta["uid"], grace_period_seconds=0)
        told = self._status(key, pod, now)
        known = pod.get("status") or {}
        if known.get("phase") in ("Succeeded", "Failed") or _gist(told) == _gist(known):
            return None
        return Patch(key=key, patch={"status": told}, subresource="status", uid=meta["uid"])

    def _status(self, key: Key, pod: Object, now: Millis) -> Object:
        code = self.ends.get((key.namespace, key.name), _exit_code(pod))
        at = format_time(now)
        if code is not None:
            ended = {"terminated": {"exitCode": code, "finishedAt": at, "startedAt": at, "reason": "Completed"}}
            return self._told(pod, "Succeeded" if code == 0 else "Failed", False, ended, at)
        ready = (key.namespace, key.name) not in self.unready and self.is_ready(pod)
        return self._told(pod, "Running", ready, {"running": {"startedAt": at}}, at)

    def _told(self, pod: Object, phase: str, ready: bool, state: Object, at: str) -> Object:
        rows = [
            {"name": c["name"], "image": c["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}
            for c in pod["spec"]["containers"]
        ]
        kept = [row for row in (pod.get("status") or {}).get("conditions") or () if row["type"] not in _OURS]
        ours = [{"type": type_, "status": str(ready), "lastTransitionTime": at} for type_ in _OURS]
        ip = f"10.9.{hash(pod['metadata']['uid']) % 250}.{hash(pod['metadata']['name']) % 250 + 1}"
        return {
            "phase": phase,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "10.8.0.1",
            "startTime": at,
            "conditions": [*kept, *ours],
            "containerStatuses": rows,
        }


_OURS = ("Ready", "ContainersReady")


def _has_an_image_that_serves(pod: Object) -> bool:
    """The e2e tests' image of nothing is `webserver:404`."""
    return not pod["spec"]["containers"][0]["image"].endswith(":404")


def _gist(status: Object) -> tuple[Any, ...]:
    """What of a status is worth a write."""
    return status.get("phase"), [row["ready"] for row in status.get("containerStatuses") or ()]


def _exit_code(pod: Object) -> int | None:
    container = pod["spec"]["containers"][0]
    said = " ".join([*(container.get("command") or ()), *(container.get("args") or ())])
    if "exit $(expr ${JOB_COMPLETION_INDEX} % 2)" in said:
        return int(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]) % 2
    found = _EXIT.search(said)
    return int(found[1]) if found and pod["spec"].get("restartPolicy") != "Always" else None


class Living(RunningGateway):
    """`nodes` is what a test tells of pods."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.kubelets = Nodes()
        config = ControllersConfig(node_grace_ms=3_600_000, job_backoff=Backoff(first_ms=50, most_ms=200), ca_pem="PEM")
        self._stop: asyncio.Event = self.run(_event())
        self._nudge: asyncio.Event = self.run(_event())
        cores = (ControllersCore(all_controllers(config)), SchedulerCore(), self.kubelets)
        self._tasks = [
            asyncio.run_coroutine_threadsafe(
                run_core(core, self.store, read_clock, self._stop, self._nudge if core is self.kubelets else None),
                self.loop,
            )
            for core in cores
        ]
        for name in NODE_NAMES:
            self.add_node(name)

    def add_node(self, name: str, **labels: str) -> None:
        room = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "100Gi"}
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "addresses": [{"type": "InternalIP", "address": "10.8.0.1"}, {"type": "Hostname", "address": name}],
        }
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}
        obj = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
        self.act(Create(resource="nodes", namespace="", object=obj))

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        for task in self._tasks:
            task.result(10)
        super().stop()

    def look_again(self) -> None:
        """After something was told to `kubelets`."""

        def tell() -> None:
            self.kubelets.look_again()
            self._nudge.set()

        self.loop.call_soon_threadsafe(tell)

    def end_pod(self, namespace: str, name: str, code: int) -> None:
        self.kubelets.ends[(namespace, name)] = code
        self.look_again()

    def set_ready(self, namespace: str, name: str, ready: bool) -> None:
        (self.kubelets.unready.discard if ready else self.kubelets.unready.add)((namespace, name))
        self.look_again()


async def _event() -> asyncio.Event:
    return asyncio.Event()


def eventually(what: str, probe: Callable[[], _T | None], seconds: float = 20) -> _T:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.03)
    return answer


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    running = Living(tmp_path_factory.mktemp("living"))
    yield running
    running.stop()
    assert running.gateway.app.failures == 0
