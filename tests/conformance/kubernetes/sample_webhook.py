"""What agnhost's `webhook` command serves, by path; and a gateway that is known to ask it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api_client import Api, Json, config_map
from eventually import eventually
from remote_server import Authority, RemoteServer, Reply, patch, serving

_ROOT = "/apis/admissionregistration.k8s.io/v1"
#: In the place of agnhost's five.
DELAY_SECONDS = 2.5


def _deny(message: str) -> Json:
    return {"allowed": False, "status": {"message": message}}


def _pods(request: Json) -> Json:
    pod, told = request["object"], []
    labels = pod["metadata"].get("labels") or {}
    if labels.get("webhook-e2e-test") == "wait-forever":
        time.sleep(20)
    if any("webhook-disallow" in container["name"] for container in pod["spec"]["containers"]):
        told.append("the pod contains unwanted container name")
    if labels.get("webhook-e2e-test") == "webhook-disallow":
        told.append("the pod contains unwanted label")
    return _deny("; ".join(told)) if told else {}


def _data(what: str) -> Any:
    def decide(request: Json) -> Json:
        obj = request["object"] or request["oldObject"]
        if (obj.get("data") or {}).get("webhook-e2e-test") == "webhook-disallow":
            return _deny(
                f"the {what} contains unwanted key and value"
                if what == "configmap"
                else f"the {what} contains unwanted data"
            )
        return {}

    return decide


def _stages(request: Json) -> Json:
    """Each stage is added when the one before is there."""
    data, added = request["object"].get("data") or {}, []
    for before, stage in (("mutation-start", "mutation-stage-1"), ("mutation-stage-1", "mutation-stage-2")):
        if data.get(before) == "yes" and stage not in data:
            added.append({"op": "add", "path": f"/data/{stage}", "value": "yes"})
    return patch(added[-1]) if added else {}


def _init_container(request: Json) -> Json:
    added = {"image": "webhook-added-image", "name": "webhook-added-init-container", "resources": {}}
    return patch({"op": "add", "path": "/spec/initContainers", "value": [added]})


def _crd(request: Json) -> Json:
    labels = request["object"]["metadata"].get("labels") or {}
    return _deny("the crd contains unwanted label") if labels.get("webhook-e2e-test") == "webhook-disallow" else {}


def _slow(request: Json) -> Json:
    time.sleep(DELAY_SECONDS)
    return {}


_PATHS = {
    "/pods": _pods,
    "/configmaps": _data("configmap"),
    "/custom-resource": _data("custom resource"),
    "/mutating-configmaps": _stages,
    "/mutating-custom-resource": _stages,
    "/mutating-pods": _init_container,
    "/crd": _crd,
    "/pods/attach": lambda request: _deny(f"attaching to pod '{request['name']}' is not allowed"),
    "/always-deny": lambda request: _deny("this webhook denies all requests"),
    "/always-allow-delay-5s": _slow,
    "/add-label": lambda request: patch({"op": "add", "path": "/metadata/labels", "value": {"mutated": "true"}}),
}


def _handle(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
    review = json.loads(body)
    response = {"uid": review["request"]["uid"], "allowed": True, **_PATHS[path.partition("?")[0]](review["request"])}
    return 200, json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    ).encode()


class Webhooks:
    """Registers hooks that are asked for objects of the test's own API namespace."""

    def __init__(self, api: Api, server: RemoteServer, authority: Authority) -> None:
        self.api, self.server, self.authority = api, server, authority

    def hook(
        self, name: str, path: str, resources: str, operations: str = "CREATE", group: str = "", **more: Any
    ) -> Json:
        rule = {
            "operations": operations.split(),
            "apiGroups": [group],
            "apiVersions": ["*"],
            "resources": resources.split(),
        }
        return {
            "name": name,
            "rules": [rule],
            "clientConfig": {"url": self.server.url + path, "caBundle": self.authority.bundle},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1", "v1beta1"],
            "namespaceSelector": {"matchLabels": {self.api.namespace: "true"}},
            "timeoutSeconds": 10,
            **more,
        }

    def path(self, kind: str) -> str:
        return f"{_ROOT}/{kind}webhookconfigurations"

    def register(self, kind: str, *hooks: Json, name: str = "", **labels: str) -> Json:
        """`kind`: validating or mutating. Returns when it is asked: a marker that another hook of it refuses tells."""
        api = self.api
        marker = {"objectSelector": {"matchLabels": {f"{api.namespace}-marker": "true"}}, "failurePolicy": "Fail"}
        ready = self.hook("is-webhook-configuration-ready.k8s.io", "/always-deny", "configmaps", **marker)
        metadata = {"name": name or f"e2e-{kind}-{api.namespace}", "labels": {"e2e": api.namespace, **labels}}
        made = api.post(self.path(kind), {"metadata": metadata, "webhooks": [*hooks, ready]}).ok()
        self.wait_ready()
        return made

    def wait_ready(self) -> None:
        probe = config_map(f"marker-{time.monotonic_ns()}", {f"{self.api.namespace}-marker": "true"})
        eventually(lambda: self.api.post("configmaps", probe, dryRun="All").code in (400, 403))

    def clean(self) -> None:
        for kind in ("validating", "mutating"):
            self.api.delete(self.path(kind), labelSelector=f"e2e={self.api.namespace}").ok()


@contextmanager
def webhooks_of(api: Api, authority: Authority) -> Iterator[Webhooks]:
    with serving(authority.issue("127.0.0.1"), _handle) as server:
        found = Webhooks(api, server, authority)
        try:
            yield found
        finally:
            found.clean()
