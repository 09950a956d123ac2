"""One run, asynchronously: a batch/v1 Job. Whatever kubectl shows of it and does to it is true here too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raypod.api import ApiClient
from raypod.errors import NotFound, WaitTimeout
from raypod.logs import LogFollower, Stream, read_logs
from raypod.manifests import RUN_LABEL
from raypod.replica_streams import ReplicaStreams
from raypod.status import RunStatus, derive_status, newest_by_index, with_stopped
from raypod.timeline import Timeline, derive_timeline

if TYPE_CHECKING:
    from raypod.cluster import AsyncCluster

Object = dict[str, Any]

_FOREVER_SECONDS = 10 * 365 * 86400.0
_GONE_SECONDS = 60.0


class AsyncRun(ReplicaStreams):
    """One run: `replicas` containers of an image. Made by `AsyncCluster.run` and `AsyncCluster.get`."""

    def __init__(self, cluster: AsyncCluster, job: Object, submitted_at: float = 0) -> None:
        self._cluster, self._job = cluster, job
        self.name: str = job["metadata"]["name"]
        self.namespace: str = job["metadata"]["namespace"]
        self.uid: str = job["metadata"]["uid"]
        self._pods: list[Object] = []
        self._submitted_at = submitted_at or datetime.fromisoformat(job["metadata"]["creationTimestamp"]).timestamp()

    def __repr__(self) -> str:
        return f"<raypod run {self.namespace}/{self.name}>"

    @property
    def replicas(self) -> int:
        return int(self._job["spec"].get("completions") or 1)

    @property
    def image(self) -> str:
        container: Object = self._job["spec"]["template"]["spec"]["containers"][0]
        return str(container["image"])

    async def status(self) -> RunStatus:
        """As it is now. Raises NotFound once the run is deleted."""
        api = await self._cluster.api()
        job = await self._read_job()  # first: its pods are then no older, and who has finished has exit codes
        pods = await api.get(self._pods_path, labelSelector=self._selector)
        self._job, self._pods = job, pods.get("items") or []
        return derive_status(job, self._pods)

    async def exit_codes(self) -> tuple[int | None, ...]:
        """By replica; None for one that has not ended."""
        return (await self.status()).exit_codes

    async def wait(self, timeout: float | None = None) -> RunStatus:
        """Until the run has succeeded or failed. Raises WaitTimeout (seconds), with what it waits for; NotFound."""
        status: RunStatus | None = None
        async for status in self.watch(timeout):
            if status.is_finished:
                return status
        why = f": {status.message}" if status and status.message else ""
        phase = status.phase.lower() if status else "unknown"
        raise WaitTimeout(f"run {self.name} is still {phase} after {timeout:g} s{why}")

    async def wait_started(self, timeout: float | None = None) -> RunStatus:
        """Until every replica's container has been started. Raises WaitTimeout (seconds), with what it waits for;
        NotFound. The run itself goes on: `delete` ends it."""
        status: RunStatus | None = None
        async for status in self.watch(timeout):
            if status.is_started:
                return status
        why = f": {status.message}" if status and status.message else ""
        raise WaitTimeout(f"run {self.name} has not started after {timeout:g} s{why}")

    async def watch(self, timeout: float | None = None) -> AsyncIterator[RunStatus]:
        """The status, and again after each change, until the run is finished or `timeout` seconds are over."""
        async for _, status in self._changes(timeout):
            yield status

    async def logs(self, follow: bool = False, *, stream: Stream = "") -> AsyncIterator[str]:
        """Lines of all replicas, prefixed `[index] ` when there are several; also after the containers are gone.

        With `follow` the lines come as they are written, until the run is finished. `stream`: of both, or of one.
        """
        api = await self._cluster.api()
        if not follow:
            with suppress(NotFound):
                await self.status()
            known = with_stopped(self._job, self._pods)
            lines = read_logs(api, self.namespace, self.name, prefixed=self.replicas > 1, known=known, stream=stream)
            async for line in lines:
                yield line
            return
        follower = LogFollower(api, self.namespace, prefixed=self.replicas > 1, stream=stream)
        feeder = asyncio.create_task(self._feed(follower))
        try:
            async for line in follower.lines():
                yield line
            await feeder
        finally:
            feeder.cancel()
            follower.cancel()

    async def _feed(self, follower: LogFollower) -> None:
        try:
            async for pods, status in self._changes(None):
                follower.see(pods)
                if status.is_finished:
                    break
        except NotFound:
            pass
        finally:
            with suppress(asyncio.CancelledError):
                await follower.finish()

    async def _replica_path(self, replica: int) -> tuple[ApiClient, Object, str]:
        await self.status()
        pod = newest_by_index(self._pods).get(replica)
        if pod is None:
            told = f"run {self.name} has no replica {replica} that runs"
            raise NotFound({"reason": "NotFound", "code": 404, "message": told})
        return await self._cluster.api(), pod, f"{self._pods_path}/{pod['metadata']['name']}"

    async def timeline(self) -> Timeline:
        """Where the time went. Events are written a moment after what they tell of."""
        api = await self._cluster.api()
        await self.status()
        uids = {self.uid, *(pod["metadata"]["uid"] for pod in self._pods)}
        page = await api.get(f"/api/v1/namespaces/{self.namespace}/events")
        events = [event for event in page.get("items") or () if event["involvedObject"].get("uid") in uids]
        return derive_timeline(self._submitted_at, events)

    async def delete(self) -> None:
        """Stop what runs and forget the run. Once more does nothing."""
        api = await self._cluster.api()
        with suppress(NotFound):
            await api.delete(self._path)

    async def wait_deleted(self, timeout: float = _GONE_SECONDS) -> None:
        """Until the run and all its pods are gone. Raises WaitTimeout."""
        api = await self._cluster.api()
        async for pods in api.snapshots(self._pods_path, self._selector, timeout):
            if not pods:
                return
        raise WaitTimeout(f"containers of run {self.name} are still stopping after {timeout} s")

    async def _changes(self, timeout: float | None) -> AsyncIterator[tuple[list[Object], RunStatus]]:
        """Pods and Job seen together: each change of a pod asks for the Job, each change of the Job ends the wait."""
        api = await self._cluster.api()
        changed, pods = asyncio.Event(), list[Object]()

        async def follow(path: str, keep: Callable[[list[Object]], None]) -> None:
            async for objects in api.snapshots(path, self._selector, timeout or _FOREVER_SECONDS):
                keep(objects)
                changed.set()

        def keep_pods(objects: list[Object]) -> None:
            pods[:] = self._pods = objects

        def keep_job(objects: list[Object]) -> None:
            jobs[:] = [job for job in objects if job["metadata"]["uid"] == self.uid]

        jobs: list[Object] = [await self._read_job()]
        tasks = [
            asyncio.create_task(follow(self._pods_path, keep_pods)),
            asyncio.create_task(follow(self._jobs_path, keep_job)),
        ]
        try:
            while True:
                waiter = asyncio.create_task(changed.wait())
                try:
                    done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiter.cancel()
                if waiter not in done:
                    for task in done:
                        task.result()
                    return
                changed.clear()
                if not jobs:
                    raise self._deleted()
                status = derive_status(jobs[0], pods)
                if status.is_finished and None in status.exit_codes:  # the watch of its pods may be behind
                    status = await self.status()
                yield with_stopped(jobs[0], self._pods), status
        finally:
            for task in tasks:
                task.cancel()

    async def _read_job(self) -> Object:
        """Raises NotFound, also where another run bears the name by now."""
        api = await self._cluster.api()
        with suppress(NotFound):
            job = await api.get(self._path)
            if job["metadata"]["uid"] == self.uid:
                return job
        raise self._deleted()

    def _deleted(self) -> NotFound:
        told = (
            f"run {self.name} was deleted, and nothing is known of it any more: read its status and exit codes before "
            "`delete`, or submit it again with `cluster.run`"
        )
        return NotFound({"reason": "NotFound", "code": 404, "message": told})

    @property
    def _selector(self) -> str:
        return f"{RUN_LABEL}={self.name}"

    @property
    def _jobs_path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def _path(self) -> str:
        return f"{self._jobs_path}/{self.name}"

    @property
    def _pods_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"
