"""Quotas in the store: refused with numbers, charged and credited in the commit itself, counted anew when they change."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from store_support import NOW, Desk, error_of, new_pod, obj_of

from actors.api.codec import Object
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete
from actors.store.admission.profile import AdmissionConfig
from actors.store.config import StoreConfig

QUOTA, POD = Key("resourcequotas", "default", "q"), Key("pods", "default", "p")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def quota(desk: Desk, hard: dict[str, str], name: str = "q", **spec: Any) -> Object:
    return obj_of(desk.create("resourcequotas", {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}))


def used(desk: Desk, name: str = "q") -> dict[str, str]:
    found: dict[str, str] = desk.read(Key("resourcequotas", "default", name))["status"]["used"]
    return found


def pod(name: str, cpu: str = "", **spec: Any) -> Object:
    obj = new_pod(name, **spec)
    if cpu:
        obj["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}
    return obj


def refusal(desk: Desk, obj: Object, resource: str = "pods") -> str:
    error = error_of(desk.create(resource, obj))
    assert (error["code"], error["reason"]) == (403, "Forbidden")
    return str(error["message"])


def test_a_new_quota_counts_what_is_there_itself_too(desk: Desk) -> None:
    obj_of(desk.create("pods", pod("p", "500m")))
    obj_of(desk.create("secrets", {"metadata": {"name": "s"}}))
    hard = {"pods": "2", "requests.cpu": "1", "resourcequotas": "1", "count/secrets": "3", "requests.storage": "1Gi"}
    made = quota(desk, hard)
    assert made["status"]["hard"] == hard
    assert made["status"]["used"] == {
        "pods": "1",
        "requests.cpu": "500m",
        "resourcequotas": "1",
        "count/secrets": "1",
        "requests.storage": "0",
    }


def test_too_much_is_refused_with_numbers_and_changes_nothing(desk: Desk) -> None:
    quota(desk, {"pods": "1", "cpu": "1"})
    obj_of(desk.create("pods", pod("p", "600m")))
    before = desk.engine.revision
    assert refusal(desk, pod("q", "600m")) == (
        'pods "q" is forbidden: exceeded quota: q, requested: cpu=600m,pods=1, used: cpu=600m,pods=1, limited: cpu=1,pods=1'
    )
    assert desk.engine.revision == before and used(desk) == {"pods": "1", "cpu": "600m"}


def test_what_is_compulsory_must_be_said(desk: Desk) -> None:
    quota(desk, {"requests.cpu": "1", "limits.memory": "1Gi"})
    assert refusal(desk, pod("p")) == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c'
    )


def test_charge_and_object_are_one_commit(desk: Desk) -> None:
    quota(desk, {"pods": "9"})
    before = desk.engine.revision
    replies = desk.engine.commit(
        [Create(resource="pods", namespace="default", object=pod(name)) for name in ("a", "b")], NOW
    )
    assert all(reply.error is None for reply in replies)
    assert desk.engine.revision == before + 4 and used(desk) == {"pods": "2"}


def test_a_group_of_writes_cannot_overdraw(desk: Desk) -> None:
    quota(desk, {"pods": "3"})
    writes = [Create(resource="pods", namespace="default", object=pod(f"p{n}")) for n in range(10)]
    replies = desk.engine.commit(writes, NOW)
    assert [reply.error is None for reply in replies] == [True] * 3 + [False] * 7
    replies = desk.engine.commit([Delete(key=Key("pods", "default", "p0")), *writes[5:7]], NOW)
    assert [reply.error is None for reply in replies] == [True, True, False]


def test_what_ends_and_what_goes_is_given_back(desk: Desk) -> None:
    quota(desk, {"pods": "2", "count/pods": "2", "cpu": "2"})
    obj_of(desk.create("pods", pod("p", "1")))
    desk.bind(POD)
    obj_of(desk.patch(POD, {"status": {"phase": "Running"}}, subresource="status"))
    assert used(desk) == {"pods": "1", "count/pods": "1", "cpu": "1"}
    obj_of(desk.patch(POD, {"status": {"phase": "Succeeded"}}, subresource="status"))
    assert used(desk) == {"pods": "0", "count/pods": "1", "cpu": "0"}
    desk.delete(POD, grace_period_seconds=0)
    assert used(desk) == {"pods": "0", "count/pods": "0", "cpu": "0"}


def test_a_dry_run_is_refused_and_never_charged(desk: Desk) -> None:
    quota(desk, {"pods": "1"})
    assert desk.create("pods", pod("a"), dry_run=True).error is None
    assert used(desk) == {"pods": "0"}
    obj_of(desk.create("pods", pod("b")))
    assert error_of(desk.create("pods", pod("c"), dry_run=True))["code"] == 403


def test_scopes_part_the_pods(desk: Desk) -> None:
    quota(desk, {"pods": "1"}, "best", scopes=["BestEffort"])
    quota(desk, {"pods": "1"}, "rest", scopes=["NotBestEffort"])
    expression = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
    quota(desk, {"pods": "0"}, "vital", scopeSelector={"matchExpressions": [expression]})
    obj_of(desk.create("pods", pod("a")))
    obj_of(desk.create("pods", pod("b", "1")))
    assert [used(desk, name)["pods"] for name in ("best", "rest", "vital")] == ["1", "1", "0"]
    assert "exceeded quota: best" in refusal(desk, pod("c"))
    desk.delete(Key("pods", "default", "a"))
    assert "exceeded quota: vital" in refusal(desk, pod("c", priorityClassName="system-node-critical"))


def test_a_deadline_that_comes_later_moves_the_pod(desk: Desk) -> None:
    quota(desk, {"pods": "5"}, "long", scopes=["NotTerminating"])
    quota(desk, {"pods": "5"}, "short", scopes=["Terminating"])
    obj_of(desk.create("pods", pod("p")))
    obj_of(desk.patch(POD, {"spec": {"activeDeadlineSeconds": 5}}))
    assert (used(desk, "long"), used(desk, "short")) == ({"pods": "0"}, {"pods": "1"})


def test_services_and_claims_are_charged_for_what_they_become(desk: Desk) -> None:
    quota(desk, {"services": "2", "services.nodeports": "1", "requests.storage": "2Gi"})
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    obj_of(desk.create("services", {"metadata": {"name": "s"}, "spec": {"ports": ports}}))
    key = Key("services", "default", "s")
    error = error_of(desk.patch(key, {"spec": {"type": "NodePort"}}))
    assert (
        "requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1" in error["message"]
    )
    obj_of(desk.patch(key, {"spec": {"type": "NodePort", "ports": ports[:1]}}))
    assert used(desk)["services.nodeports"] == "1" and used(desk)["services"] == "2"


def test_custom_resources_count(desk: Desk) -> None:
    schema = {"openAPIV3Schema": {"type": "object"}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    definitions = "customresourcedefinitions.apiextensions.k8s.io"
    obj_of(desk.create(definitions, {"metadata": {"name": "widgets.example.com"}, "spec": spec}, ""))
    quota(desk, {"count/widgets.example.com": "1"})
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
    obj_of(desk.create("widgets.example.com", widget))
    second = {**widget, "metadata": {"name": "b"}}
    assert "exceeded quota: q, requested: count/widgets.example.com=1" in refusal(desk, second, "widgets.example.com")


def test_other_bounds_are_counted_at_once(desk: Desk) -> None:
    quota(desk, {"pods": "5"})
    obj_of(desk.create("pods", pod("p", "1")))
    made = obj_of(desk.patch(QUOTA, {"spec": {"hard": {"pods": None, "cpu": "4"}}}))
    assert made["status"] == {"hard": {"cpu": "4"}, "used": {"cpu": "1"}}


def test_status_is_told_but_for_what_is_used(desk: Desk) -> None:
    quota(desk, {"pods": "5"})
    obj_of(desk.create("pods", pod("p")))
    told = obj_of(desk.patch(QUOTA, {"status": {"hard": {"pods": "7"}, "used": {"pods": "0"}}}, subresource="status"))
    assert told["status"] == {"hard": {"pods": "7"}, "used": {"pods": "1"}}
    obj_of(desk.patch(QUOTA, {"metadata": {"labels": {"a": "b"}}}))
    assert used(desk) == {"pods": "1"}


def test_what_is_no_quantity_is_for_validation_to_tell(desk: Desk) -> None:
    error = error_of(desk.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "many"}}}))
    assert (error["code"], error["reason"]) == (422, "Invalid")


def test_what_is_limited_needs_a_quota() -> None:
    limited = [
        {
            "resource": "pods",
            "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}],
        },
        {"resource": "persistentvolumeclaims", "matchContains": ["requests.storage"]},
    ]
    admission = msgspec.convert({"plugins": [{"plugin": "ResourceQuota", "limited": limited}]}, AdmissionConfig)
    desk = Desk(StoreConfig(admission=admission))
    obj_of(desk.create("pods", pod("p")))
    vital = pod("v", priorityClassName="system-node-critical")
    assert "insufficient quota to match these scopes: [{PriorityClass In [system-node-critical]}]" in refusal(
        desk, vital
    )
    quota(desk, {"pods": "5"}, scopes=["PriorityClass"])
    obj_of(desk.create("pods", vital))
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "c"}, "spec": spec}
    assert "insufficient quota to consume: requests.storage" in refusal(desk, claim, "persistentvolumeclaims")
