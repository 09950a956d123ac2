"""Services, node ports and the parts of pods that have a way in of their own, as kubectl asks for them."""

from __future__ import annotations

import json

from gateway_server import RunningGateway, pod, running_status, served
from kubernetes import client, config

__all__ = ["served"]


def test_services_have_addresses(served: RunningGateway) -> None:
    rows = served.kubectl("get", "service", "kubernetes", "--no-headers").rows
    assert rows[0][:5] == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]
    served.kubectl("create", "service", "nodeport", "np", "--tcp=80:8080")
    shown = served.kubectl("get", "service", "np", "-o", "json").json["spec"]
    assert shown["clusterIP"].startswith("10.96.") and shown["ports"][0]["nodePort"] >= 30_000
    held = served.kubectl("get", "ipaddresses", "--no-headers").rows
    assert [shown["clusterIP"], "services/default/np"] in [row[:2] for row in held]
    served.kubectl("delete", "service", "np")
    assert shown["clusterIP"] not in served.kubectl("get", "ipaddresses", "-o", "name").out
    taken = served.kubectl("create", "service", "clusterip", "bad", "--tcp=80", "--clusterip=10.96.0.1", fails=True)
    assert "provided IP is already allocated" in taken.err
    assert served.kubectl("get", "servicecidrs", "--no-headers").rows[0][:2] == ["kubernetes", "10.96.0.0/16"]


def test_expose_and_apply_again(served: RunningGateway) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "again"},
        "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]},
    }
    served.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    first = served.kubectl("get", "service", "again", "-o", "json").json
    assert served.kubectl("apply", "-f", "-", stdin=json.dumps(manifest)).out == "service/again unchanged\n"
    served.kubectl("replace", "-f", "-", stdin=json.dumps(manifest))
    after = served.kubectl("get", "service", "again", "-o", "json").json
    assert after["spec"] == first["spec"]
    served.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))
    assert served.kubectl("get", "service", "again", "-o", "json").json["spec"] == first["spec"]


def test_debug_and_resize(served: RunningGateway) -> None:
    served.make(pod("busy"), "pods")
    served.place("busy", "node-1")
    served.set_status("pods", "default", "busy", running_status())
    served.kubectl(
        "debug", "busy", "--image=busybox:1", "--container=debugger", "--target=main", "--attach=false", "-it"
    )
    shown = served.kubectl("get", "pod", "busy", "-o", "json").json["spec"]["ephemeralContainers"]
    assert [(c["name"], c["image"], c["stdin"]) for c in shown] == [("debugger", "busybox:1", True)]
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}]}}
    served.kubectl("patch", "pod", "busy", "--subresource=resize", "-p", json.dumps(patch), fails=True)  # another class
    resources = served.kubectl("get", "--raw", "/api/v1").json["resources"]
    below = {row["name"]: row["verbs"] for row in resources if row["name"].startswith("pods/")}
    assert below["pods/resize"] == below["pods/ephemeralcontainers"] == ["get", "patch", "update"]


def test_the_official_client_replaces_a_service(served: RunningGateway) -> None:
    config.load_kube_config(str(served.gateway.kubeconfig))
    core = client.CoreV1Api()
    body = client.V1Service(
        metadata=client.V1ObjectMeta(name="typed"),
        spec=client.V1ServiceSpec(type="ExternalName", external_name="example.com"),
    )
    made = core.create_namespaced_service("default", body)
    assert made.spec.cluster_ip is None
    made.spec.type, made.spec.external_name = "ClusterIP", None
    made.spec.ports = [client.V1ServicePort(port=80)]
    changed = core.replace_namespaced_service("typed", "default", made)
    assert changed.spec.cluster_ip.startswith("10.96.")
    core.delete_namespaced_service("typed", "default")
