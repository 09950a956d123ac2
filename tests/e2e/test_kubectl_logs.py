"""kubectl logs against the gateway: which container, how much, following, and every reason why there is nothing yet."""

from __future__ import annotations

import json

import pytest
from gateway_server import RunningGateway, pod, running_status, served

from actors.gateway.fake import FakeLog

__all__ = ["served"]


def cri(second: int, text: str, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"2026-11-23T10:00:{second:02}.000000000Z {stream} {tag} {text}\n".encode()


def _run(served: RunningGateway, name: str, containers: tuple[str, ...] = ("main",)) -> FakeLog:
    obj = pod(name)
    obj["spec"]["containers"] = [{"name": container, "image": "busybox"} for container in containers]
    served.make(obj, "pods")
    served.place(name, "n1")
    status = running_status()
    status["containerStatuses"] = [{**status["containerStatuses"][0], "name": container} for container in containers]
    served.set_status("pods", "default", name, status)
    return served.nodes.log("n1", "default", name, containers[0])


def test_text_without_the_cri_prefix(served: RunningGateway) -> None:
    log = _run(served, "plain")
    log.lines += [cri(1, "one"), cri(2, "tw", tag="P"), cri(3, "o"), cri(4, "three", "stderr"), cri(5, "")]
    assert served.kubectl("logs", "plain").out == "one\ntwo\nthree\n\n"
    assert served.kubectl("logs", "plain", "--tail=2").out == "three\n\n"
    assert served.kubectl("logs", "plain", "--limit-bytes=6").out == "one\ntw"
    stamped = served.kubectl("logs", "plain", "--timestamps").out.splitlines()
    assert stamped[:2] == ["2026-11-23T10:00:01.000000000Z one", "2026-11-23T10:00:02.000000000Z two"]
    assert served.kubectl("logs", "plain", "--since-time=2026-11-23T10:00:04Z").out == "three\n\n"
    assert served.kubectl("logs", "plain", "--tail=0").out == ""


def test_follow_until_the_container_ends(served: RunningGateway) -> None:
    log = _run(served, "followed")
    log.lines.append(cri(1, "first"))
    following = served.start_kubectl("logs", "-f", "followed")
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    log.lines.append(cri(2, "second"))
    assert following.stdout.readline() == "second\n"
    served.nodes.away.add("n1")
    log.lines.append(cri(3, "third"))
    served.nodes.away.clear()
    log.ended = True
    out, err = following.communicate(timeout=30)
    assert (following.returncode, out, err) == (0, "third\n", "")


def test_by_label_and_all_containers(served: RunningGateway) -> None:
    _run(served, "two", ("main", "side")).lines.append(cri(1, "from main"))
    served.nodes.log("n1", "default", "two", "side").lines.append(cri(1, "from side"))
    served.kubectl("label", "pod", "two", "logs=yes")
    assert served.kubectl("logs", "two", "-c", "side").out == "from side\n"
    shown = served.kubectl("logs", "-l", "logs=yes", "--all-containers", "--prefix").out
    assert sorted(shown.splitlines()) == ["[pod/two/main] from main", "[pod/two/side] from side"]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, "the pod is not assigned to a node yet"),
        ({"waiting": {"reason": "ContainerCreating"}}, "ContainerCreating"),
        ({"waiting": {"reason": "ErrImagePull"}}, "image can't be pulled"),
        ({"waiting": {"reason": "ImagePullBackOff"}}, "trying and failing to pull image"),
    ],
)
def test_not_started_yet(served: RunningGateway, status: dict[str, object] | None, sentence: str) -> None:
    name = f"waiting-{abs(hash(json.dumps(status))) % 10**6}"
    served.make(pod(name), "pods")
    if status is not None:
        served.place(name, "n1")
        container = {"name": "main", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": status}
        served.set_status("pods", "default", name, {"phase": "Pending", "containerStatuses": [container]})
    refused = served.kubectl("logs", name, fails=True).err
    assert f'container "main" in pod "{name}" is waiting to start: {sentence}' in refused


def test_wrong_containers_and_no_previous(served: RunningGateway) -> None:
    _run(served, "named", ("one", "two"))
    code, _, body = served.request("GET", "/api/v1/namespaces/default/pods/named/log")
    assert code == 400
    told = "a container name must be specified for pod named, choose one of: [one two]"
    assert json.loads(body)["message"] == told
    code, _, body = served.request("GET", "/api/v1/namespaces/default/pods/named/log?container=three")
    assert (code, json.loads(body)["message"]) == (400, "container three is not valid for pod named")
    refused = served.kubectl("logs", "named", "-c", "one", "--previous", fails=True).err
    assert 'previous terminated container "one" in pod "named" not found' in refused


def test_a_node_that_is_away_is_named(served: RunningGateway) -> None:
    _run(served, "far")
    served.nodes.away.add("n1")
    try:
        code, _, body = served.request("GET", "/api/v1/namespaces/default/pods/far/log")
    finally:
        served.nodes.away.clear()
    assert (code, json.loads(body)["message"]) == (503, "node n1 does not answer")


def test_logs_of_a_pod_that_is_gone(served: RunningGateway) -> None:
    log = _run(served, "past")
    log.lines.append(cri(1, "famous last words"))
    log.ended = True
    served.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}, "nodes", "")
    served.kubectl("delete", "pod", "past", "--force", "--grace-period=0")
    path = "/raypod/v1/logs/default/past?container=main"
    assert served.request("GET", path)[2] == b"famous last words\n"
    code, _, body = served.request("GET", "/raypod/v1/logs/default/never?container=main")
    assert (code, json.loads(body)["reason"]) == (404, "NotFound")


@pytest.mark.parametrize("query", ["tailLines=-1", "limitBytes=0", "sinceSeconds=0", "sinceSeconds=1&sinceTime=x"])
def test_invalid_options(served: RunningGateway, query: str) -> None:
    code, _, body = served.request("GET", f"/api/v1/namespaces/default/pods/plain/log?{query}")
    assert (code, json.loads(body)["reason"]) == (422, "Invalid")
