"""kr8s, on which raypod's own SDK stands: trailing slashes, every group's document, merge patches, watches."""

from __future__ import annotations

import asyncio

import kr8s.asyncio
import pytest
from gateway_server import RunningGateway, pod, running_status, served
from kr8s.asyncio.objects import ConfigMap, Deployment, Pod

__all__ = ["served"]


async def _api(served: RunningGateway) -> kr8s.asyncio.Api:
    return await kr8s.asyncio.api(kubeconfig=str(served.gateway.kubeconfig))


async def test_objects(served: RunningGateway) -> None:
    api = await _api(served)
    assert (await api.version())["minor"] == "37"
    made = await Pod(pod("k"), api=api)
    await made.create()
    assert await made.exists()
    await made.label({"a": "b"})
    await made.annotate({"c": "d"})
    served.place("k", "n1")
    served.set_status("pods", "default", "k", running_status())
    await made.wait("condition=Ready", timeout=10)
    served.nodes.log("n1", "default", "k", "main").lines.append(b"2026-11-23T10:00:00Z stdout F hello\n")
    served.nodes.log("n1", "default", "k", "main").ended = True
    assert [line async for line in made.logs()] == ["hello"]
    found = [item.name async for item in api.get("pods", label_selector={"a": "b"})]
    assert found == ["k"]
    await made.delete(force=True)
    assert not await made.exists()


async def test_watch_and_scale(served: RunningGateway) -> None:
    api = await _api(served)
    seen: list[tuple[str, str]] = []
    begun = asyncio.Event()

    async def follow() -> None:
        async for kind, item in api.watch("configmaps"):
            seen.append((kind, item.name))
            begun.set()
            if kind == "DELETED":
                return

    served.kubectl("create", "configmap", "first")
    following = asyncio.create_task(follow())
    async with asyncio.timeout(20):
        await begun.wait()
    settings = await ConfigMap({"metadata": {"name": "s", "namespace": "default"}, "data": {"a": "b"}}, api=api)
    await settings.create()
    await settings.patch({"data": {"a": "c"}})
    await settings.delete()
    async with asyncio.timeout(20):
        await following
    assert seen[-1] == ("DELETED", "s")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployment = await Deployment({"metadata": {"name": "d", "namespace": "default"}, "spec": spec}, api=api)
    await deployment.create()
    patch = {"spec": {"replicas": 4}}
    await deployment.patch(patch, subresource="scale")
    await deployment.refresh()
    assert deployment.spec.replicas == 4


async def test_every_resource_is_discovered(served: RunningGateway) -> None:
    resources = await (await _api(served)).api_resources()
    assert {"pods", "deployments", "jobs", "leases"} <= {resource["name"] for resource in resources}
    assert await (await _api(served)).whoami() == "kubernetes-admin"


async def test_what_is_refused(served: RunningGateway) -> None:
    wrong = pod("Bad_Name")
    with pytest.raises(kr8s.ServerError, match=r"is invalid: metadata\.name"):
        await (await Pod(wrong, api=await _api(served))).create()
