"""Workloads of Kubernetes' e2e tests in containers that really run: what a fake node cannot show of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from whole_cluster import TICKING, WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
Json = dict[str, Any]


def template(labels: Json, command: str, **spec: Any) -> Json:
    container = {"name": "c", "image": "host", "command": ["sh", "-c", command], **spec.pop("container", {})}
    return {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def create(whole: WholeCluster, kind: str, name: str, spec: Json, api_version: str = "apps/v1") -> None:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    whole.kubectl("create", "-f", "-", stdin=json.dumps(obj))


def ready(whole: WholeCluster, selector: str, count: int) -> list[Json]:
    def probe() -> list[Json] | None:
        pods = [pod for pod in whole.pods(selector) if "deletionTimestamp" not in pod["metadata"]]
        up = [p for p in pods if any(c.get("ready") for c in p["status"].get("containerStatuses") or ())]
        return pods or [{}] if len(pods) == len(up) == count else None

    return wait_for(f"{count} pods of {selector}", probe, 40)


def test_tasks_that_fail_once_are_restarted_in_place(whole: WholeCluster) -> None:
    """Job should run a job to completion when tasks sometimes fail and are locally restarted"""
    command = "if [ -r /data/foo ]; then exit 0; else touch /data/foo; exit 1; fi"
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "emptyDir": {}}]
    pod = template({"job": "once"}, command, restartPolicy="OnFailure", container=mounts, volumes=volumes)
    spec = {"parallelism": 2, "completions": 4, "backoffLimit": 6, "template": pod}
    create(whole, "Job", "fail-once-local", spec, "batch/v1")
    whole.kubectl("wait", "--for=condition=complete", "job/fail-once-local", "--timeout=60s", timeout=90)
    assert whole.get("job", "fail-once-local")["status"]["succeeded"] == 4
    pods = whole.pods("job=once")
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {1}
    whole.kubectl("delete", "job", "fail-once-local")


def test_pods_of_a_stateful_set_bear_their_names(whole: WholeCluster) -> None:
    """StatefulSet: scaling in order, stable host names, a rolling update from the last"""
    labels = {"app": "stateful"}
    pod = template(labels, f"hostname; {TICKING}")
    spec = {"serviceName": "s", "replicas": 2, "selector": {"matchLabels": labels}, "template": pod}
    create(whole, "StatefulSet", "ss", spec)
    whole.kubectl("rollout", "status", "statefulset/ss", "--timeout=60s", timeout=90)
    for name in ("ss-0", "ss-1"):
        assert whole.kubectl("exec", name, "--", "hostname").out == f"{name}\n"
    before = {pod["metadata"]["uid"] for pod in whole.pods("app=stateful")}
    whole.kubectl("set", "env", "statefulset/ss", "A=b")
    whole.kubectl("rollout", "status", "statefulset/ss", "--timeout=60s", timeout=90)
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in ready(whole, "app=stateful", 2))
    assert whole.kubectl("exec", "ss-0", "--", "sh", "-c", "echo $A").out == "b\n"
    whole.kubectl("rollout", "undo", "statefulset/ss")
    whole.kubectl("rollout", "status", "statefulset/ss", "--timeout=60s", timeout=90)
    assert whole.kubectl("exec", "ss-0", "--", "sh", "-c", "echo $A").out == "\n"
    whole.kubectl("delete", "statefulset", "ss")


def test_a_daemon_runs_on_the_node(whole: WholeCluster) -> None:
    labels = {"app": "daemon"}
    create(whole, "DaemonSet", "ds", {"selector": {"matchLabels": labels}, "template": template(labels, TICKING)})
    whole.kubectl("rollout", "status", "daemonset/ds", "--timeout=60s", timeout=90)
    (pod,) = ready(whole, "app=daemon", 1)
    assert pod["spec"]["nodeName"] == whole.node
    whole.kubectl("set", "env", "daemonset/ds", "A=b")
    whole.kubectl("rollout", "status", "daemonset/ds", "--timeout=60s", timeout=90)
    assert "tick" in whole.kubectl("logs", "daemonset/ds").out
    whole.kubectl("delete", "daemonset", "ds")


def test_a_replication_controller_serves(whole: WholeCluster) -> None:
    """ReplicationController should serve a basic image on each replica: asked through the API's proxy"""
    serve = "echo $(hostname) > /tmp/index.html; cd /tmp; exec python3 -m http.server 9376"
    labels = {"name": "my-hostname-basic"}
    spec = {"replicas": 2, "selector": labels, "template": template(labels, serve)}
    create(whole, "ReplicationController", "my-hostname-basic", spec, "v1")
    for pod in ready(whole, "name=my-hostname-basic", 2):
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/default/pods/{name}:9376/proxy/index.html"
        said = wait_for(f"{name} answers", lambda path=path: whole.kubectl("get", "--raw", path, check=False).out)  # type: ignore[misc]
        assert said == f"{name}\n"
    whole.kubectl("delete", "rc", "my-hostname-basic")


def test_evictions_of_containers_heed_the_budget(whole: WholeCluster) -> None:
    labels = {"app": "kept"}
    whole.kubectl("create", "pdb", "kept", "--selector=app=kept", "--min-available=1")
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template(labels, TICKING)}
    create(whole, "ReplicaSet", "kept", spec)
    (pod,) = ready(whole, "app=kept", 1)
    wait_for("it is counted", lambda: whole.get("pdb", "kept")["status"]["currentHealthy"] == 1)
    words = ("drain", whole.node, "--pod-selector=app=kept", "--ignore-daemonsets")
    try:
        said = whole.kubectl(*words, "--timeout=2s", check=False)
        assert said.code != 0 and "violate the pod's disruption budget" in said.err
        whole.kubectl("delete", "pdb", "kept")
        whole.kubectl(*words, "--timeout=30s")
    finally:
        whole.kubectl("uncordon", whole.node)
    assert ready(whole, "app=kept", 1)[0]["metadata"]["uid"] != pod["metadata"]["uid"]
    whole.kubectl("delete", "rs", "kept")
