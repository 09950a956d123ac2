from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, node, pod

from actors.api.key import Key
from actors.controllers.endpoint_packing import pack

Json = dict[str, Any]
SLICES = "endpointslices.discovery.k8s.io"
KEEPER = "endpointslice.kubernetes.io/managed-by"


def row(name: str, **more: Any) -> Json:
    return {"addresses": [f"10.0.0.{name}"], "targetRef": {"kind": "Pod", "name": name}, **more}


def rows(*names: int) -> list[Json]:
    return [row(str(name)) for name in names]


def test_what_stays_stays_where_it_is_and_what_is_new_goes_where_something_changes_anyway() -> None:
    known = {"a": rows(1, 2), "b": rows(3, 4), "c": rows(5)}
    assert pack(known, rows(1, 2, 3, 5, 6), 3) == {"a": rows(1, 2), "b": rows(3, 6), "c": rows(5)}
    assert pack(known, rows(1, 2, 3, 4, 5, 6), 3) == {"a": rows(1, 2), "b": rows(3, 4, 6), "c": rows(5)}, "the fullest"
    assert pack(known, rows(1, 2, 3, 4, 5, 6, 7, 8), 3)["c"] == rows(5), "none has room for all: a new one"
    assert pack(known, rows(5), 3) == {"c": rows(5)}, "slices without endpoints are not needed"


def test_slices_are_no_longer_than_they_may_be() -> None:
    packed = pack({}, rows(*range(7)), 3)
    assert [len(content) for content in packed.values()] == [3, 3, 1]
    assert pack({}, [], 3) == {" ": []}
    assert pack({"a": []}, [], 3) == {"a": []}
    assert pack({"a": rows(1), "b": rows(2)}, [], 3) == {" ": []}


def test_an_endpoint_that_says_something_else_is_the_same_endpoint() -> None:
    ready = row("1", conditions={"ready": True})
    assert pack({"a": [row("1"), row("2")]}, [row("2"), ready], 3) == {"a": [ready, row("2")]}


def service(name: str = "web", **spec: Any) -> Json:
    told = {
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}],
        **spec,
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"team": "a"}}, "spec": told}


def run_pod(rig: Rig, name: str, ip: str, *, ready: bool = True, port: int = 8080, **spec: Any) -> None:
    obj = pod(name)
    obj["metadata"]["labels"] = {"app": "web"}
    obj["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": port}]
    obj["spec"] |= {"nodeName": "n", **spec}
    rig.create(obj)
    tell(rig, name, ip, ready=ready)


def tell(rig: Rig, name: str, ip: str, *, ready: bool) -> None:
    row = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-09-21T14:13:20Z"}
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [row]}
    rig.patch(Key("pods", "default", name), {"status": status}, "status")
    rig.settle()


def slices(rig: Rig) -> list[Json]:
    return [one for one in rig.list(SLICES) if one["metadata"]["labels"]["kubernetes.io/service-name"] != "kubernetes"]


@pytest.fixture
def web(rig: Rig) -> Rig:
    rig.create(node("n", labels={"topology.kubernetes.io/zone": "z1"}))
    cidr = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}}
    rig.create({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", **cidr})
    rig.create(service())
    rig.settle()
    return rig


def test_a_service_without_pods_has_a_slice_and_endpoints_without_any(web: Rig) -> None:
    (one,) = slices(web)
    assert (one["endpoints"], one["ports"], one["addressType"]) == ([], [], "IPv4")
    assert one["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        KEEPER: "endpointslice-controller.k8s.io",
    }
    (ref,) = one["metadata"]["ownerReferences"]
    assert (ref["kind"], ref["name"], ref["controller"]) == ("Service", "web", True)
    assert web.get("endpoints", "web")["metadata"]["name"] == "web"
    assert not web.get("endpoints", "web").get("subsets")


def test_a_pod_is_told_with_its_state_and_place(web: Rig) -> None:
    run_pod(web, "a", "10.9.0.1", hostname="a", subdomain="web")
    (one,) = slices(web)
    (told,) = one["endpoints"]
    assert told.pop("targetRef")["name"] == "a"
    assert told == {
        "addresses": ["10.9.0.1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": "n",
        "zone": "z1",
        "hostname": "a",
    }
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    trigger = "endpoints.kubernetes.io/last-change-trigger-time"
    assert one["metadata"]["annotations"][trigger] == "2026-09-21T14:13:20Z"
    tell(web, "a", "10.9.0.1", ready=False)
    assert slices(web)[0]["endpoints"][0]["conditions"] == {"ready": False, "serving": False, "terminating": False}
    (subset,) = web.get("endpoints", "web")["subsets"]
    assert "addresses" not in subset
    assert subset["notReadyAddresses"][0]["ip"] == "10.9.0.1"


def test_a_pod_on_its_way_out_serves_but_is_not_ready(web: Rig) -> None:
    run_pod(web, "a", "10.9.0.1")
    web.delete(Key("pods", "default", "a"))
    web.settle()
    assert slices(web)[0]["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}
    assert not web.get("endpoints", "web").get("subsets")


def test_pods_whose_port_of_a_name_differs_are_in_slices_of_their_own(web: Rig) -> None:
    run_pod(web, "a", "10.9.0.1", port=1)
    run_pod(web, "b", "10.9.0.2", port=2)
    run_pod(web, "c", "10.9.0.3", port=2)
    told = sorted((one["ports"][0]["port"], len(one["endpoints"])) for one in slices(web))
    assert told == [(1, 1), (2, 2)]
    subsets = web.get("endpoints", "web")["subsets"]
    assert [(s["ports"][0]["port"], [a["ip"] for a in s["addresses"]]) for s in subsets] == [
        (1, ["10.9.0.1"]),
        (2, ["10.9.0.2", "10.9.0.3"]),
    ]


def test_addresses_that_are_not_ready_are_published_where_that_is_asked_for(web: Rig) -> None:
    web.create(service("all", publishNotReadyAddresses=True, clusterIP="None"))
    run_pod(web, "a", "10.9.0.1", ready=False)
    (one,) = [one for one in slices(web) if one["metadata"]["ownerReferences"][0]["name"] == "all"]
    assert one["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}
    assert "service.kubernetes.io/headless" in one["metadata"]["labels"]
    assert web.get("endpoints", "all")["subsets"][0]["addresses"][0]["ip"] == "10.9.0.1"


def test_many_pods_are_in_slices_of_a_hundred(web: Rig) -> None:
    for number in range(101):
        run_pod(web, f"p{number}", f"10.9.1.{number}")
    assert sorted(len(one["endpoints"]) for one in slices(web)) == [1, 100]
    assert len(web.get("endpoints", "web")["subsets"][0]["addresses"]) == 101


def test_the_service_s_labels_are_the_slice_s_and_slices_of_others_stay(web: Rig) -> None:
    foreign = {"name": "mine", "labels": {"kubernetes.io/service-name": "web", KEEPER: "me"}}
    web.create({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": foreign, "addressType": "IPv4", "endpoints": []})  # fmt: skip
    web.patch(Key("services", "default", "web"), {"metadata": {"labels": {"team": None, "tier": "b"}}})
    web.settle()
    mine, ours = sorted(slices(web), key=lambda one: one["metadata"]["name"] != "mine")
    assert mine["metadata"]["labels"] == foreign["labels"]
    assert ours["metadata"]["labels"].get("team") is None
    assert ours["metadata"]["labels"]["tier"] == "b"


def test_what_somebody_deletes_comes_again_and_all_goes_with_the_service(web: Rig) -> None:
    run_pod(web, "a", "10.9.0.1")
    web.delete(Key(SLICES, "default", slices(web)[0]["metadata"]["name"]))
    web.delete(Key("endpoints", "default", "web"))
    web.settle()
    assert len(slices(web)[0]["endpoints"]) == 1
    assert web.get("endpoints", "web")["subsets"]
    web.delete(Key("services", "default", "web"))
    web.settle()
    assert slices(web) == []
    assert [one["metadata"]["name"] for one in web.list("endpoints")] == []


def test_endpoints_that_a_user_writes_are_mirrored(web: Rig) -> None:
    web.create(service("own", selector=None, ports=[{"name": "p", "port": 80}]))
    address = {"ip": "10.1.2.3", "hostname": "h"}
    subsets = [{"addresses": [address], "notReadyAddresses": [{"ip": "10.1.2.4"}], "ports": [{"port": 80}]}]
    meta = {"name": "own", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "1"}}
    web.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets})
    web.settle()
    one = next(one for one in slices(web) if one["metadata"]["ownerReferences"][0]["kind"] == "Endpoints")
    assert one["metadata"]["labels"][KEEPER] == "endpointslicemirroring-controller.k8s.io"
    assert one["metadata"]["annotations"] == {"kept": "1"}
    assert one["endpoints"] == [
        {"addresses": ["10.1.2.3"], "conditions": {"ready": True}, "hostname": "h"},
        {"addresses": ["10.1.2.4"], "conditions": {"ready": False}},
    ]
    assert one["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    web.patch(Key("endpoints", "default", "own"), {"subsets": [{"addresses": [address], "ports": [{"port": 81}]}]})
    web.settle()
    (again,) = [one for one in slices(web) if one["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"]
    assert (again["ports"][0]["port"], len(again["endpoints"])) == (81, 1)
    web.patch(Key("endpoints", "default", "own"), {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}})  # fmt: skip
    web.settle()
    assert [one["metadata"]["ownerReferences"][0]["kind"] for one in slices(web)] == ["Service"]


def test_traffic_stays_near_where_the_service_asks_for_it(web: Rig) -> None:
    run_pod(web, "a", "10.9.0.1")
    web.patch(Key("services", "default", "web"), {"spec": {"trafficDistribution": "PreferSameNode"}})
    web.settle()
    hints = {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n"}]}
    assert slices(web)[0]["endpoints"][0]["hints"] == hints
