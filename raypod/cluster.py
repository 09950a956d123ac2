"""The SDK, asynchronously. `sync.py` is the same for programs without an event loop.

A run is a batch/v1 Job: whatever kubectl shows of it and does to it is true here too.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from raypod import calls, control
from raypod.api import ApiClient
from raypod.errors import CallError, ClusterUnreachable, NameTaken, NotFound, RaypodError, WaitTimeout
from raypod.kubeconfig import kubeconfig_path, read_endpoint
from raypod.logs import LogFollower, read_logs
from raypod.manifests import RUN_LABEL, is_name, job_manifest
from raypod.status import RunStatus, derive_status
from raypod.timeline import Timeline, derive_timeline

Object = dict[str, Any]
T = TypeVar("T")

_FOREVER_SECONDS = 10 * 365 * 86400.0
_GONE_SECONDS = 60.0


class AsyncRun:
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
        job, pods = await asyncio.gather(api.get(self._path), api.get(self._pods_path, labelSelector=self._selector))
        self._pods = pods.get("items") or []
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
        raise WaitTimeout(f"run {self.name} is still {phase} after {timeout} s{why}")

    async def watch(self, timeout: float | None = None) -> AsyncIterator[RunStatus]:
        """The status, and again after each change, until the run is finished or `timeout` seconds are over."""
        async for _, status in self._changes(timeout):
            yield status

    async def logs(self, follow: bool = False) -> AsyncIterator[str]:
        """Lines of all replicas, prefixed `[index] ` when there are several; also after the containers are gone.

        With `follow` the lines come as they are written, until the run is finished.
        """
        api = await self._cluster.api()
        if not follow:
            lines = read_logs(api, self.namespace, self.name, prefixed=self.replicas > 1, known=self._pods)
            async for line in lines:
                yield line
            return
        follower = LogFollower(api, self.namespace, prefixed=self.replicas > 1)
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

        jobs: list[Object] = [await api.get(self._path)]
        tasks = [
            asyncio.create_task(follow(self._pods_path, keep_pods)),
            asyncio.create_task(follow(self._jobs_path, keep_job)),
        ]
        try:
            while True:
                waiter = asyncio.create_task(changed.wait())
                done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
                waiter.cancel()
                if waiter not in done:
                    for task in done:
                        task.result()
                    return
                changed.clear()
                if not jobs:
                    await api.get(self._path)
                    raise NotFound({"reason": "NotFound", "code": 404, "message": f"run {self.name} was deleted"})
                yield pods, derive_status(jobs[0], pods)
        finally:
            for task in tasks:
                task.cancel()

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


class AsyncCluster:
    """A raypod cluster. Attaches to the running control plane; where there is none, `start` begins an embedded one.

    `kubeconfig`: else `$RAYPOD_HOME/kubeconfig`, else `$KUBECONFIG`. Use it with `async with`, or call `close`.
    """

    def __init__(
        self, kubeconfig: str | os.PathLike[str] | None = None, *, namespace: str = "", start: bool = True
    ) -> None:
        self._kubeconfig, self._start, self._namespace = kubeconfig, start, namespace
        self._api: ApiClient | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> AsyncCluster:
        await self.api()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of connections. What runs goes on."""
        if self._api is not None:
            await self._api.close()
            self._api = None

    async def api(self) -> ApiClient:
        """The client underneath, connected."""
        async with self._connecting:
            if self._api is None:
                self._api = await self._connect()
            return self._api

    async def _connect(self) -> ApiClient:
        """A control plane that is down, or was never up, is started, unless a kubeconfig was named."""
        named = self._kubeconfig is not None
        path = kubeconfig_path(self._kubeconfig)
        ours = path.is_relative_to(control.home())
        if self._start and ours and not named and not control.is_up():
            await asyncio.to_thread(control.bring_up)
        endpoint = read_endpoint(path)
        self._namespace = self._namespace or endpoint.namespace
        api = ApiClient(endpoint)
        try:
            await api.get("/version")
        except ClusterUnreachable:
            await api.close()
            raise
        return api

    # --- runs -----------------------------------------------------------------------------------------------------

    async def run(
        self,
        name: str = "",
        *,
        image: str,
        command: Sequence[str] = (),
        args: Sequence[str] = (),
        replicas: int = 1,
        cpus: float | None = None,
        memory: str | int | None = None,
        gpus: int = 0,
        env: Mapping[str, object] | None = None,
        volumes: Mapping[str, str] | None = None,
        retries: int = 0,
        working_dir: str = "",
        node_selector: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> AsyncRun:
        """Submit `replicas` containers of `image` and return at once.

        `cpus`, `memory` ("8Gi" or bytes) and `gpus` are for each replica; `volumes` maps paths in the container to
        paths on the node (`"/data": "/mnt/data:ro"`); `retries` is how many containers may fail in all. `name` "" is
        drawn. Raises ValueError for an argument that cannot be, NameTaken, ApiError.
        """
        name = name or f"run-{secrets.token_hex(3)}"
        manifest = job_manifest(
            name,
            image,
            command,
            args=args,
            replicas=replicas,
            cpus=cpus,
            memory=memory,
            gpus=gpus,
            env=env,
            volumes=volumes,
            retries=retries,
            working_dir=working_dir,
            node_selector=node_selector,
            labels=labels,
            grace_seconds=grace_seconds,
        )
        return await self.submit(manifest)

    async def submit(self, manifest: Object) -> AsyncRun:
        """A Job as it is. Raises NameTaken, ApiError."""
        api = await self.api()
        submitted_at = time.time()
        try:
            return AsyncRun(self, await api.create(self._jobs_path, manifest), submitted_at)
        except NameTaken as error:
            name = manifest["metadata"]["name"]
            error.args = (f"a run called {name!r} exists: choose another name, or end it with `raypod stop {name}`",)
            raise

    async def get(self, name: str) -> AsyncRun:
        """Raises NotFound."""
        api = await self.api()
        told = f"no run called {name!r} in namespace {self._namespace}: `raypod ps` lists them"
        if not is_name(name):
            raise NotFound({"reason": "NotFound", "code": 404, "message": told})
        try:
            return AsyncRun(self, await api.get(f"{self._jobs_path}/{name}"))
        except NotFound as error:
            error.args = (told,)
            raise

    async def runs(self) -> list[tuple[AsyncRun, RunStatus]]:
        """All runs with their status, oldest first."""
        api = await self.api()
        jobs, pods = await asyncio.gather(
            api.get(self._jobs_path, labelSelector=RUN_LABEL), api.get(self._pods_path, labelSelector=RUN_LABEL)
        )
        by_run: dict[str, list[Object]] = {}
        for pod in pods.get("items") or ():
            by_run.setdefault(pod["metadata"]["labels"][RUN_LABEL], []).append(pod)
        ordered = sorted(jobs.get("items") or (), key=lambda job: job["metadata"].get("creationTimestamp", ""))
        return [(AsyncRun(self, job), derive_status(job, by_run.get(job["metadata"]["name"], []))) for job in ordered]

    # --- functions ------------------------------------------------------------------------------------------------

    async def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        image: str = "host",
        cpus: float | None = None,
        memory: str | int | None = None,
        gpus: int = 0,
        env: Mapping[str, object] | None = None,
        volumes: Mapping[str, str] | None = None,
        python: str = "",
        timeout: float | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> T:
        """Run `fn(*args, **kwargs)` in a container and return its result, or raise its exception.

        The image needs a Python of the caller's version (`python` names it); on `host` it is the caller's own.
        Raises CallError when the function cannot be run or its result not be brought back, WaitTimeout.
        """
        payload = calls.pack(fn, args, dict(kwargs or {}))
        name = f"call-{secrets.token_hex(4)}"
        manifest = job_manifest(
            name,
            image,
            calls.command(image, python),
            cpus=cpus,
            memory=memory,
            gpus=gpus,
            env=env,
            volumes=volumes,
        )
        calls.mount_payload(manifest, name, len(payload))
        api = await self.api()
        secrets_path = f"/api/v1/namespaces/{self._namespace}/secrets"
        try:
            await asyncio.gather(*(api.create(secrets_path, secret) for secret in calls.secrets_of(name, payload)))
            run = await self.submit(manifest)
            result: T = await self._result_of(run, timeout)
            return result
        finally:
            with suppress(RaypodError):
                await asyncio.shield(self._forget_call(api, name, secrets_path))

    async def _result_of(self, run: AsyncRun, timeout: float | None) -> Any:
        status = await run.wait(timeout)
        lines = [line async for line in run.logs()]
        result = calls.find_result(lines)
        if result is None:
            told = "\n".join(lines[-20:])
            raise CallError(f"the function did not return: {status.message or 'its container ended'}\n{told}".strip())
        return calls.unpack(result)

    async def _forget_call(self, api: ApiClient, name: str, secrets_path: str) -> None:
        with suppress(NotFound):
            await api.delete(f"{self._jobs_path}/{name}")
        page = await api.get(secrets_path, labelSelector=f"{RUN_LABEL}={name}")
        for secret in page.get("items") or ():
            with suppress(NotFound):
                await api.delete(f"{secrets_path}/{secret['metadata']['name']}")

    # --- the cluster itself ----------------------------------------------------------------------------------------

    async def status(self) -> Object:
        """Nodes, GPUs and the control plane's actors, as `raypod status -o json` prints them."""
        return await (await self.api()).get("/raypod/v1/status")

    async def nodes(self) -> list[str]:
        page = await (await self.api()).get("/api/v1/nodes")
        return sorted(node["metadata"]["name"] for node in page.get("items") or ())

    async def image(self, node: str, verb: str, **request: Any) -> Object:
        """One image verb on one node: list, pull (reference=), load (path=), remove (reference=)."""
        api = await self.api()
        path = f"/raypod/v1/nodes/{quote(node, safe='')}/images"
        return await api.request("POST", path, body={"verb": verb, **request}, timeout_seconds=120, patient=False)

    @property
    def _jobs_path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self._namespace}/jobs"

    @property
    def _pods_path(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods"
