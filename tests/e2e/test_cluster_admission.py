"""A webhook and a policy of users' on a whole cluster: they see what controllers, scheduler and nodelets write."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from remote_server import Authority, RemoteServer, configuration, patch, reviewing, serving, webhook
from whole_cluster import NODE, WholeCluster, wait_for

SEEN = "seen.example.com/by"


class Desk:
    """The webhook's mind: what it is asked about `stuck` waits until `let_go`."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def decide(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["operation"] != "CREATE":
            return {}
        if (request["object"]["metadata"].get("labels") or {}).get("app") == "stuck":
            self.let_go.wait(20)
        path = f"/metadata/annotations/{SEEN.replace('/', '~1')}"
        head = [] if request["object"]["metadata"].get("annotations") else [
            {"op": "add", "path": "/metadata/annotations", "value": {}}
        ]  # fmt: skip
        return patch(*head, {"op": "add", "path": path, "value": request["userInfo"]["username"]})


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def server(whole: WholeCluster, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteServer]:
    """Asked about new pods and what becomes of them; a policy wants every pod to have been seen by it."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    with serving(authority.issue("127.0.0.1"), reviewing(desk.decide)) as running:
        client = {"url": running.url + "/", "caBundle": authority.bundle}
        hook = webhook("pods.example.com", client, ("pods", "pods/status"), timeoutSeconds=15)
        hook["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": "watched"}}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        validations = [
            {
                "expression": f"'{SEEN}' in object.metadata.?annotations.orValue({{}})",
                "message": "not seen by the webhook",
            },
            {"expression": "object.metadata.labels.app != 'refused'", "message": "no pod may be called so"},
        ]
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": validations, "failurePolicy": "Fail"}
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "pods.example.com"}}
        bound = {"policyName": "pods.example.com", "validationActions": ["Deny"]}
        bound["matchResources"] = {"namespaceSelector": hook["namespaceSelector"]}
        whole.kubectl("create", "namespace", "watched")
        objects = [
            configuration("Mutating", "hooks", hook),
            {**kind, "kind": "ValidatingAdmissionPolicy", "spec": spec},
            {**kind, "kind": "ValidatingAdmissionPolicyBinding", "spec": bound},
        ]
        for obj in objects:
            whole.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        time.sleep(1)  # a part of the control plane hears of it by its watch
        yield running
        desk.let_go.set()
        whole.kubectl("delete", "namespace", "watched")
        whole.kubectl("delete", "mutatingwebhookconfiguration", "hooks")
        for resource in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
            whole.kubectl("delete", resource, "pods.example.com")


def deploy(whole: WholeCluster, name: str, replicas: int = 2) -> None:
    container = {"name": "main", "image": "host", "command": ["sleep", "1000"]}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    whole.kubectl("create", "-n", "watched", "-f", "-", stdin=json.dumps(obj))


def pods(whole: WholeCluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = whole.get("pods", "-n", "watched", "-l", f"app={name}")["items"]
    return found


def test_the_pods_of_a_deployment_are_changed_judged_and_run(whole: WholeCluster, server: RemoteServer) -> None:
    deploy(whole, "web")
    whole.kubectl("rollout", "status", "deployment/web", "-n", "watched", "--timeout=30s")
    made = pods(whole, "web")
    assert len(made) == 2
    assert {item["metadata"]["annotations"][SEEN] for item in made} == {"system:kube-controller-manager"}
    told = {
        review["request"]["userInfo"]["username"] for review in server.reviews if review["request"].get("subResource")
    }
    assert f"system:node:{NODE}" in told, "what a node says of its pods is shown, too"
    nodes = [
        review["request"]["userInfo"]
        for review in server.reviews
        if "node" in review["request"]["userInfo"]["username"]
    ]
    assert nodes[0]["groups"] == ["system:nodes", "system:authenticated"]


def test_what_the_policy_refuses_is_told_and_the_rest_goes_on(whole: WholeCluster, server: RemoteServer) -> None:
    deploy(whole, "refused", 1)

    def told() -> bool:
        rows = whole.get("events", "-n", "watched", "--field-selector", "reason=FailedCreate")["items"]
        return any("denied request: no pod may be called so" in row["message"] for row in rows)

    wait_for("the refusal as an event", told)
    assert pods(whole, "refused") == []
    whole.kubectl("delete", "deployment", "refused", "-n", "watched")


def test_a_webhook_that_hangs_holds_up_what_it_is_asked_about_alone(
    whole: WholeCluster, server: RemoteServer, desk: Desk
) -> None:
    deploy(whole, "stuck")

    def asked() -> bool:
        made = [r["request"] for r in server.reviews if r["request"]["operation"] == "CREATE"]
        return any((request["object"]["metadata"].get("labels") or {}).get("app") == "stuck" for request in made)

    wait_for("it is asked", asked)
    began = time.monotonic()
    deploy(whole, "other")
    whole.kubectl("rollout", "status", "deployment/other", "-n", "watched", "--timeout=10s")
    assert time.monotonic() - began < 10, "the webhook would have been waited for longer"
    assert pods(whole, "stuck") == []
    desk.let_go.set()
    whole.kubectl("rollout", "status", "deployment/stuck", "-n", "watched", "--timeout=40s")
    assert len(pods(whole, "stuck")) == 2
    rows = whole.get("events", "-n", "watched", "--field-selector", "reason=FailedCreate")["items"]
    assert not [row for row in rows if "stuck" in row["involvedObject"]["name"]]
