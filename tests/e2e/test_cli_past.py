"""`raypod get --at`, `raypod history` and their Python twins against a gateway over TLS."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gateway_server import Output, RunningGateway, deployment, pod, served

import raypod

__all__ = ["served"]
BIN = Path(__file__).parents[2] / ".venv/bin"


def ask(served: RunningGateway, *args: str, fails: bool = False) -> Output:
    environment = {**served.environment, "RAYPOD_HOME": str(served.home / "elsewhere")}
    command = [str(BIN / "python"), "-c", "from raypod.cli import main; main()", *args]
    output = Output(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60))
    assert (output.code != 0) == fails, (output.out, output.err)
    return output


@pytest.fixture(scope="module")
def scaled(served: RunningGateway) -> dict[str, Any]:
    """A Deployment that was scaled from 2 to 3, deleted and made again; `at`: while it had 2."""
    served.make(deployment("web"), "deployments.apps")
    before = served.kubectl("get", "deployment", "web", "-o", "json").json
    time.sleep(0.05)
    at = datetime.now(UTC)
    time.sleep(0.05)
    served.kubectl("scale", "deployment", "web", "--replicas=3")
    served.kubectl("delete", "deployment", "web", "--wait=false")
    served.make(deployment("web", 5), "deployments.apps")
    return {"at": at.isoformat(), "revision": before["metadata"]["resourceVersion"], "uid": before["metadata"]["uid"]}


def test_get_as_it_was(served: RunningGateway, scaled: dict[str, Any]) -> None:
    for when in (("--at", scaled["at"]), ("--at-revision", scaled["revision"])):
        table = ask(served, "get", "deploy", "web", *when)
        assert table.rows[0][:2] == ["NAME", "READY"] and table.rows[1][:2] == ["web", "0/2"]
        assert ask(served, "get", "deployments.apps", *when, "-o", "json").json["items"][0]["spec"]["replicas"] == 2
        assert "replicas: 2" in ask(served, "get", "Deployment/web", *when, "-o", "yaml").out
    assert ask(served, "get", "deploy/web", "-o", "json").json["spec"]["replicas"] == 5
    assert ask(served, "get", "deploy", "-A").rows[0][0] == "NAMESPACE"


def test_errors_are_one_sentence(served: RunningGateway, scaled: dict[str, Any]) -> None:
    for args, said in [
        (("get", "pods", "--at", "1d"), "the oldest retained revision is 1, of 20"),
        (("get", "pods", "--at", "noon"), "'noon' is not a time"),
        (("get", "pods", "--at-revision", "999999"), "Too large resource version"),
        (("get", "wombats"), "the cluster has no kind 'wombats'"),
        (("get", "pods/nope", "--at", scaled["at"]), 'pods "nope" not found'),
        (("history", "pods/nope"), 'pods "nope" not found'),
        (("history",), "name one object as KIND/NAME, or --export FILE"),
        (("history", "--export", "/nowhere/log"), "cannot write /nowhere/log"),
    ]:
        output = ask(served, *args, fails=True)
        assert said in output.err and output.err.startswith("raypod: ") and len(output.err.splitlines()) == 1


def test_history(served: RunningGateway, scaled: dict[str, Any]) -> None:
    items = ask(served, "history", "deploy/web", "-o", "json").json
    assert [item["type"] for item in items] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    assert (items[1]["user"], items[1]["manager"]) == ("kubernetes-admin", "kubectl")
    assert items[1]["changes"] == [{"field": "spec.replicas", "from": 2, "to": 3}]
    assert items[0]["uid"] == scaled["uid"] != items[3]["uid"]
    table = ask(served, "history", "deploy/web")
    assert table.rows[0] == ["REVISION", "TIME", "WHO", "CHANGE"]
    assert "kubernetes-admin via kubectl" in table.out and "spec.replicas: 2 -> 3" in table.out


def test_the_log_exported(served: RunningGateway, scaled: dict[str, Any], tmp_path: Path) -> None:
    lines = [json.loads(line) for line in ask(served, "history", "--export", "-").out.splitlines()]
    assert [int(line["revision"]) for line in lines] == list(range(1, len(lines) + 1))
    told = ask(served, "history", "--export", str(tmp_path / "log"), "--since", scaled["revision"])
    written = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert written == lines[int(scaled["revision"]) :] and f"{len(written)} changes" in told.err


def test_python(served: RunningGateway, scaled: dict[str, Any]) -> None:
    served.make(pod("one"), "pods")
    with raypod.Cluster(served.gateway.kubeconfig) as cluster:
        assert cluster.read("deploy", "web", at=scaled["at"])["spec"]["replicas"] == 2
        assert cluster.read("deploy", "web", revision=int(scaled["revision"]))["metadata"]["uid"] == scaled["uid"]
        assert [item["metadata"]["name"] for item in cluster.objects("pods")] == ["one"]
        assert cluster.objects("pods", at=datetime.fromisoformat(scaled["at"])) == []
        assert len(cluster.history("deployment", "web")) == 4
        assert [change["name"] for change in cluster.log(since=served.store.revision - 1)] == ["one"]
        with pytest.raises(raypod.ApiError, match="oldest retained revision") as refused:
            cluster.objects("pods", at="3d")
        assert (refused.value.code, refused.value.reason) == (410, "Expired")


def test_explain_as_it_was(served: RunningGateway, scaled: dict[str, Any]) -> None:
    for when in (("--at", scaled["at"]), ("--at-revision", scaled["revision"])):
        assert ask(served, "explain", "deploy/web", *when).rows[0] == [
            "Deployment",
            "default/web:",
            "0",
            "of",
            "2",
            "ready",
        ]
    now = ask(served, "explain", "deploy", "web", "-o", "json").json
    assert (now["subject"]["object"]["spec"]["replicas"], now["owners"]) == (5, [])


def test_explain_follows_owners_up_and_down(served: RunningGateway) -> None:
    owner = served.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(deployment("top", 0))).json
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "top", "uid": owner["metadata"]["uid"]}
    replicas = deployment("below", 0) | {"kind": "ReplicaSet"}
    replicas["spec"].pop("strategy", None)
    replicas["metadata"]["ownerReferences"] = [{**reference, "controller": True}]
    below = served.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(replicas)).json
    child = pod("child")
    child["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "below",
            "uid": below["metadata"]["uid"],
            "controller": True,
        }
    ]
    served.kubectl("create", "-f", "-", stdin=json.dumps(child))
    down = ask(served, "explain", "deployment/top").out
    assert "2 object(s) belong to it, 1 of them in trouble:\nPod default/child: Pending on no node yet" in down
    up = ask(served, "explain", "pod/child").out
    assert "belongs to ReplicaSet default/below: 0 of 0 ready\nbelongs to Deployment default/top: 0 of 0 ready" in up
    told = ask(served, "explain", "pod/nobody", fails=True)
    assert told.err.strip() == 'raypod: pods "nobody" not found'
