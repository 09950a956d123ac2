"""test/e2e/common/node/pods.go and pod generations as far as the API goes; there is no node: a test plays it."""

from __future__ import annotations

from api_client import Api, Json
from eventually import told
from gateway_server import running_status


def _pod(name: str, **spec: object) -> Json:
    container = {"name": "nginx", "image": "nginx:1"}
    return {
        "metadata": {"name": name, "labels": {"test-pod-static": "true"}},
        "spec": {"containers": [container], **spec},
    }


def _place(api: Api, name: str) -> None:
    """On a node of the test's own, which nobody plays further."""
    node = f"node-{api.namespace}"
    api.post("/api/v1/nodes", {"metadata": {"name": node}}).ok()
    api.served.place(name, node, api.namespace)


def test_a_pod_is_updated_and_gets_a_deadline(api: Api) -> None:
    api.post("pods", _pod("pod-update")).ok()
    found = api.get("pods/pod-update").ok()
    found["metadata"]["labels"]["time"] = "updated"
    api.put("pods/pod-update", found).ok()
    assert api.get("pods", labelSelector="time=updated").names == ["pod-update"]
    found = api.get("pods/pod-update").ok()
    found["spec"]["activeDeadlineSeconds"] = 5
    assert api.put("pods/pod-update", found).ok()["spec"]["activeDeadlineSeconds"] == 5


def test_pods_are_deleted_as_a_collection(api: Api) -> None:
    for number in range(3):
        obj = _pod(f"test-pod-{number}")
        obj["metadata"]["labels"] = {"type": "Testing"}
        api.post("pods", obj).ok()
    api.delete("pods", {"gracePeriodSeconds": 1}, labelSelector="type=Testing").ok()
    assert api.get("pods", labelSelector="type=Testing").names == []


def test_the_life_of_a_pod_and_of_its_status(api: Api) -> None:
    query = {"labelSelector": "test-pod-static=true"}
    watch = api.watch("pods", 20, resourceVersion=api.get("pods", **query).revision, **query)
    api.post("pods", _pod("pod-test")).ok()
    told(watch, "ADDED")
    _place(api, "pod-test")
    api.served.set_status("pods", api.namespace, "pod-test", running_status())
    told(watch, "MODIFIED", lambda obj: obj["status"]["phase"] == "Running")
    spec = {"containers": [{"name": "nginx", "image": "nginx:2"}]}
    patch = {"metadata": {"labels": {"test-pod": "patched"}}, "spec": spec}
    api.patch("strategic", "pods/pod-test", patch).ok()
    told(watch, "MODIFIED", lambda obj: obj["metadata"]["labels"].get("test-pod") == "patched")
    found = api.get("pods/pod-test").ok()
    assert found["spec"]["containers"][0]["image"] == "nginx:2"
    found["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert api.put("pods/pod-test/status", found).ok()["status"]["conditions"][0]["status"] == "False"
    told(watch, "MODIFIED", lambda obj: obj["status"]["conditions"][0]["status"] == "False")
    api.delete("pods", {"gracePeriodSeconds": 31}, labelSelector="test-pod-static=true").ok()
    going = told(watch, "MODIFIED", lambda obj: "deletionTimestamp" in obj["metadata"])
    assert going["metadata"]["deletionGracePeriodSeconds"] == 31
    api.served.confirm_gone("pod-test", api.namespace)
    told(watch, "DELETED")


def test_the_status_of_a_pod_is_patched(api: Api) -> None:
    api.post("pods", _pod("pod-test")).ok()
    patch = {"status": {"message": "Patched by e2e test", "reason": "E2E"}}
    patched = api.patch("merge", "pods/pod-test/status", patch).ok()["status"]
    assert (patched["message"], patched["reason"]) == ("Patched by e2e test", "E2E")


def test_the_generation_of_a_pod_counts_changes_of_its_spec(api: Api) -> None:
    """pods.go, Pod Generation: starts at 1, whatever is asked for; a graceful deletion counts, too."""
    obj = _pod(
        "pod", initContainers=[{"name": "init", "image": "init:1"}], schedulingGates=[{"name": "example.com/gate"}]
    )
    obj["metadata"]["generation"] = 100
    made = api.post("pods", obj).ok()
    assert made["metadata"]["generation"] == 1

    def change(path: str, how: Json) -> int:
        return int(api.patch("strategic", path, how).ok()["metadata"]["generation"])

    assert change("pods/pod", {}) == 1
    assert change("pods/pod", {"metadata": {"labels": {"a": "b"}}}) == 1
    more = [*made["spec"]["tolerations"], {"key": "foo", "operator": "Exists", "effect": "NoSchedule"}]
    assert change("pods/pod", {"spec": {"tolerations": more}}) == 2
    assert change("pods/pod", {"spec": {"activeDeadlineSeconds": 3600}}) == 3
    assert change("pods/pod", {"spec": {"containers": [{"name": "nginx", "image": "nginx:2"}]}}) == 4
    assert change("pods/pod", {"spec": {"initContainers": [{"name": "init", "image": "init:2"}]}}) == 5
    found = api.get("pods/pod").ok()
    found["spec"].pop("schedulingGates")
    assert api.put("pods/pod", found).ok()["metadata"]["generation"] == 6
    assert change("pods/pod/status", {"status": {"message": "x"}}) == 6
    _place(api, "pod")
    assert api.get("pods/pod").ok()["metadata"]["generation"] == 6, "a bind asks the pod for nothing new"
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "debug:1"}]}}
    assert change("pods/pod/ephemeralcontainers", debug) == 7
    going = api.delete("pods/pod", {"gracePeriodSeconds": 30}).ok()
    assert going["metadata"]["generation"] == 8
    api.served.confirm_gone("pod", api.namespace)
