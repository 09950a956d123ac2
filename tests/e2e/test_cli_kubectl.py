"""kubectl, unmodified, on a cluster that really runs what it is asked for."""

from __future__ import annotations

import pytest
from whole_cluster import TICKING, WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


def test_a_deployment_from_create_to_delete(whole: WholeCluster) -> None:
    whole.kubectl("create", "deployment", "web", "--image=host", "--replicas=2", "--", "sh", "-c", TICKING)
    whole.kubectl("rollout", "status", "deployment/web", "--timeout=40s")
    rows = whole.kubectl("get", "pods", "-l", "app=web", "-o", "wide", "--no-headers").rows
    assert [(row[1], row[2], row[6]) for row in rows] == [("1/1", "Running", whole.node)] * 2
    assert len({row[5] for row in rows}) == 2, "an address each"

    whole.kubectl("scale", "deployment/web", "--replicas=3")
    whole.kubectl("rollout", "status", "deployment/web", "--timeout=40s")
    assert whole.kubectl("get", "deploy", "web", "--no-headers").rows[0][:4] == ["web", "3/3", "3", "3"]

    before = {pod["metadata"]["uid"] for pod in whole.pods("app=web")}
    patch = '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}'
    whole.kubectl("patch", "deployment", "web", "-p", patch)
    whole.kubectl("rollout", "restart", "deployment/web")
    whole.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    live = [pod for pod in whole.pods("app=web") if "deletionTimestamp" not in pod["metadata"]]
    assert len(live) == 3
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in live)

    with whole.started("kubectl", "logs", "-f", "deploy/web") as following:
        assert following.stdout is not None
        assert [following.stdout.readline() for _ in range(2)] == ["tick 0\n", "tick 1\n"]
    whole.kubectl("delete", "deployment", "web", "--wait")
    wait_for("its pods are gone", lambda: not whole.pods("app=web"), 45)


def test_a_job_and_its_log(whole: WholeCluster) -> None:
    whole.kubectl("create", "job", "sum", "--image=host", "--", "sh", "-c", "echo $((1 + 2))")
    whole.kubectl("wait", "--for=condition=complete", "job/sum", "--timeout=40s")
    assert whole.kubectl("logs", "job/sum").out == "3\n"
    assert whole.kubectl("get", "job", "sum", "--no-headers").rows[0][:3] == ["sum", "Complete", "1/1"]
    whole.kubectl("delete", "job", "sum")
    wait_for("its pod is gone", lambda: not whole.pods("job-name=sum"))


def test_top_shows_what_a_pod_and_its_node_use(whole: WholeCluster) -> None:
    whole.kubectl("run", "busy", "--image=host", "--restart=Never", "--", "sh", "-c", "while :; do :; done")
    wait_for("it runs", lambda: whole.get("pod", "busy")["status"]["phase"] == "Running")

    def measured(*what: str) -> list[list[str]]:
        found = whole.kubectl("top", *what, "--no-headers", check=False)
        return found.rows if found.code == 0 else []

    [pod] = wait_for("figures of the pod", lambda: measured("pod", "busy"), 45)
    [node] = wait_for("figures of the node", lambda: measured("node", whole.node), 45)
    assert pod[0] == "busy" and 0 < int(pod[1].removesuffix("m")) <= int(node[1].removesuffix("m")) + 1000
    assert int(node[3].removesuffix("Mi")) > 0
    whole.kubectl("delete", "pod", "busy", "--grace-period=0")


def test_describe_tells_the_life_of_a_pod(whole: WholeCluster) -> None:
    whole.kubectl("run", "described", "--image=host", "--restart=Never", "--", "sh", "-c", "echo said; exit 4")
    wait_for("it failed", lambda: whole.get("pod", "described")["status"]["phase"] == "Failed")
    told = wait_for("events", lambda: _with(whole.kubectl("describe", "pod", "described").out, "Started"))
    for words in ("Scheduled", "Pulled", "Created", "Exit Code:    4", "Reason:       Error", whole.node):
        assert words in told, told
    assert whole.kubectl("logs", "described").out == "said\n"
    whole.kubectl("delete", "pod", "described")


def _with(text: str, word: str) -> str:
    return text if word in text else ""


def test_get_watch_shows_each_change(whole: WholeCluster) -> None:
    held = '{"spec":{"nodeSelector":{"watched":"yes"}}}'
    with whole.started("kubectl", "get", "pods", "-w", "--no-headers", "-l", "run=watched") as watching:
        whole.kubectl("run", "watched", "--image=host", "--restart=Never", f"--overrides={held}", "--", "sleep", "1")
        assert watching.stdout is not None
        states = [watching.stdout.readline().split()[2]]
        whole.kubectl("label", "node", whole.node, "watched=yes")
        while "Completed" not in states:
            line = watching.stdout.readline()
            assert line, states
            states.append(line.split()[2])
    assert states[0] == "Pending"
    assert "Running" in states
    whole.kubectl("label", "node", whole.node, "watched-")
    whole.kubectl("delete", "pod", "watched")


def test_a_pod_on_another_node_than_there_is_waits_and_says_why(whole: WholeCluster) -> None:
    overrides = '{"spec":{"nodeSelector":{"disk":"fast"}}}'
    whole.kubectl("run", "picky", "--image=host", "--restart=Never", f"--overrides={overrides}", "--", "true")
    told = wait_for("a reason", lambda: whole.events("picky"))
    assert told[0].startswith("FailedScheduling: 0/1 nodes are available: 1 node(s) didn't match")
    whole.kubectl("label", "node", whole.node, "disk=fast")
    wait_for("it ran", lambda: whole.get("pod", "picky")["status"]["phase"] == "Succeeded")
    whole.kubectl("label", "node", whole.node, "disk-")
    whole.kubectl("delete", "pod", "picky")
