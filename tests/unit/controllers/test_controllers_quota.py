"""What is told of a quota's bounds is what they are, soon after somebody has told otherwise."""

from __future__ import annotations

from corerig import Rig, pod

from actors.api.codec import Object
from actors.api.key import Key
from actors.controllers import deployment, replicaset
from actors.controllers.core import ControllersCore
from actors.controllers.resource_quota import reconcile

QUOTA = Key("resourcequotas", "default", "q")


def test_bounds_are_put_right_and_what_is_used_stays() -> None:
    rig = Rig(ControllersCore([reconcile]))
    spec = {"hard": {"pods": "5", "secrets": "2"}}
    made = rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec})
    rig.create(pod("p"))
    rig.settle()
    rig.patch(QUOTA, {"status": {"hard": {"pods": "9", "cpu": "1", "secrets": None}, "used": None}}, "status")
    rig.settle()
    status = rig.get("resourcequotas", "q")["status"]
    assert status["hard"] == spec["hard"] == made["status"]["hard"]
    assert status["used"] == {"pods": "1", "secrets": "0"}


def web(name: str, replicas: int) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def conditions(rig: Rig, resource: str) -> dict[str, tuple[str, str, str]]:
    (obj,) = rig.list(resource)
    rows = obj["status"].get("conditions") or []
    return {row["type"]: (row["status"], row["reason"], row["message"]) for row in rows}


def test_pods_that_a_quota_refuses_are_told_as_a_condition_until_there_is_room() -> None:
    rig = Rig(ControllersCore([deployment.reconcile, replicaset.reconcile]))
    spec = {"hard": {"pods": "2"}}
    rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec})
    rig.create(web("web", 3))
    rig.settle()
    rig.advance(5_000)
    for resource in ("replicasets.apps", "deployments.apps"):
        status, reason, message = conditions(rig, resource)["ReplicaFailure"]
        assert (status, reason) == ("True", "FailedCreate")
        assert "is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in message
    assert len(rig.list("pods")) == 2
    told = [event["message"] for event in rig.list("events") if event["reason"] == "FailedCreate"]
    assert told and all(message.startswith('Error creating: pods "web-') for message in told)
    made = [event["message"] for event in rig.list("events") if event["reason"] == "SuccessfulCreate"]
    assert sorted(made) == sorted(f"Created pod: {pod['metadata']['name']}" for pod in rig.list("pods"))
    rig.patch(Key("deployments.apps", "default", "web"), {"spec": {"replicas": 2}})
    rig.settle()
    rig.advance(60_000)
    for resource in ("replicasets.apps", "deployments.apps"):
        assert "ReplicaFailure" not in conditions(rig, resource)
