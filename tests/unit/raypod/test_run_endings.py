"""Who is told that a run has finished is told its exit codes, whichever of Job and pods is known first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from raypod.manifests import INDEX_LABEL
from raypod.runs import AsyncRun

JOBS, PODS = "/apis/batch/v1/namespaces/default/jobs", "/api/v1/namespaces/default/pods"
Object = dict[str, Any]


def job(*, finished: bool) -> Object:
    done = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1} if finished else {"active": 1}
    metadata = {"name": "j", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"completions": 1}, "status": done}


def pod(*, finished: bool) -> Object:
    state: Object = {"running": {"startedAt": "2026-01-01T00:00:02Z"}}
    if finished:
        times = {"startedAt": "2026-01-01T00:00:02Z", "finishedAt": "2026-01-01T00:00:05Z"}
        state = {"terminated": {"exitCode": 0, "reason": "Completed", **times}}
    return {
        "metadata": {"name": "j-0", "labels": {INDEX_LABEL: "0"}, "creationTimestamp": "2026-01-01T00:00:01Z"},
        "status": {
            "phase": "Succeeded" if finished else "Running",
            "containerStatuses": [{"name": "main", "state": state}],
        },
    }


class Cluster:
    """The run ends while its Job is being read; the watch of its pods has not been told, and says no more."""

    def __init__(self) -> None:
        self.has_ended = False

    async def api(self) -> Cluster:
        return self

    async def get(self, path: str, **query: str) -> Object:
        if path == PODS:
            return {"items": [pod(finished=self.has_ended)]}
        await asyncio.sleep(0)
        self.has_ended = True
        return job(finished=True)

    async def snapshots(self, path: str, selector: str, timeout: float) -> AsyncIterator[list[Object]]:
        yield [job(finished=True)] if path == JOBS else [pod(finished=False)]
        await asyncio.sleep(timeout)


async def test_a_job_that_is_told_before_its_pods() -> None:
    run = AsyncRun(Cluster(), job(finished=False))  # type: ignore[arg-type]  # stands in for the cluster's API
    status = await run.wait(timeout=30)
    assert (status.is_finished, status.exit_codes) == (True, (0,))


async def test_pods_that_end_while_the_job_is_read() -> None:
    run = AsyncRun(Cluster(), job(finished=False))  # type: ignore[arg-type]  # stands in for the cluster's API
    status = await run.status()
    assert (status.is_finished, status.exit_codes) == (True, (0,))
