"""The SDK, asynchronously. `sync.py` is the same for programs without an event loop.

A run is a batch/v1 Job: whatever kubectl shows of it and does to it is true here too.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple, Unpack, overload
from urllib.parse import quote

from raypod import batch, calls, control, past
from raypod.api import ApiClient
from raypod.errors import ApiError, CallError, ClusterUnreachable, NameTaken, NotFound, RaypodError, SomeRefused
from raypod.kubeconfig import kubeconfig_path, read_endpoint
from raypod.manifests import RUN_LABEL, ManyRun, Needs, RunOptions, check_options, is_name, job_manifest
from raypod.past import When
from raypod.runs import AsyncRun
from raypod.status import RunStatus, derive_status

Object = dict[str, Any]
T = TypeVar("T")
Args = TypeVarTuple("Args")


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
        ours = path.is_relative_to(control.home()) and control.is_ours()
        if ours and not named and not control.is_up():
            if not self._start:
                read_endpoint(path)
                raise ClusterUnreachable(f"the control plane of {control.home()} is down: start it with `raypod up`")
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

    async def run(self, name: str = "", *, image: str, **options: Unpack[RunOptions]) -> AsyncRun:
        """Submit containers of `image` and return at once; `name` "" is drawn. See RunOptions.

        Raises ValueError for an argument that cannot be, NameTaken, ApiError.
        """
        check_options("run", options, RunOptions.__optional_keys__)
        name = name or f"run-{secrets.token_hex(3)}"
        return await self.submit(job_manifest(name, image, **options))

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

    async def run_many(self, runs: Sequence[ManyRun]) -> list[AsyncRun]:
        """Submit many runs at once: for each a dict of what `run` takes. Raises ValueError for an argument that cannot
        be, before anything is submitted; SomeRefused when the API has refused some, with what became of each."""
        drawn: list[dict[str, Any]] = [{"name": f"run-{secrets.token_hex(4)}", **run} for run in runs]
        for options in drawn:
            check_options("run_many", options, ManyRun.__annotations__)
        manifests = [job_manifest(**options) for options in drawn]
        api = await self.api()
        submitted_at = time.time()
        answers = await batch.create_many(api, [(self._jobs_path, manifest) for manifest in manifests], whole=True)
        results = [job if isinstance(job, ApiError) else AsyncRun(self, job, submitted_at) for job in answers]
        if any(isinstance(result, ApiError) for result in results):
            raise SomeRefused("runs", results)
        return [result for result in results if isinstance(result, AsyncRun)]

    async def create_many(self, objects: Sequence[Object]) -> list[Object | ApiError]:
        """Create objects of any kinds in few requests and few commits; those without a namespace in this cluster's own.

        What became of each, in order: `{"metadata": {name, namespace, uid, resourceVersion}}`, or why it was refused.
        Raises ValueError for a kind that is not served; then nothing is created.
        """
        api = await self.api()
        kinds: dict[tuple[str, str], past.Kind] = {}
        placed = []
        for obj in objects:
            named = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
            if named not in kinds:
                group, slash, _ = named[0].rpartition("/")
                kinds[named] = await past.find_kind(api, named[1] + (f".{group}" if slash else ""))
            namespace = (obj.get("metadata") or {}).get("namespace") or self._namespace
            placed.append((kinds[named].path(namespace), obj))
        return await batch.create_many(api, placed)

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
        jobs = await api.get(self._jobs_path, labelSelector=RUN_LABEL)  # first, as in AsyncRun.status
        pods = await api.get(self._pods_path, labelSelector=RUN_LABEL)
        by_run: dict[str, list[Object]] = {}
        for pod in pods.get("items") or ():
            by_run.setdefault(pod["metadata"]["labels"][RUN_LABEL], []).append(pod)
        ordered = sorted(jobs.get("items") or (), key=lambda job: job["metadata"].get("creationTimestamp", ""))
        return [(AsyncRun(self, job), derive_status(job, by_run.get(job["metadata"]["name"], []))) for job in ordered]

    # --- functions ------------------------------------------------------------------------------------------------

    @overload
    async def call(
        self,
        fn: Callable[[Unpack[Args]], T],
        *args: *Args,
        image: str = ...,
        python: str = ...,
        timeout: float | None = ...,
        **needs: Unpack[Needs],
    ) -> T: ...

    @overload
    async def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        kwargs: Mapping[str, Any] | None,
        image: str = ...,
        python: str = ...,
        timeout: float | None = ...,
        **needs: Unpack[Needs],
    ) -> T: ...

    async def call(  # type: ignore[misc]  # the first overload's arguments are any arguments
        self,
        fn: Callable[..., T],
        *args: Any,
        image: str = "host",
        python: str = "",
        timeout: float | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **needs: Unpack[Needs],
    ) -> T:
        """Run `fn(*args, **kwargs)` in a container and return its result, or raise its exception.

        What it prints is written to the caller's `sys.stdout` and `sys.stderr` as it comes, as it is: no prefix.
        The image needs a Python of the caller's version (`python` names it); on `host` it is the caller's own.
        Raises CallError when the function cannot be run or its result not be brought back, WaitTimeout.
        """
        check_options("call", needs, Needs.__optional_keys__)
        payload = calls.pack(fn, args, dict(kwargs or {}))
        name = f"call-{secrets.token_hex(4)}"
        manifest = job_manifest(name, image, command=calls.command(image, python), **needs)
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
        output = calls.Output()
        readers = [
            asyncio.create_task(_pass_on(run.logs(follow=True, stream="Stdout"), output.write_stdout)),
            asyncio.create_task(_pass_on(run.logs(follow=True, stream="Stderr"), output.write_stderr)),
        ]
        try:
            status = await run.wait(timeout)
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        result = calls.find_result(output.marked)
        if result is None:
            told = "\n".join(output.last)
            raise CallError(f"the function did not return: {status.message or 'its container ended'}\n{told}".strip())
        return calls.unpack(result)

    async def _forget_call(self, api: ApiClient, name: str, secrets_path: str) -> None:
        with suppress(NotFound):
            await api.delete(f"{self._jobs_path}/{name}")
        page = await api.get(secrets_path, labelSelector=f"{RUN_LABEL}={name}")
        for secret in page.get("items") or ():
            with suppress(NotFound):
                await api.delete(f"{secrets_path}/{secret['metadata']['name']}")

    @property
    def namespace(self) -> str:
        """The API namespace that is meant where none is named; known once connected."""
        return self._namespace

    # --- objects of any kind, and the past ---------------------------------------------------------------------------

    async def read(
        self, kind: str, name: str, *, namespace: str = "", at: When | None = None, revision: int = 0
    ) -> Object:
        """One object, now or as it was `at` a time or `revision`. Raises NotFound, ApiError (410: no longer there)."""
        api = await self.api()
        found = await past.find_kind(api, kind)
        return await api.get(found.path(namespace or self._namespace, name), **past.point_in_time(at, revision))

    async def objects(
        self, kind: str, *, namespace: str = "", selector: str = "", at: When | None = None, revision: int = 0
    ) -> list[Object]:
        """All of a kind in an API namespace, now or as they were `at` a time or `revision`. `selector`: of labels."""
        api = await self.api()
        found = await past.find_kind(api, kind)
        params = {"labelSelector": selector, **past.point_in_time(at, revision)}
        page = await api.get(found.path(namespace or self._namespace), **params)
        return list(page.get("items") or ())

    async def history(self, kind: str, name: str, *, namespace: str = "") -> list[Object]:
        """Who changed which field of an object when, oldest first: dicts with `revision`, `time`, `type`, `uid`,
        `user`, `manager` and, for MODIFIED, `changes` (`field`, `from`, `to`). Raises NotFound."""
        api = await self.api()
        found = await past.find_kind(api, kind)
        told = await past.read_history(api, found, namespace or self._namespace, name)
        return list(told["items"])

    async def log(
        self, since: When | int | None = None, until: When | int | None = None
    ) -> AsyncGenerator[Object, None]:
        """Every retained change of every object after `since` up to `until` (revisions or times), oldest first."""
        async for change in past.read_log(await self.api(), since, until):
            yield change

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


async def _pass_on(lines: AsyncIterator[str], write: Callable[[str], None]) -> None:
    async for line in lines:
        write(line)
