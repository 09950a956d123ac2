"""test/e2e/common/node, network and instrumentation as far as the API goes: config maps, secrets, pod templates, events,
limit ranges, services, endpoints, nodes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from api_client import Api, Json, config_map
from eventually import told
from remote_server import own_address

from actors.gateway.endpoints import tell_endpoints

_TEXT = base64.b64encode(b"value").decode()
_MICRO = "2017-09-19T13:49:16.000000Z"


def _kind_of(resource: str, value: str) -> Json:
    return {"data": {"key": base64.b64encode(value.encode()).decode() if resource == "secrets" else value}}


@pytest.mark.parametrize("resource", ["configmaps", "secrets"])
def test_an_empty_key_is_refused(api: Api, resource: str) -> None:
    """configmap.go, secrets.go."""
    api.post(resource, {"metadata": {"name": "empty-key"}, "data": {"": _TEXT}}).refused(422, "Invalid")


@pytest.mark.parametrize("resource", ["configmaps", "secrets"])
def test_a_config_map_or_secret_lives_is_patched_and_deleted(api: Api, resource: str) -> None:
    made = {"metadata": {"name": "test", "labels": {"test-static": "true"}}, **_kind_of(resource, "value")}
    api.post(resource, made).ok()
    watch = api.watch(resource, 20, labelSelector="test-static=true")
    told(watch, "ADDED")
    change = {"metadata": {"labels": {"test": "patched"}}, **_kind_of(resource, "value1")}
    api.patch("strategic", f"{resource}/test", change).ok()
    told(watch, "MODIFIED")
    found = api.get(f"{resource}/test").ok()
    assert found["data"] == change["data"] and found["metadata"]["labels"]["test"] == "patched"
    everywhere = [
        item["metadata"] for item in api.get(f"/api/v1/{resource}", labelSelector="test-static=true").json["items"]
    ]
    assert ("test", api.namespace) in [(item["name"], item["namespace"]) for item in everywhere]
    api.delete(resource, labelSelector="test-static=true").ok()
    told(watch, "DELETED")
    assert api.get(resource, labelSelector="test-static=true").names == []


@pytest.mark.parametrize("resource", ["configmaps", "secrets"])
def test_immutable_is_for_ever(api: Api, resource: str) -> None:
    """configmap_volume.go, secrets_volume.go: should be immutable if `immutable` field is set."""
    found = api.post(resource, {"metadata": {"name": "immutable"}, **_kind_of(resource, "one")}).ok()
    found = api.put(f"{resource}/immutable", {**found, **_kind_of(resource, "two")}).ok()
    found = api.put(f"{resource}/immutable", {**found, "immutable": True}).ok()
    api.put(f"{resource}/immutable", {**found, **_kind_of(resource, "three")}).refused(422, "Invalid")
    api.put(f"{resource}/immutable", {**found, "immutable": False}).refused(422, "Invalid")
    found["metadata"]["labels"] = {"label1": "value1"}
    api.put(f"{resource}/immutable", found).ok()
    api.delete(f"{resource}/immutable").ok()


def test_a_pod_template_lives_and_is_replaced(api: Api) -> None:
    """podtemplates.go."""
    template = {"spec": {"containers": [{"name": "nginx", "image": "nginx"}]}}
    labels = {"podtemplate-static": "true"}
    api.post("podtemplates", {"metadata": {"name": "nginx-pod-template", "labels": labels}, "template": template}).ok()
    assert api.get("/api/v1/podtemplates", labelSelector="podtemplate-static=true").names == ["nginx-pod-template"]
    patch = {
        "metadata": {"labels": {"podtemplate": "patched"}},
        "template": {"spec": {"containers": [{"name": "nginx"}]}},
    }
    patched = api.patch("strategic", "podtemplates/nginx-pod-template", patch).ok()
    assert patched["metadata"]["labels"]["podtemplate"] == "patched"
    assert patched["template"]["spec"]["containers"][0]["image"] == "nginx"
    patched["metadata"]["annotations"] = {"updated": "true"}
    assert api.put("podtemplates/nginx-pod-template", patched).ok()["metadata"]["annotations"] == {"updated": "true"}
    api.delete("podtemplates/nginx-pod-template").ok()
    assert api.get("podtemplates", labelSelector="podtemplate-static=true").names == []


def test_the_life_of_a_core_event(api: Api) -> None:
    """core_events.go; its times are null, its involvedObject has a namespace alone."""
    event = {
        "metadata": {"name": "event-test", "labels": {"testevent-constant": "true"}},
        "involvedObject": {"namespace": api.namespace},
        "reason": "Test",
        "message": "This is a test event",
        "type": "Normal",
        "count": 1,
        "source": {},
        "firstTimestamp": "2017-09-19T13:49:16Z",
        "lastTimestamp": "2017-09-19T13:49:16Z",
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    }
    api.post("events", event).ok()
    query = {"labelSelector": "testevent-constant=true"}
    assert "event-test" in api.get("/api/v1/events", **query).names
    api.patch("strategic", "events/event-test", {"message": "This is a test event - patched"}).ok()
    found = api.get("events/event-test").ok()
    assert found["message"] == "This is a test event - patched"
    found["series"] = {"count": 100, "lastObservedTime": _MICRO}
    updated = api.put("events/event-test", found).ok()
    assert updated["series"] == {"count": 100, "lastObservedTime": _MICRO}
    api.delete("events/event-test").ok()
    assert api.get("events", **query).names == []
    for number in range(3):
        api.post("events", {**event, "metadata": {"name": f"set-{number}", "labels": {"testevent-set": "true"}}}).ok()
    api.delete("events", labelSelector="testevent-set=true").ok()
    assert api.get("events", labelSelector="testevent-set=true").names == []


def test_the_life_of_an_event(api: Api) -> None:
    """events.go: of events.k8s.io, seen in both groups."""
    root = f"/apis/events.k8s.io/v1/namespaces/{api.namespace}/events"

    def event(name: str, label: str) -> Json:
        return {
            "metadata": {"name": name, "labels": {label: "true"}},
            "regarding": {"namespace": api.namespace},
            "eventTime": _MICRO,
            "note": f"This is {name}",
            "action": "Do",
            "reason": "Test",
            "type": "Normal",
            "reportingController": "test-controller",
            "reportingInstance": "test-node",
            "deprecatedSource": {},
            "deprecatedFirstTimestamp": None,
            "deprecatedLastTimestamp": None,
        }

    api.post(root, event("event-test", "testevent-constant")).ok()
    query = {"labelSelector": "testevent-constant=true"}
    for path in (root, "/apis/events.k8s.io/v1/events", "events", "/api/v1/events"):
        assert "event-test" in api.get(path, **query).names
    series = {"count": 2, "lastObservedTime": "2017-09-19T13:49:11.000000Z"}
    api.patch("strategic", f"{root}/event-test", {"series": series}).ok()
    found = api.get(f"{root}/event-test").ok()
    assert found["series"] == series
    found["series"] = {"count": 100, "lastObservedTime": _MICRO}
    api.put(f"{root}/event-test", found).ok()
    assert api.get(f"{root}/event-test").ok()["series"] == found["series"]
    api.delete(f"{root}/event-test").ok()
    assert api.get(root, **query).names == api.get("events", **query).names == []
    for number in range(3):
        api.post(root, event(f"set-{number}", "testevent-set")).ok()
    api.delete(root, labelSelector="testevent-set=true").ok()
    assert api.get("events", labelSelector="testevent-set=true").names == []


def test_a_limit_range_gives_defaults_and_limits(api: Api) -> None:
    """limit_range.go."""

    def amounts(cpu: str, memory: str, disk: str) -> Json:
        return {"cpu": cpu, "memory": memory, "ephemeral-storage": disk}

    limit = {
        "type": "Container",
        "min": amounts("50m", "100Mi", "100Gi"),
        "max": amounts("500m", "500Mi", "500Gi"),
        "default": amounts("500m", "500Mi", "500Gi"),
        "defaultRequest": amounts("100m", "200Mi", "200Gi"),
    }
    watch = api.watch("limitranges", 20)
    made = api.post("limitranges", {"metadata": {"name": "limit-range"}, "spec": {"limits": [limit]}}).ok()
    told(watch, "ADDED")
    assert api.get("limitranges/limit-range").ok()["spec"] == made["spec"]

    def pod(name: str, requests: Json, limits: Json) -> Json:
        container = {"name": "pause", "image": "pause", "resources": {"requests": requests, "limits": limits}}
        return {"metadata": {"name": name}, "spec": {"containers": [container]}}

    whole = api.post("pods", pod("pod-no-resources", {}, {})).ok()["spec"]["containers"][0]["resources"]
    assert whole == {"requests": limit["defaultRequest"], "limits": limit["default"]}
    part = pod("pod-partial-resources", {"cpu": "", "memory": "150Mi", "ephemeral-storage": "150Gi"}, {"cpu": "300m"})
    del part["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    found = api.post("pods", part).ok()["spec"]["containers"][0]["resources"]
    assert found["requests"] == amounts("300m", "150Mi", "150Gi"), "an explicit limit stands for the request"
    assert found["limits"] == amounts("300m", "500Mi", "500Gi")
    api.post("pods", pod("too-little", amounts("10m", "50Mi", "50Gi"), {})).refused(403, "Forbidden")
    api.post("pods", pod("too-much", amounts("600m", "600Mi", "600Gi"), {})).refused(422, "Invalid")
    api.post("pods", pod("too-large", {}, amounts("600m", "600Mi", "600Gi"))).refused(403, "Forbidden")
    found = api.get("limitranges/limit-range").ok()
    found["spec"]["limits"][0]["min"] = amounts("9m", "49Mi", "49Gi")
    api.put("limitranges/limit-range", found).ok()
    api.post("pods", pod("pod-little", amounts("10m", "50Mi", "50Gi"), {})).ok()
    api.delete("limitranges/limit-range", {"gracePeriodSeconds": 30}).ok()
    api.post("pods", pod("pod-large", amounts("600m", "600Mi", "600Gi"), {})).ok()


def test_the_life_of_a_services_status(api: Api) -> None:
    """service.go: should complete a service status lifecycle."""
    labels = {"test-service-static": "true"}
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}]
    service = {"metadata": {"name": "svc", "labels": labels}, "spec": {"type": "LoadBalancer", "ports": ports}}
    api.post("services", service).ok()
    watch = api.watch("services", 20, labelSelector="test-service-static=true")
    told(watch, "ADDED")
    assert api.get("services/svc/status").ok()["kind"] == "Service"
    balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": balancer}
    patched = api.patch("merge", "services/svc/status", patch).ok()
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    found = told(watch, "MODIFIED")
    assert found["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
    condition = {
        "type": "StatusUpdate",
        "status": "True",
        "reason": "E2E",
        "message": "Set from e2e test",
        "lastTransitionTime": None,
    }
    patched["status"]["conditions"] = [condition]
    updated = api.put("services/svc/status", patched).ok()
    assert updated["status"]["conditions"][0]["message"] == "Set from e2e test"
    api.patch("strategic", "services/svc", {"metadata": {"labels": {"test-service": "patched"}}}).ok()
    told(watch, "MODIFIED", lambda obj: obj["metadata"]["labels"].get("test-service") == "patched")
    api.delete("services/svc").ok()
    told(watch, "DELETED")


def test_services_are_deleted_as_a_collection_and_found_everywhere(api: Api) -> None:
    for number in range(3):
        labels = {"e2e_service": "deletecollection", "n": str(number)} if number else {}
        spec = {"ports": [{"port": 80}], "type": ("ClusterIP", "ClusterIP", "NodePort")[number]}
        api.post("services", {"metadata": {"name": f"e2e-svc-{number}", "labels": labels}, "spec": spec}).ok()
    assert "kubernetes" in api.get("/api/v1/services").names
    api.delete("services", labelSelector="e2e_service=deletecollection").ok()
    assert api.get("services").names == ["e2e-svc-0"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ExternalName", "ClusterIP"),
        ("ExternalName", "NodePort"),
        ("ClusterIP", "ExternalName"),
        ("NodePort", "ExternalName"),
    ],
)
def test_a_services_type_changes(api: Api, before: str, after: str) -> None:
    ports = [{"port": 80, "name": "http", "protocol": "TCP", "targetPort": 9376}]
    specs: dict[str, Json] = {
        "ExternalName": {"type": "ExternalName", "externalName": "foo.example.com"},
        "ClusterIP": {"type": "ClusterIP", "ports": ports},
        "NodePort": {"type": "NodePort", "ports": ports},
    }
    found = api.post("services", {"metadata": {"name": "svc"}, "spec": specs[before]}).ok()
    found["spec"] |= specs[after]
    if after == "ExternalName":
        found["spec"]["clusterIP"] = ""
    else:
        found["spec"]["externalName"] = ""
    changed = api.put("services/svc", found).ok()["spec"]
    assert bool(changed.get("clusterIP")) == (after != "ExternalName")
    assert bool(changed.get("ports", [{}])[0].get("nodePort")) == (after == "NodePort")


def test_the_life_of_endpoints(api: Api) -> None:
    """service.go: should test the lifecycle of an Endpoint."""
    subset = {"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    obj = {"metadata": {"name": "testservice", "labels": {"test-endpoint-static": "true"}}, "subsets": [subset]}
    api.post("endpoints", obj).ok()
    watch = api.watch("endpoints", 20, labelSelector="test-endpoint-static=true")
    told(watch, "ADDED")
    found = api.get("endpoints/testservice").ok()
    found["metadata"]["labels"]["test-service"] = "updated"
    api.put("endpoints/testservice", found).ok()
    told(watch, "MODIFIED")
    patch = {
        "metadata": {"labels": {"test-service": "patched"}},
        "subsets": [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080}]}],
    }
    api.patch("strategic", "endpoints/testservice", patch).ok()
    found = told(watch, "MODIFIED")
    assert found["metadata"]["labels"]["test-service"] == "patched"
    assert (
        found["subsets"][0]["addresses"][0]["ip"] == "10.0.0.25"
        and found["subsets"][0]["ports"][0]["name"] == "http-test"
    )
    api.delete("endpoints", labelSelector="test-endpoint-static=true").ok()
    told(watch, "DELETED")


def test_the_api_server_is_a_service(api: Api) -> None:
    """endpointslice.go: should have Endpoints and EndpointSlices pointing to API Server."""
    served = api.served
    served.run(tell_endpoints(served.store, own_address(), served.gateway.port))
    root = "/api/v1/namespaces/default"
    assert api.get(f"{root}/services/kubernetes").ok()["spec"]["clusterIP"]
    endpoints = api.get(f"{root}/endpoints/kubernetes").ok()["subsets"]
    assert endpoints and endpoints[0]["addresses"]
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    found = api.get(slices, labelSelector="kubernetes.io/service-name=kubernetes").json["items"]
    assert found and found[0]["endpoints"] and found[0]["ports"]


def test_the_life_of_a_node(api: Api) -> None:
    """node_lifecycle.go."""
    name = f"e2e-fake-node-{api.namespace}"
    condition = {"type": "Ready", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    status = {"phase": "Running", "conditions": [condition]}
    made = api.post("/api/v1/nodes", {"metadata": {"name": name}, "status": status}).ok()
    assert made["status"]["conditions"][0]["message"] == "Set from e2e test"
    path = f"/api/v1/nodes/{name}"
    patched = api.patch("strategic", path, {"metadata": {"labels": {name: "patched"}}}).ok()
    assert patched["metadata"]["labels"][name] == "patched"
    assert api.get("/api/v1/nodes", labelSelector=f"{name}=patched").names == [name]

    def update() -> Any:
        found = api.get(path).ok()
        found["metadata"]["labels"][name] = "updated"
        return api.put(path, found)

    assert any(update().code == 200 for _ in range(5))
    api.delete(path).ok()
    assert api.get("/api/v1/nodes", labelSelector=f"{name}=updated").names == []


def test_a_config_map_that_is_too_large_is_refused(api: Api) -> None:
    assert api.post("configmaps", config_map("large", data="x" * (1 << 20) + "x")).code in (413, 422)
