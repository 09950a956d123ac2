"""What Kubernetes' e2e tests of workloads do again and again: the objects that they make and what they wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_client import Api
from living_cluster import Living, eventually

Json = dict[str, Any]
WEB, NEW_WEB = "registry.k8s.io/e2e-test-images/httpd:2.4.38-4", "registry.k8s.io/e2e-test-images/nginx:1.14-4"
PAUSE, AGNHOST = "registry.k8s.io/pause:3.10", "registry.k8s.io/e2e-test-images/agnhost:2.47"


def template(labels: Json, image: str = WEB, name: str = "httpd", **spec: Any) -> Json:
    """Of pods that end without grace."""
    container = {"name": name, "image": image}
    return {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def replica_set(name: str, replicas: int, labels: Json, image: str = WEB, container: str = "httpd") -> Json:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": template(labels, image, container),
    }
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "labels": labels}, "spec": spec}


def replication_controller(name: str, replicas: int, labels: Json) -> Json:
    """Without a selector: it gets the template's labels."""
    spec = {"replicas": replicas, "template": template(labels)}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": spec}


def lone_pod(name: str, labels: Json, image: str = WEB) -> Json:
    spec = {"containers": [{"name": name, "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


class Workloads(Api):
    """`apps("deployments/x")` is a path of this namespace in apps/v1, `batch`, `policy` likewise."""

    def apps(self, path: str) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{path}"

    def batch(self, path: str) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/{path}"

    def policy(self, path: str) -> str:
        return f"/apis/policy/v1/namespaces/{self.namespace}/{path}"

    @property
    def living(self) -> Living:
        assert isinstance(self.served, Living)
        return self.served

    def items(self, path: str, selector: str = "") -> list[Json]:
        query = {"labelSelector": selector} if selector else {}
        found: list[Json] = self.get(path, **query).ok()["items"]
        return found

    def running(self, count: int, selector: str = "") -> list[Json]:
        """Exactly so many pods that are not on their way out, all of them ready."""

        def probe() -> list[Json] | None:
            pods = [pod for pod in self.items("pods", selector) if "deletionTimestamp" not in pod["metadata"]]
            return pods if len(pods) == count and all(map(is_ready, pods)) else None

        if count == 0:
            eventually("no pods", lambda: not self.items("pods", selector))
            return []
        return eventually(f"{count} ready pods of {selector or 'all'}", probe)

    def running_now(self) -> list[Json]:
        """Those in phase Running or Pending."""
        return [pod for pod in self.items("pods") if pod["status"]["phase"] in ("Running", "Pending")]

    def until(self, path: str, what: str, test: Callable[[Json], Any], seconds: float = 20) -> Json:
        """The object, once `test` holds of it."""

        def probe() -> Json | None:
            obj = self.get(path).ok()
            return obj if test(obj) else None

        return eventually(what, probe, seconds)

    def gone(self, path: str) -> None:
        eventually(f"{path} is gone", lambda: self.get(path).code == 404)

    def change(self, path: str, change: Callable[[Json], Any]) -> Json:
        """Read, change, write; again when another was quicker, as clients do."""

        def attempt() -> Json | None:
            obj = self.get(path).ok()
            change(obj)
            answer = self.put(path, obj)
            return None if answer.code == 409 else answer.ok()

        return eventually(f"a write of {path} without a conflict", attempt)

    def holds_status(self, path: str, labels: Json) -> None:
        """The e2e tests' "status endpoints": read, update, patch of `path`/status, each seen by a watch from before."""
        collection = path.rpartition("/")[0]
        revision = self.get(
            f"/{collection.lstrip('/').split('/namespaces/')[0]}/{collection.rpartition('/')[2]}"
        ).revision
        before = self.get(f"{path}/status").ok()
        assert before["metadata"]["name"] == path.rpartition("/")[2]

        def told(obj: Json) -> None:
            row = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
            obj["status"] = {**obj["status"], "conditions": [*(obj["status"].get("conditions") or ()), row]}

        def attempt() -> Json | None:
            obj = self.get(path).ok()
            told(obj)
            answer = self.put(f"{path}/status", obj)
            return None if answer.code == 409 else answer.ok()

        updated = eventually("a status update without a conflict", attempt)
        assert any(row["type"] == "StatusUpdate" for row in updated["status"]["conditions"])
        row = {"type": "StatusPatched", "status": "True"}
        patched = self.patch("merge", f"{path}/status", {"status": {"conditions": [row]}}).ok()
        assert any(row["type"] == "StatusPatched" for row in patched["status"]["conditions"])
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        events = self.watch(collection, labelSelector=selector, resourceVersion=revision).events()
        seen = [{row["type"] for row in e["object"]["status"].get("conditions") or ()} for e in events]
        assert any("StatusUpdate" in types for types in seen), events
        assert any("StatusPatched" in types for types in seen), events

    def scales(self, path: str, first: int) -> None:
        """The e2e tests' "working scale subresource": read, update without a revision, patch."""
        scale = self.get(f"{path}/scale").ok()
        assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (first, first)
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        del scale["metadata"]["resourceVersion"]
        scale["spec"]["replicas"] = 2
        assert self.put(f"{path}/scale", scale).ok()["spec"]["replicas"] == 2
        assert self.get(path).ok()["spec"]["replicas"] == 2
        self.patch(
            "strategic", f"{path}/scale", {"metadata": {}, "spec": {"replicas": 4}, "status": {"replicas": 0}}
        ).ok()
        assert self.get(path).ok()["spec"]["replicas"] == 4


def is_ready(pod: Json) -> bool:
    return any(row["type"] == "Ready" and row["status"] == "True" for row in pod["status"].get("conditions") or ())


def owners(obj: Json) -> list[str]:
    return [ref["uid"] for ref in obj["metadata"].get("ownerReferences") or () if ref.get("controller")]


@pytest.fixture
def work(living: Living, request: pytest.FixtureRequest) -> Workloads:
    """A client in an API namespace of the test's own."""
    name = f"e2e-{abs(hash(request.node.nodeid)) % 10**9}"
    living.make({"metadata": {"name": name}}, "namespaces", "")
    return Workloads(living, name)
