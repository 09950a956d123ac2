from __future__ import annotations

from typing import Any

from corerig import Rig

from actors.api.key import Key

VERSION = "rbac.authorization.k8s.io/v1"
RESOURCE = "clusterroles.rbac.authorization.k8s.io"


def role(name: str, *resources: str, **labels: str) -> dict[str, Any]:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": [resource]} for resource in resources]
    return {"apiVersion": VERSION, "kind": "ClusterRole", "metadata": {"name": name, "labels": labels}, "rules": rules}


def sum_of(*selectors: dict[str, str]) -> dict[str, Any]:
    chosen = [{"matchLabels": labels} for labels in selectors]
    return {**role("sum"), "aggregationRule": {"clusterRoleSelectors": chosen}}


def held(rig: Rig) -> list[str]:
    rig.settle()
    (found,) = [item for item in rig.list(RESOURCE) if item["metadata"]["name"] == "sum"]
    return [rule["resources"][0] for rule in found.get("rules") or []]


def test_a_role_holds_what_it_aggregates_and_follows_it(rig: Rig) -> None:
    rig.create(role("b", "pods", "nodes", part="yes"))
    rig.create(role("c", "secrets"))
    rig.create(sum_of({"part": "yes"}, {"also": "yes"}))
    assert held(rig) == ["pods", "nodes"]
    rig.create(role("a", "events", "pods", also="yes"))
    assert held(rig) == ["events", "pods", "nodes"]
    rig.delete(Key(RESOURCE, "", "b"))
    assert held(rig) == ["events", "pods"]


def test_what_somebody_writes_into_it_by_hand_is_replaced(rig: Rig) -> None:
    rig.create(role("b", "pods", part="yes"))
    made = sum_of({"part": "yes"})
    rig.create({**made, "rules": role("x", "secrets")["rules"]})
    assert held(rig) == ["pods"]
