"""kubectl, unmodified, reads: tables, forms, selectors, watches, describe, discovery, explain."""

from __future__ import annotations

import json
import re

import pytest
from gateway_server import RunningGateway, deployment, pod, running_status, served

__all__ = ["served"]


@pytest.fixture(scope="module", autouse=True)
def objects(served: RunningGateway) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
    }
    served.make(node, "nodes", "")
    info = {
        "kubeletVersion": "v1.37.1+raypod",
        "osImage": "Debian",
        "kernelVersion": "6.18",
        "containerRuntimeVersion": "r://1",
    }
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
        "nodeInfo": info,
    }
    served.set_status("nodes", "", "n1", status)
    served.make(pod("a", labels={"app": "x", "tier": "1"}), "pods")
    served.make(pod("b", labels={"app": "y"}), "pods")
    served.make(pod("c", labels={"app": "x"}), "pods", "kube-system")
    served.place("a", "n1")
    served.set_status("pods", "default", "a", running_status())
    served.make(deployment("web"), "deployments.apps")
    served.kubectl("create", "configmap", "settings", "--from-literal=k=v", "--from-literal=l=w")


def test_get_prints_the_tables_that_kubernetes_prints(served: RunningGateway) -> None:
    pods = served.kubectl("get", "pods").rows
    assert pods[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert pods[1][:4] == ["a", "1/1", "Running", "0"]
    assert pods[2][:4] == ["b", "0/1", "Pending", "0"]
    nodes = served.kubectl("get", "nodes").rows
    assert nodes[0] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert nodes[1][:3] == ["n1", "Ready", "control-plane"]
    assert served.kubectl("get", "cm", "settings").rows[1][:2] == ["settings", "2"]
    assert served.kubectl("get", "deploy").rows[1][:4] == ["web", "0/2", "0", "0"]
    assert served.kubectl("get", "ns", "default").rows[1][:2] == ["default", "Active"]
    assert served.kubectl("get", "svc").rows[1][:5] == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]


def test_wide_tables(served: RunningGateway) -> None:
    wide = served.kubectl("get", "pods", "-o", "wide")
    assert wide.rows[0][5:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert wide.rows[1][5:] == ["10.0.0.7", "n1", "<none>", "<none>"]
    assert served.kubectl("get", "nodes", "-o", "wide").rows[1][5:] == ["10.1.1.1", "<none>", "Debian", "6.18", "r://1"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [("name", "pod/a"), ("jsonpath={.metadata.name}", "a"), ("custom-columns=N:.metadata.name", "N")],
)
def test_other_forms(served: RunningGateway, form: str, expected: str) -> None:
    assert served.kubectl("get", "pod", "a", "-o", form).out.split()[0] == expected


def test_json_and_yaml(served: RunningGateway) -> None:
    shown = served.kubectl("get", "pod", "a", "-o", "json").json
    assert (shown["kind"], shown["status"]["podIP"], int(shown["metadata"]["resourceVersion"]) > 0) == (
        "Pod",
        "10.0.0.7",
        True,
    )
    listed = served.kubectl("get", "pods", "-o", "json").json
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    assert "kind: ConfigMap" in served.kubectl("get", "cm", "settings", "-o", "yaml").out


def test_all_namespaces_and_selectors(served: RunningGateway) -> None:
    def names(*args: str) -> list[str]:
        return [row[0] for row in served.kubectl("get", "pods", "--no-headers", *args).rows]

    assert [row[:2] for row in served.kubectl("get", "pods", "-A", "--no-headers").rows] == [
        ["default", "a"],
        ["default", "b"],
        ["kube-system", "c"],
    ]
    assert names("-l", "app=x") == ["a"]
    assert names("-l", "app in (x,y),!tier") == ["b"]
    assert names("--field-selector", "spec.nodeName=n1") == ["a"]
    assert names("--field-selector", "status.phase!=Running") == ["b"]
    assert names("--chunk-size=1") == ["a", "b"]


def test_sort_by_and_several_kinds(served: RunningGateway) -> None:
    rows = served.kubectl("get", "pods", "-A", "--sort-by=.metadata.name", "--no-headers").rows
    assert [row[1] for row in rows] == ["a", "b", "c"]
    assert served.kubectl("get", "pods,deploy", "-o", "name").out.split() == ["pod/a", "pod/b", "deployment.apps/web"]
    assert "deployment.apps/web" in served.kubectl("get", "all").out


def test_what_is_not_there(served: RunningGateway) -> None:
    assert served.kubectl("get", "pod", "zz", fails=True).err == 'Error from server (NotFound): pods "zz" not found\n'
    assert "doesn't have a resource type" in served.kubectl("get", "gadgets", fails=True).err
    assert served.kubectl("get", "pod", "zz", "--ignore-not-found").out == ""
    refused = served.kubectl("get", "pods", "--field-selector", "spec.nope=1", fails=True).err
    assert "field label not supported: spec.nope" in refused


def test_watch_shows_what_happens(served: RunningGateway) -> None:
    args = ("get", "pods", "-w", "--no-headers", "-l", "watched=yes", "--output-watch-events")
    served.make(pod("w1", labels={"watched": "yes"}), "pods")
    watching = served.start_kubectl(*args)
    try:
        assert watching.stdout is not None
        lines = [watching.stdout.readline().split()[:2]]
        served.make(pod("w2", labels={"watched": "yes"}), "pods")
        served.kubectl("label", "pod", "w2", "more=1")
        served.kubectl("label", "pod", "w1", "watched-")
        served.kubectl("delete", "pod", "w2", "--wait=false")
        lines += [watching.stdout.readline().split()[:2] for _ in range(4)]
    finally:
        watching.terminate()
        watching.communicate(timeout=10)
    served.kubectl("delete", "pod", "w1")
    assert lines == [["ADDED", "w1"], ["ADDED", "w2"], ["MODIFIED", "w2"], ["DELETED", "w1"], ["DELETED", "w2"]]


def test_watch_prints_tables(served: RunningGateway) -> None:
    watching = served.start_kubectl("get", "cm", "-w")
    try:
        assert watching.stdout is not None
        header = watching.stdout.readline().split()
        first = watching.stdout.readline().split()
    finally:
        watching.terminate()
        watching.communicate(timeout=10)
    assert (header, first[:2]) == (["NAME", "DATA", "AGE"], ["settings", "2"])


def test_describe(served: RunningGateway) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "a.1"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "a",
            "uid": _uid(served, "a"),
        },
        "reason": "Pulled",
        "message": "the image is here",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": "2026-11-23T10:00:00Z",
        "lastTimestamp": "2026-11-23T10:00:00Z",
    }
    served.make(event, "events")
    told = served.kubectl("describe", "pod", "a").out
    assert "Node:             n1" in told
    assert "the image is here" in told
    assert "Pulled" in served.kubectl("events", "--for", "pod/a").out
    assert "the image is here" in served.kubectl("get", "events").out
    assert "10.1.1.1" in served.kubectl("describe", "node", "n1").out
    for kind in ("deployment/web", "cm/settings", "ns/default", "svc/kubernetes", "sa/default"):
        assert "Name:" in served.kubectl("describe", kind).out


def _uid(served: RunningGateway, name: str) -> str:
    return str(served.kubectl("get", "pod", name, "-o", "jsonpath={.metadata.uid}").out)


def test_discovery(served: RunningGateway) -> None:
    resources = served.kubectl("api-resources", "--no-headers").rows
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in resources
    assert ["jobs", "batch/v1", "true", "Job"] in resources
    assert "apps/v1" in served.kubectl("api-versions").out.split()
    version = served.kubectl("version", "-o", "json").json["serverVersion"]
    assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "37", "v1.37.1+raypod")
    assert served.gateway.url in served.kubectl("cluster-info").out


def test_explain(served: RunningGateway) -> None:
    told = served.kubectl("explain", "pod.spec.containers.ports").out
    assert "containerPort\t<integer> -required-" in told
    assert "replicas" in served.kubectl("explain", "deployment", "--recursive").out
    assert 'field "nope" does not exist' in served.kubectl("explain", "pod.nope", fails=True).err


def test_explain_describes_also_by_version_2(served: RunningGateway) -> None:
    told = served.kubectl("explain", "pod.spec.containers.image").out
    assert "Container image name." in told
    told = served.kubectl("explain", "deployment.spec", "--output", "plaintext-openapiv2").out
    assert "Number of desired pods." in told and "replicas\t<integer>" in told
    told = served.kubectl("explain", "resourcequota.spec.hard").out
    assert "<map[string]Quantity>" in told


def test_who_am_i_and_may_i(served: RunningGateway) -> None:
    assert served.kubectl("auth", "can-i", "create", "pods").out == "yes\n"
    told = served.kubectl("auth", "whoami").out
    assert "system:masters" in told
    assert re.search(r"Extra: authentication.kubernetes.io/credential-id +\[X509SHA256=[0-9a-f]{64}\]", told)
    assert served.kubectl("auth", "can-i", "create", "pods", "--as=bob", fails=True).out == "no\n"
    assert 'User "bob" cannot list resource "pods"' in served.kubectl("get", "pods", "--as=bob", fails=True).err
    assert "*.*" in served.kubectl("auth", "can-i", "--list").out


def test_readiness_through_kubectl(served: RunningGateway) -> None:
    assert served.kubectl("get", "--raw", "/readyz?verbose").out.splitlines()[-1] == "readyz check passed"
    assert served.kubectl("get", "--raw", "/livez/ping").out == "ok"
    told = served.kubectl("get", "--raw", "/readyz?verbose&exclude=etcd&exclude=nope").out.splitlines()
    assert told == [
        "[+]ping ok",
        "[+]log ok",
        "[+]etcd excluded: ok",
        'warn: some health checks cannot be excluded: no matches for "nope"',
        "readyz check passed",
    ]
    assert json.loads(served.kubectl("get", "--raw", "/api/v1/nodes/n1").out)["kind"] == "Node"


def test_large_lists_come_in_pages(served: RunningGateway) -> None:
    objects = [pod(f"many-{i:04}") for i in range(1200)]
    for start in range(0, len(objects), 200):
        for obj in objects[start : start + 200]:
            served.make(obj, "pods", "kube-public")
    assert len(served.kubectl("get", "pods", "-n", "kube-public", "--no-headers").rows) == 1200
    gone = served.kubectl("delete", "pods", "--all", "-n", "kube-public", "--wait=false", timeout_seconds=60)
    assert gone.out.count("deleted") == 1200
