"""Where admission webhooks are found, and whose writes they are asked about beside users'."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from gateway_server import RunningGateway, deployment, pod, running_status, served
from remote_server import (
    Authority,
    own_address,
    patch,
    reviewing,
    serving,
    webhook,
)
from webhook_support import MAPS, authority, clean, config_map, install, post, url_client, wait_until

from actors.api.key import Key
from actors.controllers.actor import ControllersActor
from actors.controllers.config import ControllersConfig
from actors.reconcile.actions import Patch
from actors.scheduler.actor import SchedulerActor
from actors.scheduler.config import SchedulerConfig

__all__ = ["authority", "clean", "served"]
pytestmark = pytest.mark.usefixtures("clean")


def service(name: str, port: int, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 443, "targetPort": port}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


def test_a_service_is_found_through_its_endpoints(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("hook.default.svc"), reviewing(lambda request: {})) as server:
        client = {"service": {"namespace": "default", "name": "hook", "path": "/ask"}, "caBundle": authority.bundle}
        install(served, "Validating", webhook("svc.example.com", client))
        code, _, status = post(served, MAPS, config_map("early"))
        assert code == 500
        why = 'failed to call webhook: Post "https://hook.default.svc:443/ask?timeout=10s": service "hook" not found'
        assert why in status["message"]
        served.kubectl("create", "-f", "-", stdin=json.dumps(service("hook", server.port)))
        code, _, status = post(served, MAPS, config_map("early"))
        assert 'no endpoints available for service "hook"' in status["message"]
        subsets = [{"addresses": [{"ip": own_address()}], "ports": [{"port": server.port}]}]
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "hook"}, "subsets": subsets}
        served.make(endpoints, "endpoints")
        assert post(served, MAPS, config_map("late"))[0] == 201
        assert server.requests[0][1] == "/ask?timeout=10s"
        assert server.requests[0][2]["host"] == "hook.default.svc"


def test_a_service_is_found_through_its_slices(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("sliced.default.svc"), reviewing(lambda request: {})) as server:
        client = {"service": {"namespace": "default", "name": "sliced"}, "caBundle": authority.bundle}
        served.kubectl("create", "-f", "-", stdin=json.dumps(service("sliced", server.port)))
        endpoint_slice = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "sliced-x", "labels": {"kubernetes.io/service-name": "sliced"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": [own_address()], "conditions": {"ready": True}},
                {"addresses": ["192.0.2.99"], "conditions": {"ready": False}},
            ],
            "ports": [{"port": server.port, "name": ""}],
        }
        served.make(endpoint_slice, "endpointslices.discovery.k8s.io")
        install(served, "Validating", webhook("svc.example.com", client))
        for number in range(5):
            assert post(served, MAPS, config_map(f"sliced-{number}"))[0] == 201
        assert len(server.requests) == 5


def test_the_pods_that_controllers_make_are_asked_about(served: RunningGateway, authority: Authority) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        if "refuse" in (request["object"]["metadata"].get("labels") or {}).get("app", ""):
            return {"allowed": False, "status": {"message": "not here"}}
        return patch({"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "host"}})

    with serving(authority.issue("127.0.0.1"), reviewing(decide)) as server:
        install(served, "Mutating", webhook("pods.example.com", url_client(server, authority), ("pods",)))
        controllers = ControllersActor(ControllersConfig(), served.store)
        running = asyncio.run_coroutine_threadsafe(controllers.run(), served.loop)
        try:
            served.kubectl("create", "-f", "-", stdin=json.dumps(deployment("injected", replicas=2)))
            served.kubectl("create", "-f", "-", stdin=json.dumps(deployment("refused", replicas=1)))

            def pods(app: str) -> list[Any]:
                return list(served.kubectl("get", "pods", "-l", f"app={app}", "-o", "json").json["items"])

            wait_until(lambda: len(pods("injected")) == 2)
            for item in pods("injected"):
                assert [container["name"] for container in item["spec"]["containers"]] == ["main", "sidecar"]
            assert server.reviews[0]["request"]["userInfo"]["username"] == "system:kube-controller-manager"
            wait_until(lambda: "denied the request: not here" in served.kubectl("get", "events", "-o", "wide").out)
            assert pods("refused") == []
        finally:
            served.run(controllers.stop())
            running.result(10)
            served.kubectl("delete", "deployment", "injected", "refused")


def test_a_connection_can_be_refused(served: RunningGateway, authority: Authority) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"message": f"{request['subResource']} is not for you"}}

    with serving(authority.issue("127.0.0.1"), reviewing(refuse)) as server:
        hook = webhook("attach.example.com", url_client(server, authority), ("pods/attach", "pods/exec"))
        hook["rules"][0]["operations"] = ["CONNECT"]
        served.kubectl("create", "-f", "-", stdin=json.dumps(pod("attached")))
        served.place("attached", "n1")
        served.set_status("pods", "default", "attached", running_status())
        install(served, "Validating", hook)
        shown = served.kubectl("attach", "attached", "-i", fails=True).err
        assert 'admission webhook "attach.example.com" denied the request: attach is not for you' in shown
        asked = server.reviews[0]["request"]
        assert (asked["operation"], asked["subResource"], asked["name"]) == ("CONNECT", "attach", "attached")
        assert asked["kind"] == {"group": "", "version": "v1", "kind": "PodAttachOptions"}
        assert asked["object"]["container"] == "main"
        assert asked["oldObject"] is None
        served.kubectl("exec", "attached", "--", "date", fails=True)
        assert server.reviews[-1]["request"]["object"]["command"] == ["date"]


def test_the_schedulers_binds_are_asked_about(served: RunningGateway, authority: Authority) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        return patch(
            {"op": "add", "path": "/metadata/annotations", "value": {"placed": request["object"]["target"]["name"]}}
        )

    with serving(authority.issue("127.0.0.1"), reviewing(decide)) as server:
        hook = webhook("bind.example.com", url_client(server, authority), ("pods/binding",))
        install(served, "Mutating", hook)
        resources = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        status = {"capacity": resources, "allocatable": resources, "conditions": [{"type": "Ready", "status": "True"}]}
        served.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n9"}, "status": status}, "nodes", "")
        served.act(Patch(key=Key("nodes", "", "n9"), patch={"spec": {"taints": []}}))
        served.kubectl("create", "-f", "-", stdin=json.dumps(pod("bound")))
        scheduler = SchedulerActor(SchedulerConfig(), served.store)
        running = asyncio.run_coroutine_threadsafe(scheduler.run(), served.loop)
        try:
            jsonpath = "jsonpath={.spec.nodeName} {.metadata.annotations.placed}"
            wait_until(lambda: served.kubectl("get", "pod", "bound", "-o", jsonpath).out == "n9 n9")
            asked = server.reviews[0]["request"]
            assert asked["kind"]["kind"] == "Binding"
            assert asked["userInfo"]["username"] == "system:kube-scheduler"
        finally:
            served.run(scheduler.stop())
            running.result(10)
