"""The official Python client, unmodified: it sends no Content-Type, no kind and no apiVersion, and reads typed models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_server import RunningGateway, pod, running_status, served
from kubernetes import client, config, watch

__all__ = ["served"]


@pytest.fixture(scope="module")
def core(served: RunningGateway) -> Iterator[client.CoreV1Api]:
    api = config.new_client_from_config(str(served.gateway.kubeconfig))
    yield client.CoreV1Api(api)
    api.close()


def _pod(name: str, **labels: str) -> client.V1Pod:
    container = client.V1Container(name="main", image="busybox", resources={"limits": {"cpu": "100m"}})
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels=labels),
        spec=client.V1PodSpec(containers=[container], restart_policy="Never"),
    )


def test_the_life_of_a_pod(served: RunningGateway, core: client.CoreV1Api) -> None:
    made = core.create_namespaced_pod("default", _pod("a", app="x"))
    assert (made.metadata.name, made.status.phase, made.spec.restart_policy) == ("a", "Pending", "Never")
    served.place("a", "n1")
    served.set_status("pods", "default", "a", running_status())
    read = core.read_namespaced_pod("a", "default")
    assert (read.status.pod_ip, read.status.container_statuses[0].ready) == ("10.0.0.7", True)
    read.metadata.labels["more"] = "yes"
    assert core.replace_namespaced_pod("a", "default", read).metadata.labels["more"] == "yes"
    with pytest.raises(client.ApiException) as conflict:
        core.replace_namespaced_pod("a", "default", read)
    assert (conflict.value.status, conflict.value.reason) == (409, "Conflict")
    core.patch_namespaced_pod("a", "default", {"metadata": {"annotations": {"k": "v"}}})
    served.nodes.log("n1", "default", "a", "main").lines.append(b"2026-11-23T10:00:00Z stdout F hello\n")
    served.nodes.log("n1", "default", "a", "main").ended = True
    assert core.read_namespaced_pod_log("a", "default") == "hello\n"
    core.delete_namespaced_pod("a", "default", grace_period_seconds=0)
    with pytest.raises(client.ApiException) as gone:
        core.read_namespaced_pod("a", "default")
    assert gone.value.status == 404


def test_lists_pages_and_selectors(core: client.CoreV1Api) -> None:
    for i in range(5):
        core.create_namespaced_config_map(
            "default", client.V1ConfigMap(metadata={"name": f"m{i}", "labels": {"n": str(i)}})
        )
    first = core.list_namespaced_config_map("default", limit=2)
    second = core.list_namespaced_config_map("default", limit=2, _continue=first.metadata._continue)
    assert [item.metadata.name for item in first.items + second.items] == ["m0", "m1", "m2", "m3"]
    assert (first.metadata.remaining_item_count, first.metadata.resource_version) == (
        3,
        second.metadata.resource_version,
    )
    chosen = core.list_config_map_for_all_namespaces(label_selector="n in (1,4)")
    assert [item.metadata.name for item in chosen.items] == ["m1", "m4"]
    core.delete_collection_namespaced_config_map("default", label_selector="n!=0")
    assert [item.metadata.name for item in core.list_namespaced_config_map("default").items] == ["m0"]


def test_watch(served: RunningGateway, core: client.CoreV1Api) -> None:
    seen: list[tuple[str, str]] = []
    begun = threading.Event()

    def follow() -> None:
        for event in watch.Watch().stream(core.list_namespaced_pod, "kube-system", timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            begun.set()
            if event["type"] == "DELETED":
                return

    served.make(pod("first"), "pods", "kube-system")
    follower = threading.Thread(target=follow)
    follower.start()
    assert begun.wait(20)
    served.make(pod("second"), "pods", "kube-system")
    core.patch_namespaced_pod("second", "kube-system", {"metadata": {"labels": {"a": "b"}}})
    core.delete_namespaced_pod("second", "kube-system")
    follower.join(25)
    assert not follower.is_alive()
    assert seen == [("ADDED", "first"), ("ADDED", "second"), ("MODIFIED", "second"), ("DELETED", "second")]


def test_other_groups(core: client.CoreV1Api) -> None:
    apps, batch = client.AppsV1Api(core.api_client), client.BatchV1Api(core.api_client)
    template: dict[str, Any] = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    apps.create_namespaced_deployment("default", {"metadata": {"name": "d"}, "spec": spec})
    assert apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 3}}).spec.replicas == 3
    assert apps.read_namespaced_deployment("d", "default").spec.replicas == 3
    assert apps.read_namespaced_deployment_status("d", "default").metadata.name == "d"
    job = {
        "metadata": {"generateName": "j-"},
        "spec": {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}},
    }
    assert batch.create_namespaced_job("default", job).metadata.name.startswith("j-")
    lease = client.CoordinationV1Api(core.api_client).create_namespaced_lease("default", {"metadata": {"name": "l"}})
    assert lease.metadata.uid
    assert client.VersionApi(core.api_client).get_code().minor == "37"
    assert {group.name for group in client.ApisApi(core.api_client).get_api_versions().groups} >= {"apps", "batch"}
    review = client.V1SelfSubjectAccessReview(spec={"resourceAttributes": {"verb": "get", "resource": "pods"}})
    assert client.AuthorizationV1Api(core.api_client).create_self_subject_access_review(review).status.allowed


def test_errors_carry_their_status(core: client.CoreV1Api) -> None:
    with pytest.raises(client.ApiException) as invalid:
        core.create_namespaced_pod("default", _pod("Bad_Name"))
    assert (invalid.value.status, "metadata.name" in invalid.value.body) == (422, True)
    with pytest.raises(client.ApiException) as missing:
        core.create_namespaced_pod("nowhere", _pod("x"))
    assert (missing.value.status, 'namespaces \\"nowhere\\" not found' in missing.value.body) == (404, True)
