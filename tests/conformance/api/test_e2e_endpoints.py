"""Kubernetes' test/e2e/network/endpointslice.go and endpointslicemirroring.go."""

from __future__ import annotations

from typing import Any

from living_cluster import eventually
from workload_client import WEB, Workloads

Json = dict[str, Any]
KEEPER = "endpointslice.kubernetes.io/managed-by"


def slices(work: Workloads, service: str) -> list[Json]:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{work.namespace}/endpointslices"
    return work.items(path, f"kubernetes.io/service-name={service}")


def make_service(work: Workloads, name: str, selector: Json | None, **port: Any) -> None:
    spec: Json = {
        "publishNotReadyAddresses": True,
        "ports": [{"name": "example", "port": 80, "protocol": "TCP", **port}],
    }
    spec |= {"selector": selector} if selector else {}
    work.post("services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}).ok()


def make_pod(work: Workloads, name: str, labels: list[str], ports: dict[str, int]) -> None:
    container = {"name": "c", "image": WEB, "ports": [{"name": n, "containerPort": p} for n, p in ports.items()]}
    meta = {"name": name, "labels": dict.fromkeys(labels, "on")}
    work.post("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}).ok()


def in_slices(work: Workloads, service: str) -> list[tuple[int, list[str]]]:
    """Ports and the pods behind them."""
    return sorted(
        (one["ports"][0]["port"], [row["targetRef"]["name"] for row in one["endpoints"]])
        for one in slices(work, service)
        if one["endpoints"]
    )


def in_endpoints(work: Workloads, service: str) -> list[tuple[int, list[str]]]:
    reply = work.get(f"endpoints/{service}")
    subsets = reply.ok().get("subsets") or [] if reply.code == 200 else []
    return sorted((s["ports"][0]["port"], [a["targetRef"]["name"] for a in s["addresses"]]) for s in subsets)


def test_a_service_with_a_selector_has_endpoints_and_slices(work: Workloads) -> None:
    """should create and delete Endpoints and EndpointSlices for a Service with a selector specified"""
    make_service(work, "example-empty-selector", {"does-not-match-anything": "still-created"})
    eventually("endpoints", lambda: work.get("endpoints/example-empty-selector").code == 200)
    (one,) = eventually("a slice", lambda: slices(work, "example-empty-selector"))
    assert one["metadata"]["labels"][KEEPER] == "endpointslice-controller.k8s.io"
    assert not one["endpoints"]
    work.delete("services/example-empty-selector").ok()
    eventually("endpoints go", lambda: work.get("endpoints/example-empty-selector").code == 404)
    eventually("the slice goes", lambda: not slices(work, "example-empty-selector"))


def test_pods_are_told_by_the_port_of_a_name(work: Workloads) -> None:
    """should create Endpoints and EndpointSlices for Pods matching a Service"""
    make_pod(work, "pod1", ["pod1", "shared12"], {"example-name": 3000})
    make_pod(work, "pod2", ["pod2", "shared12"], {"example-name": 3001, "other-port": 3002})
    make_service(work, "example-int-port", {"pod1": "on"}, targetPort=3000)
    make_service(work, "example-named-port", {"shared12": "on"}, targetPort="example-name")
    make_service(work, "example-no-match", {"pod3": "on"}, targetPort=8080)
    one, both = [(3000, ["pod1"])], [(3000, ["pod1"]), (3001, ["pod2"])]
    for service, told in (("example-int-port", one), ("example-named-port", both)):
        eventually(f"slices of {service}", lambda s=service, t=told: in_slices(work, s) == t)  # type: ignore[misc]  # of a default in a lambda
        eventually(f"endpoints of {service}", lambda s=service, t=told: in_endpoints(work, s) == t)  # type: ignore[misc]  # the same
    assert [one["endpoints"] for one in slices(work, "example-no-match")] == [[]]
    assert in_endpoints(work, "example-no-match") == []
    work.delete(
        f"/apis/discovery.k8s.io/v1/namespaces/{work.namespace}/endpointslices",
        labelSelector="kubernetes.io/service-name=example-named-port",
    ).ok()
    eventually("made again", lambda: in_slices(work, "example-named-port") == both)


def test_a_custom_endpoints_object_is_mirrored(work: Workloads) -> None:
    """EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete"""
    make_service(work, "example-custom-endpoints", None)
    subsets = [{"ports": [{"port": 80}], "addresses": [{"ip": "10.1.2.3"}]}]
    metadata = {"name": "example-custom-endpoints"}
    work.post("endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}).ok()

    def mirrored(port: int, address: str) -> bool:
        found = slices(work, "example-custom-endpoints")
        told = [(s["ports"][0]["port"], [row["addresses"] for row in s["endpoints"]]) for s in found]
        return told == [(port, [[address]])]

    eventually("mirrored", lambda: mirrored(80, "10.1.2.3"))
    (one,) = slices(work, "example-custom-endpoints")
    assert one["metadata"]["labels"][KEEPER] == "endpointslicemirroring-controller.k8s.io"
    work.change("endpoints/example-custom-endpoints", lambda e: e["subsets"][0]["addresses"][0].update(ip="10.2.3.4"))
    eventually("the change too", lambda: mirrored(80, "10.2.3.4"))
    work.delete("endpoints/example-custom-endpoints").ok()
    eventually("and the end", lambda: not slices(work, "example-custom-endpoints"))


def test_a_headless_service_tells_host_names(work: Workloads) -> None:
    """What pods of a StatefulSet are found by: no port is needed for that."""
    spec = {"clusterIP": "None", "selector": {"on": "on"}}
    work.post("services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "h"}, "spec": spec}).ok()
    container = {"name": "c", "image": WEB}
    pod = {"containers": [container], "hostname": "h-0", "subdomain": "h"}
    work.post("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"on": "on"}}, "spec": pod}).ok()  # fmt: skip
    eventually("told", lambda: [r.get("hostname") for s in slices(work, "h") for r in s["endpoints"]] == ["h-0"])
    (one,) = slices(work, "h")
    assert one["ports"] in (None, [])
    assert "service.kubernetes.io/headless" in one["metadata"]["labels"]
    eventually("ready", lambda: (work.get("endpoints/h").ok().get("subsets") or [{}])[0].get("addresses"))
