"""metrics.k8s.io: kubectl top and the official client's custom objects, over nodes that answer, are away or begin."""

from __future__ import annotations

import pytest
from gateway_server import RunningGateway, pod

from actors.api.key import Key
from actors.api.usage import ContainerUsage, NodeUsage, Usage

NODE = {"apiVersion": "v1", "kind": "Node", "status": {"allocatable": {"cpu": "2", "memory": "2Gi"}}}


def usage(millis: int, mebibytes: int, window_ms: int = 10_000) -> Usage:
    return Usage(
        at_ms=1_700_000_000_000, window_ms=window_ms, cpu_nanos=millis * 1_000_000, memory_bytes=mebibytes << 20
    )


@pytest.fixture(scope="module")
def busy(served: RunningGateway) -> RunningGateway:
    for name in ("n1", "n2"):
        served.make(NODE | {"metadata": {"name": name}}, "nodes", "")
    for name, where in (("web", "n1"), ("job", "n2"), ("waiting", "")):
        made = pod(name)
        made["metadata"]["labels"] = {"app": name}
        served.make(made, "pods")
        if where:
            served.place(name, where)
    served.nodes.usages["n1"] = NodeUsage(
        node=usage(1500, 900),
        containers=(
            ContainerUsage(pod_uid=uid_of(served, "web"), name="main", usage=usage(250, 64)),
            ContainerUsage(pod_uid=uid_of(served, "web"), name="side", usage=usage(50, 16, 12_500)),
            ContainerUsage(pod_uid="of-a-pod-that-is-gone", name="main", usage=usage(1, 1)),
        ),
    )
    return served


def uid_of(served: RunningGateway, name: str) -> str:
    return served.run(served.store.get(Key("pods", "default", name))).uid


def test_kubectl_top(busy: RunningGateway) -> None:
    top = busy.kubectl("top", "pods")
    assert top.rows == [["NAME", "CPU(cores)", "MEMORY(bytes)"], ["web", "300m", "80Mi"]], top.err
    by_container = busy.kubectl("top", "pods", "--containers", "-l", "app=web", "-A")
    assert by_container.rows[1:] == [
        ["default", "web", "main", "250m", "64Mi"],
        ["default", "web", "side", "50m", "16Mi"],
    ]
    assert busy.kubectl("top", "pods", "-l", "app=job", fails=True).err == "error: metrics not available yet\n"
    [row, unknown] = busy.kubectl("top", "nodes").rows[1:]
    assert (row[0], row[1], row[3]) == ("n1", "1500m", "900Mi")
    assert unknown == ["n2", "<unknown>", "<unknown>", "<unknown>", "<unknown>"]


def test_an_object_a_table_and_what_is_not_there(busy: RunningGateway) -> None:
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"
    found = busy.kubectl("get", "--raw", f"{path}/web").json
    assert (found["kind"], found["apiVersion"]) == ("PodMetrics", "metrics.k8s.io/v1beta1")
    assert found["metadata"]["labels"] == {"app": "web"} and "resourceVersion" not in found["metadata"]
    assert (found["timestamp"], found["window"]) == ("2023-11-14T22:13:20Z", "12.5s")
    assert found["containers"][0] == {"name": "main", "usage": {"cpu": "250000000n", "memory": "65536Ki"}}
    assert busy.kubectl("get", "pods.metrics.k8s.io").rows == [
        ["NAME", "CPU", "MEMORY", "WINDOW"],
        ["web", "300m", "81920Ki", "12.5s"],
    ]
    assert "(NotFound)" in busy.kubectl("get", "--raw", f"{path}/waiting", fails=True).err
    assert "(NotFound)" in busy.kubectl("get", "pods.metrics.k8s.io", "no-such", fails=True).err
    assert "(MethodNotAllowed)" in busy.kubectl("delete", "pods.metrics.k8s.io", "web", fails=True).err


def test_a_node_that_is_away_is_left_out(busy: RunningGateway) -> None:
    assert busy.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes").json["items"] != []
    busy.nodes.away.add("n1")
    assert busy.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes").json["items"] == []
    assert busy.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/pods").json["items"] == []
