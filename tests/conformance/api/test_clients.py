"""Lists, watches, patches, applies and deletes as three Python clients do them: official, lightkube, kr8s."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import kr8s
import pytest
from api_client import Api
from gateway_server import RunningGateway
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import CascadeType, PatchType


@pytest.fixture
def core(served: RunningGateway) -> Iterator[client.CoreV1Api]:
    made = config.new_client_from_config(str(served.gateway.kubeconfig))
    yield client.CoreV1Api(made)
    made.close()


@pytest.fixture
def light(served: RunningGateway, api: Api) -> Iterator[Client]:
    read = KubeConfig.from_file(str(served.gateway.kubeconfig))
    made = Client(
        config=read, namespace=api.namespace, field_manager="light", trust_env=False, timeout=httpx2.Timeout(20)
    )
    yield made
    made.close()


def _map(name: str, labels: dict[str, str] | None = None, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, labels=labels), data=data)


def test_lightkube_pages_selects_and_deletes_collections(light: Client) -> None:
    for at in range(7):
        light.create(_map(f"m{at}", {"odd": str(at % 2)}))
    listed = light.list(ConfigMap, chunk_size=3)
    assert [one.metadata.name for one in listed] == [f"m{at}" for at in range(7)]
    chosen = light.list(ConfigMap, labels={"odd": "1"}, fields={"metadata.name": "m3"})
    assert [one.metadata.name for one in chosen] == ["m3"]
    assert len(list(light.list(ConfigMap, labels={"odd": ["0", "1"]}))) == 7
    light.deletecollection(ConfigMap, dry_run=True)
    assert len(list(light.list(ConfigMap))) == 7
    light.deletecollection(ConfigMap, cascade=CascadeType.BACKGROUND)
    assert list(light.list(ConfigMap)) == []


def test_lightkube_applies_patches_and_replaces(light: Client) -> None:
    first = light.apply(_map("a", x="1", y="1"))
    assert light.apply(_map("a", x="1", y="1")).metadata.resourceVersion == first.metadata.resourceVersion
    with pytest.raises(ApiError, match="conflict with") as conflict:
        light.apply(_map("a", x="2"), field_manager="other")
    assert (conflict.value.status.code, conflict.value.status.reason) == (409, "Conflict")
    light.apply(_map("a", x="2"), field_manager="other", force=True)
    assert light.apply(_map("a", y="1")).data == {"x": "2", "y": "1"}
    for kind, patch in (
        (PatchType.STRATEGIC, {"data": {"s": "1"}}),
        (PatchType.MERGE, {"data": {"m": "1", "y": None}}),
        (PatchType.JSON, [{"op": "remove", "path": "/data/x"}]),
    ):
        light.patch(ConfigMap, "a", patch, patch_type=kind)
    shown = light.get(ConfigMap, "a")
    assert shown.data == {"s": "1", "m": "1"}
    stale = light.get(ConfigMap, "a")
    light.set(ConfigMap, "a", labels={"l": "1"})
    with pytest.raises(ApiError, match="the object has been modified"):
        light.replace(stale)
    assert light.delete(ConfigMap, "a") is None
    with pytest.raises(ApiError, match="not found"):
        light.get(ConfigMap, "a")


def test_lightkube_follows_a_list_with_a_watch(light: Client) -> None:
    light.create(_map("before"))
    listed = light.list(ConfigMap)
    list(listed)
    light.create(_map("after", {"l": "1"}))
    light.patch(ConfigMap, "after", {"metadata": {"labels": {"l": "2"}}})
    light.delete(ConfigMap, "after")
    seen = []
    for what, one in light.watch(ConfigMap, resource_version=listed.resourceVersion, server_timeout=5):
        seen.append((what, one.metadata.name))
        if what == "DELETED":
            break
    assert seen == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "after")]


def test_lightkube_scales_and_writes_status(light: Client) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    light.create(Deployment.from_dict({"metadata": {"name": "d"}, "spec": spec}))
    light.patch(Deployment.Scale, "d", {"spec": {"replicas": 4}})
    light.patch(Deployment.Status, "d", {"status": {"replicas": 2, "observedGeneration": 1}})
    shown = light.get(Deployment, "d")
    assert (shown.spec.replicas, shown.status.replicas, shown.metadata.generation) == (4, 2, 2)


def test_the_official_client_resumes_a_watch_after_it_was_told_to_list_again(core: client.CoreV1Api, api: Api) -> None:
    """Its Watch keeps the last resourceVersion, and begins again by itself when that has expired."""
    api.make("a")
    then = core.list_namespaced_config_map(api.namespace).metadata.resource_version
    api.make("b")
    api.forget()
    with pytest.raises(ApiException) as gone:
        for _ in watch.Watch().stream(
            core.list_namespaced_config_map, api.namespace, resource_version=then, timeout_seconds=2
        ):
            pass
    assert gone.value.status == 410
    names = []
    for event in watch.Watch().stream(core.list_namespaced_config_map, api.namespace, timeout_seconds=1):
        names.append(event["object"].metadata.name)
    assert names == ["a", "b"]


def test_the_official_client_deletes_with_preconditions(core: client.CoreV1Api, api: Api) -> None:
    made = api.make("a")["metadata"]
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    with pytest.raises(ApiException) as refused:
        core.delete_namespaced_config_map("a", api.namespace, body=wrong)
    assert refused.value.status == 409
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=made["uid"]))
    assert core.delete_namespaced_config_map("a", api.namespace, body=right, dry_run="All")["status"] == "Success"
    assert core.delete_namespaced_config_map("a", api.namespace, body=right)["status"] == "Success"


def test_the_dynamic_client_applies_server_side(core: client.CoreV1Api, api: Api) -> None:
    maps = dynamic.DynamicClient(core.api_client).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    maps.server_side_apply(body=body, name="a", namespace=api.namespace, field_manager="one")
    other = {**body, "data": {"x": "2"}}
    with pytest.raises(ConflictError):
        maps.server_side_apply(body=other, name="a", namespace=api.namespace, field_manager="two")
    forced = maps.server_side_apply(
        body=other, name="a", namespace=api.namespace, field_manager="two", force_conflicts=True
    )
    assert forced.data.x == "2"


def test_of_two_writers_one_wins(core: client.CoreV1Api, api: Api) -> None:
    """What leader election stands on: a read-modify-write of one revision succeeds exactly once."""
    api.make("lock", count="0")
    told: list[str] = []

    def add() -> None:
        for _ in range(10):
            read = core.read_namespaced_config_map("lock", api.namespace)
            read.data["count"] = str(int(read.data["count"]) + 1)
            try:
                core.replace_namespaced_config_map("lock", api.namespace, read)
                told.append("won")
            except ApiException as error:
                told.append({409: "lost"}[error.status])

    writers = [threading.Thread(target=add) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert api.get("configmaps/lock").json["data"]["count"] == str(told.count("won"))
    assert len(told) == 40


async def test_kr8s_lists_watches_and_patches(served: RunningGateway, api: Api) -> None:
    made: Any = await kr8s.asyncio.api(kubeconfig=str(served.gateway.kubeconfig), namespace=api.namespace)
    for at in range(5):
        api.make(f"m{at}", {"odd": str(at % 2)})
    chosen = [
        one async for one in made.get("configmaps", label_selector={"odd": "1"}, field_selector="metadata.name!=m3")
    ]
    assert [one.name for one in chosen] == ["m1"]
    await chosen[0].patch({"data": {"x": "1"}})
    await chosen[0].label({"more": "yes"})
    assert (chosen[0].raw["data"], chosen[0].labels["more"]) == ({"x": "1"}, "yes")
    await chosen[0].delete()
    assert not await chosen[0].exists()
