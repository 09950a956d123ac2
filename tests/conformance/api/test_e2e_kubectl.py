"""Kubernetes' test/e2e/kubectl/kubectl.go, with its commands and what it looks for in their output.

What needs a container that really runs (logs, exec, cp, port-forward) is in tests/e2e: test_kubectl_logs, _exec, _attach,
_port_forward and test_cli_kubectl.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_server import Output
from living_cluster import Living, eventually
from workload_client import AGNHOST, NEW_WEB, PAUSE, WEB, Workloads

Json = dict[str, Any]
Kube = Callable[..., Output]
PRIMARY = {"app": "agnhost", "role": "primary"}


@pytest.fixture
def kube(work: Workloads) -> Kube:
    """kubectl in the namespace of the test."""

    def run(*words: str, stdin: Any = "", fails: bool | None = False) -> Output:
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        return work.living.kubectl(f"--namespace={work.namespace}", *words, stdin=text, fails=fails)

    return run


def controller(name: str = "agnhost-primary", replicas: int = 1, image: str = AGNHOST) -> Json:
    """agnhost-primary-controller.json"""
    container = {"name": name, "image": image, "args": ["guestbook"], "ports": [{"name": "srv", "containerPort": 6379}]}
    spec = {
        "replicas": replicas,
        "selector": PRIMARY,
        "template": {"metadata": {"labels": PRIMARY}, "spec": {"containers": [container]}},
    }
    metadata = {"name": name, "labels": PRIMARY}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec}


def service(name: str = "agnhost-primary", port: int = 6379, target: Any = "srv") -> Json:
    spec = {"ports": [{"port": port, "targetPort": target}], "selector": PRIMARY}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": PRIMARY}, "spec": spec}


def nautilus(replicas: int = 2) -> Json:
    """nautilus-rc.yaml"""
    labels = {"name": "update-demo"}
    container = {"name": "update-demo", "image": NEW_WEB, "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    spec = {
        "replicas": replicas,
        "selector": {**labels, "version": "nautilus"},
        "template": {
            "metadata": {"labels": {**labels, "version": "nautilus"}},
            "spec": {"containers": [container]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "update-demo-nautilus"},
        "spec": spec,
    }


def checks(text: str, *rows: tuple[str, ...]) -> None:
    """Each row's words stand in one line, in order, each row after the one before (checkOutput)."""
    lines = iter(text.splitlines())
    for row in rows:
        pattern = ".*".join(map(re.escape, row))
        assert any(re.search(pattern, line) for line in lines), f"no {row} where it should be in\n{text}"


def pause_pod() -> Json:
    spec = {"containers": [{"name": "pause", "image": PAUSE}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pause", "labels": {"name": "pause"}}, "spec": spec}


def shown_names(kube: Kube) -> list[str]:
    """As the test reads the running pods of the demo, by a template."""
    form = (
        'template={{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}'
        '{{if (and (eq .name "update-demo") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}'
    )
    names = kube(
        "get",
        "pods",
        "-o",
        "template",
        "--template={{range.items}}{{.metadata.name}} {{end}}",
        "-l",
        "name=update-demo",
    )
    return [name for name in names.out.split() if kube("get", "pods", name, "-o", form).out == "true"]


def test_a_replication_controller_is_created_and_stopped(work: Workloads, kube: Kube) -> None:
    """Update Demo should create and stop a replication controller; should scale a replication controller"""
    kube("create", "-f", "-", stdin=nautilus())
    work.running(2, "name=update-demo")
    assert len(shown_names(kube)) == 2
    for count in (1, 2):
        kube("scale", "rc", "update-demo-nautilus", f"--replicas={count}", "--timeout=5m")
        work.running(count, "name=update-demo")
    kube("delete", "--grace-period=0", "--force", "-f", "-", stdin=nautilus())
    work.running(0, "name=update-demo")
    assert kube("get", "rc,svc", "-l", "name=update-demo", "--no-headers").out == ""


def test_versions_and_cluster_info(kube: Kube) -> None:
    """api-versions should check if v1 is in available api versions; version should check is all data is printed;
    cluster-info should check if Kubernetes control plane services is included in cluster-info; dump succeeds"""
    assert "v1" in kube("api-versions").out.split()
    said = kube("version").out
    for item in ("Client Version: ", "Server Version: "):
        assert re.search(item + r"v\d\.\d+\.[\d\w\-.+]+", said), said
    plain = re.sub(r"\x1b\[[0-9;]*m", "", kube("cluster-info").out)
    assert re.search(r"Kubernetes control plane is running at https://127\.0\.0\.1:\d+", plain)
    assert "ReplicationControllerList" in kube("cluster-info", "dump").out


def test_describe(work: Workloads, kube: Kube) -> None:
    """describe should check if kubectl describe prints relevant information for rc and pods"""
    kube("create", "-f", "-", stdin=controller())
    kube("create", "-f", "-", stdin=service())
    (pod,) = work.running(1, "app=agnhost")
    ns = work.namespace
    checks(
        kube("describe", "pod", pod["metadata"]["name"]).out,
        ("Name:", "agnhost-primary-"),
        ("Namespace:", ns),
        ("Node:",),
        ("Labels:", "app=agnhost"),
        ("role=primary",),
        ("Annotations:",),
        ("Status:", "Running"),
        ("IP:",),
        ("Controlled By:", "ReplicationController/agnhost-primary"),
        ("Image:", AGNHOST),
        ("State:", "Running"),
        ("QoS Class:", "BestEffort"),
    )
    checks(
        kube("describe", "rc", "agnhost-primary").out,
        ("Name:", "agnhost-primary"),
        ("Namespace:", ns),
        ("Selector:", "app=agnhost,role=primary"),
        ("Labels:", "app=agnhost"),
        ("role=primary",),
        ("Annotations:",),
        ("Replicas:", "1 current", "1 desired"),
        ("Pods Status:", "1 Running", "0 Waiting", "0 Succeeded", "0 Failed"),
        ("Pod Template:",),
        ("Image:", AGNHOST),
        ("Events:",),
        ("SuccessfulCreate", "Created pod: agnhost-primary-"),
    )
    checks(
        kube("describe", "service", "agnhost-primary").out,
        ("Name:", "agnhost-primary"),
        ("Namespace:", ns),
        ("Labels:", "app=agnhost"),
        ("role=primary",),
        ("Annotations:",),
        ("Selector:", "app=agnhost", "role=primary"),
        ("Type:", "ClusterIP"),
        ("IP:",),
        ("Port:", "<unset>", "6379/TCP"),
        ("Endpoints:",),
        ("Session Affinity:", "None"),
    )
    checks(
        kube("describe", "node", "worker-1").out,
        ("Name:", "worker-1"),
        ("Labels:",),
        ("Annotations:",),
        ("CreationTimestamp:",),
        ("Conditions:",),
        ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"),
        ("Addresses:",),
        ("Capacity:",),
    )
    checks(kube("describe", "namespace", ns).out, ("Name:", ns), ("Labels:",), ("Annotations:",), ("Status:", "Active"))


def test_describe_a_cron_job(kube: Kube) -> None:
    """describe should check if kubectl describe prints relevant information for cronjob"""
    container = {"name": "test", "image": "busybox", "args": ["/bin/true"]}
    pod = {"spec": {"containers": [container], "restartPolicy": "OnFailure"}}
    spec = {
        "schedule": "*/1 * * * *",
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "startingDeadlineSeconds": 30,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {"spec": {"template": pod}},
    }
    kube(
        "create",
        "-f",
        "-",
        stdin={"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "cronjob-test"}, "spec": spec},
    )
    checks(
        kube("describe", "cronjob", "cronjob-test").out,
        ("Name:", "cronjob-test"),
        ("Namespace:",),
        ("Labels:",),
        ("Annotations:",),
        ("Schedule:", "*/1 * * * *"),
        ("Concurrency Policy:", "Allow"),
        ("Suspend:", "False"),
        ("Successful Job History Limit:", "3"),
        ("Failed Job History Limit:", "1"),
        ("Starting Deadline Seconds:", "30s"),
        ("Selector:",),
        ("Parallelism:",),
        ("Completions:",),
    )


def test_expose(work: Workloads, kube: Kube) -> None:
    """expose should create services for rc"""
    kube("create", "-f", "-", stdin=controller())
    work.running(1, "app=agnhost")
    kube("expose", "rc", "agnhost-primary", "--name=rm2", "--port=1234", "--target-port=6379")
    kube("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    for name, port in (("rm2", 1234), ("rm3", 2345)):
        spec = work.get(f"services/{name}").ok()["spec"]
        (row,) = spec["ports"]
        assert (row["port"], row["targetPort"], spec["selector"]) == (port, 6379, PRIMARY)
        eventually(f"endpoints of {name}", lambda name=name: exposed(work, name) == [6379])  # type: ignore[misc]  # of a default in a lambda


def exposed(work: Workloads, service: str) -> list[int]:
    """The ports of its one endpoint."""
    found = work.items(
        f"/apis/discovery.k8s.io/v1/namespaces/{work.namespace}/endpointslices", f"kubernetes.io/service-name={service}"
    )
    return [port["port"] for one in found if len(one["endpoints"]) == 1 for port in one["ports"]]


def test_label(work: Workloads, kube: Kube) -> None:
    """label should update the label on a resource"""
    kube("create", "-f", "-", stdin=pause_pod())
    work.running(1, "name=pause")
    kube("label", "pods", "pause", "testing-label=testing-label-value")
    assert "testing-label-value" in kube("get", "pod", "pause", "-L", "testing-label").out
    kube("label", "pods", "pause", "testing-label-")
    assert "testing-label-value" not in kube("get", "pod", "pause", "-L", "testing-label").out


def test_patch(work: Workloads, kube: Kube) -> None:
    """patch should add annotations for pods in rc"""
    kube("create", "-f", "-", stdin=controller())
    (pod,) = work.running(1, "app=agnhost")
    kube("patch", "pod", pod["metadata"]["name"], "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    (pod,) = work.running(1, "app=agnhost")
    assert pod["metadata"]["annotations"]["x"] == "y"


def test_run_replace_and_dry_run(work: Workloads, kube: Kube) -> None:
    """run pod should create a pod from an image when restart is Never; replace should update a single-container pod's
    image; server-side dry-run should check if kubectl can dry-run update Pods"""
    name = "e2e-test-httpd-pod"
    kube("run", name, "--restart=Never", "--pod-running-timeout=2m0s", f"--image={WEB}")
    made = work.get(f"pods/{name}").ok()
    assert [c["image"] for c in made["spec"]["containers"]] == [WEB]
    assert made["spec"]["restartPolicy"] == "Never"
    kube("delete", "pods", name)
    kube("run", name, f"--image={WEB}", "--pod-running-timeout=2m0s", f"--labels=run={name}")
    work.running(1, f"run={name}")
    shown = kube("get", "pod", name, "-o", "json").out
    patch = {"spec": {"containers": [{"name": name, "image": NEW_WEB}]}}
    kube("patch", "pod", name, "-p", json.dumps(patch), "--dry-run=server")
    assert work.get(f"pods/{name}").ok()["spec"]["containers"][0]["image"] == WEB
    kube("replace", "-f", "-", stdin=shown.replace(WEB, NEW_WEB, 1))
    assert work.get(f"pods/{name}").ok()["spec"]["containers"][0]["image"] == NEW_WEB
    kube("delete", "pods", name)
    work.gone(f"pods/{name}")


def test_diff(kube: Kube) -> None:
    """diff should check if kubectl diff finds a difference for Deployments"""
    template = {"metadata": {"labels": {"app": "httpd"}}, "spec": {"containers": [{"name": "httpd", "image": WEB}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "httpd"}}, "template": template}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "httpd-deployment"}, "spec": spec}
    kube("create", "-f", "-", stdin=obj)
    declared = json.dumps(obj).replace(WEB, NEW_WEB)
    said = kube("diff", "-f", "-", stdin=declared, fails=None)
    assert said.code == 1
    assert any(line.startswith("-") and WEB in line for line in said.out.splitlines())
    assert any(line.startswith("+") and NEW_WEB in line for line in said.out.splitlines())


def test_apply(work: Workloads, kube: Kube) -> None:
    """apply should apply a new configuration to an existing RC; should reuse port when apply to an existing SVC;
    apply set/view last-applied"""
    kube("create", "-f", "-", stdin=controller())
    kube(
        "apply",
        "-f",
        "-",
        stdin=controller() | {"metadata": {"name": "agnhost-primary", "labels": {"x": "kubectl-apply"}}},
    )
    work.until(
        "replicationcontrollers/agnhost-primary",
        "applied",
        lambda rc: rc["metadata"]["labels"] == PRIMARY | {"x": "kubectl-apply"},
    )
    kube("apply", "-f", "-", stdin=service() | {"spec": {**service()["spec"], "type": "NodePort"}})
    port = work.get("services/agnhost-primary").ok()["spec"]["ports"][0]["nodePort"]
    kube("apply", "-f", "-", stdin=service() | {"spec": {**service()["spec"], "type": "NodePort"}})
    assert work.get("services/agnhost-primary").ok()["spec"]["ports"][0]["nodePort"] == port
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "httpd", "image": WEB}]}}
    spec: Json = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "httpd-deployment"}, "spec": spec}
    kube("apply", "-f", "-", stdin=obj)
    assert (
        json.loads(kube("apply", "view-last-applied", "-f", "-", "-o", "json", stdin=obj).out)["spec"]["replicas"] == 3
    )
    bare = {**obj, "spec": {name: value for name, value in spec.items() if name != "replicas"}}
    kube("apply", "set-last-applied", "-f", "-", stdin=bare)
    assert (
        "replicas" not in json.loads(kube("apply", "view-last-applied", "-f", "-", "-o", "json", stdin=obj).out)["spec"]
    )
    kube("scale", "deployment", "httpd-deployment", "--replicas=2")
    bare["spec"]["template"] = {**template, "spec": {"containers": [{"name": "httpd", "image": NEW_WEB}]}}
    kube("apply", "-f", "-", stdin=bare)
    now = work.get(work.apps("deployments/httpd-deployment")).ok()["spec"]
    assert (now["replicas"], now["template"]["spec"]["containers"][0]["image"]) == (2, NEW_WEB)


def test_events(work: Workloads, kube: Kube) -> None:
    """events should show event when pod is created"""
    kube("run", "e2e-test-httpd-pod", f"--image={WEB}", "--labels=run=e2e-test-httpd-pod")
    work.running(1, "run=e2e-test-httpd-pod")
    for_pod = "--for=pod/e2e-test-httpd-pod"
    eventually(
        "told", lambda: "Normal Scheduled Pod/e2e-test-httpd-pod" in " ".join(kube("events", for_pod).out.split())
    )
    assert kube("events", "--types=WARNING", for_pod).out == ""


def test_quotas(work: Workloads, kube: Kube) -> None:
    """create quota should create a quota without scopes; with scopes; should reject quota with invalid scopes"""
    kube("create", "quota", "million", "--hard=pods=1000000,services=1000000")
    spec = work.get("resourcequotas/million").ok()["spec"]
    assert spec["hard"] in ({"pods": "1M", "services": "1M"}, {"pods": "1000000", "services": "1000000"})
    assert "scopes" not in spec
    kube("create", "quota", "scopes", "--hard=pods=1000000", "--scopes=BestEffort,NotTerminating")
    assert work.get("resourcequotas/scopes").ok()["spec"]["scopes"] == ["BestEffort", "NotTerminating"]
    kube("create", "quota", "wrong", "--hard=pods=1000000", "--scopes=Foo", fails=True)


def test_taints(work: Workloads, kube: Kube) -> None:
    """taint should update the taint on a node; should remove all the taints with the same key off a node"""
    key, node = "kubernetes.io/e2e-taint-key-002", "worker-3"
    for taint in (f"{key}=testing-taint-value:NoSchedule", f"{key}=another-testing-taint-value:PreferNoSchedule"):
        kube("taint", "nodes", node, taint)
        checks(kube("describe", "node", node).out, ("Name:", node), ("Taints:",))
        assert taint in kube("describe", "node", node).out
    kube("taint", "nodes", node, f"{key}:NoSchedule-")
    assert f"{key}=testing-taint-value:NoSchedule" not in kube("describe", "node", node).out
    kube("taint", "nodes", node, f"{key}-")
    assert key not in kube("describe", "node", node).out


def test_wait_and_subresources(kube: Kube) -> None:
    """kubectl wait should ignore not found error with --for=delete; subresource flag"""
    kube("wait", "--for=delete", "pod/doesnotexist")
    kube("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=noexist")
    assert "bulk" in kube("get", "nodes", "--subresource=status", fails=True).err
    form = "--output=jsonpath='{.metadata.name}{.status.allocatable.cpu}'"
    assert (
        kube("get", "nodes", "worker-1", form).out == kube("get", "nodes", "worker-1", form, "--subresource=status").out
    )


def test_rollout_undo(work: Workloads, kube: Kube) -> None:
    """test/e2e/kubectl/rollout.go: undo should rollback and update deployment env"""
    kube("create", "deployment", "httpd-deployment", f"--image={WEB}")
    kube("rollout", "status", "deployment/httpd-deployment", "--timeout=20s")
    kube("set", "env", "deployment/httpd-deployment", "foo=bar")
    kube("rollout", "status", "deployment/httpd-deployment", "--timeout=20s")
    checks(kube("rollout", "history", "deployment/httpd-deployment").out, ("REVISION",), ("1",), ("2",))
    kube("rollout", "undo", "deployment/httpd-deployment")
    kube("rollout", "status", "deployment/httpd-deployment", "--timeout=20s")
    now = work.get(work.apps("deployments/httpd-deployment")).ok()
    assert "env" not in now["spec"]["template"]["spec"]["containers"][0]
    assert now["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    kube("rollout", "restart", "deployment/httpd-deployment")
    kube("rollout", "status", "deployment/httpd-deployment", "--timeout=20s")
    kube("rollout", "pause", "deployment/httpd-deployment")
    assert "already paused" in kube("rollout", "pause", "deployment/httpd-deployment", fails=True).err


def test_drain_waits_for_the_budget(work: Workloads, kube: Kube) -> None:
    """kubectl drain evicts: a budget without allowance holds it up, and it goes on when there is one again"""
    labels = {"app": "drained"}
    spec = {"selector": {"matchLabels": labels}, "minAvailable": 1}
    work.post(work.policy("poddisruptionbudgets"), {"metadata": {"name": "held"}, "spec": spec}).ok()
    kube("create", "deployment", "drained", f"--image={WEB}")
    (pod,) = work.running(1, "app=drained")
    path = work.policy("poddisruptionbudgets/held")
    work.until(path, "seen", lambda b: b["status"]["currentHealthy"] == 1)
    words = ("drain", pod["spec"]["nodeName"], "--pod-selector=app=drained", "--timeout=2s", "--ignore-daemonsets")
    assert "violate the pod's disruption budget" in kube(*words, fails=True).err
    work.delete(path).ok()
    try:
        kube(*words[:3], "--timeout=30s")
        (other,) = work.running(1, "app=drained")
        assert other["spec"]["nodeName"] != pod["spec"]["nodeName"]
    finally:
        kube("uncordon", pod["spec"]["nodeName"])


@pytest.fixture
def proxy(living: Living) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        started.append(living.start_kubectl("proxy", *words))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def test_a_proxy_on_any_port(proxy: Callable[..., subprocess.Popen[str]]) -> None:
    """Proxy server should support proxy with --port 0"""
    said = proxy("-p", "0", "--disable-filter").stdout.readline()  # type: ignore[union-attr]  # it is a pipe
    port = int(re.search(r"Starting to serve on 127\.0\.0\.1:(\d+)", said)[1])  # type: ignore[index]  # no match fails the test
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://localhost:{port}/api/", timeout=10) as reply:
        assert json.load(reply)["versions"] == ["v1"]


def test_a_proxy_on_a_unix_socket(proxy: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Proxy server should support --unix-socket=/path"""
    path = tmp_path / "test"
    assert str(path) in proxy(f"--unix-socket={path}").stdout.readline()  # type: ignore[union-attr]  # it is a pipe
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request("GET", "/api")
    assert json.load(connection.getresponse())["versions"] == ["v1"]
    connection.close()
