"""Claims of StatefulSets: made before their pods, owned as the retention policy says (KEP-1847)."""

from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, node, start

from actors.api.key import Key

SET, CLAIMS = Key("statefulsets.apps", "default", "web"), "persistentvolumeclaims"
OWN, POD = {"kind": "StatefulSet", "name": "web"}, {"kind": "Pod", "name": "web-1"}


def make(rig: Rig, when_deleted: str = "Retain", when_scaled: str = "Retain", replicas: int = 2) -> None:
    rig.create(node("n", cpu=64))
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
    claim = {"metadata": {"name": "a-b", "labels": {"tier": "db"}, "annotations": {"note": "kept"}}, "spec": size}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "serviceName": "web",
        "podManagementPolicy": "Parallel",
        "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": when_scaled},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
    }
    rig.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"}, "spec": spec})
    run(rig)


def run(rig: Rig) -> None:
    rig.settle()
    for pod in rig.list("pods"):
        if pod["status"]["phase"] == "Pending":
            start(rig, pod["metadata"]["name"])
    rig.settle()


def scale(rig: Rig, replicas: int) -> None:
    rig.patch(SET, {"spec": {"replicas": replicas}})
    rig.settle()


def owners(rig: Rig) -> dict[str, list[dict[str, Any]]]:
    """Of each claim, kind and name of what owns it."""
    found = {c["metadata"]["name"]: c["metadata"].get("ownerReferences", []) for c in rig.list(CLAIMS)}
    return {name: [{"kind": ref["kind"], "name": ref["name"]} for ref in refs] for name, refs in found.items()}


@pytest.mark.parametrize(
    ("when_deleted", "when_scaled", "stays", "beyond"),
    [
        ("Retain", "Retain", [], []),
        ("Delete", "Retain", [OWN], [OWN]),
        ("Retain", "Delete", [], [POD]),
        ("Delete", "Delete", [OWN], [POD]),
    ],
)
def test_whose_a_claim_is(rig: Rig, when_deleted: str, when_scaled: str, stays: list[Any], beyond: list[Any]) -> None:
    make(rig, when_deleted, when_scaled)
    assert owners(rig) == {"a-b-web-0": stays, "a-b-web-1": stays}
    scale(rig, 1)
    assert "deletionTimestamp" in rig.get("pods", "web-1")["metadata"]
    assert owners(rig) == {"a-b-web-0": stays, "a-b-web-1": beyond}
    rig.delete(Key("pods", "default", "web-1"), grace_period_seconds=0)
    rig.settle()
    assert (rig.get(CLAIMS, "a-b-web-1") is None) is (when_scaled == "Delete")
    rig.delete(SET)
    rig.settle()
    for pod in rig.list("pods"):
        rig.delete(Key("pods", "default", pod["metadata"]["name"]), grace_period_seconds=0)
    rig.settle()
    assert (rig.get(CLAIMS, "a-b-web-0") is None) is (when_deleted == "Delete")


def test_a_claim_is_as_its_template_and_the_selector_say(rig: Rig) -> None:
    make(rig, replicas=1)
    meta = rig.get(CLAIMS, "a-b-web-0")["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"tier": "db", "app": "web"}, {"note": "kept"})
    told = [event["message"] for event in rig.list("events") if event["reason"] == "SuccessfulCreate"]
    assert "create Claim a-b-web-0 Pod web-0 in StatefulSet web success" in told


def test_no_pod_without_its_claims(rig: Rig) -> None:
    hard = {"hard": {"persistentvolumeclaims": "1"}}
    rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    make(rig)
    assert [pod["metadata"]["name"] for pod in rig.list("pods")] == ["web-0"]
    rig.patch(Key("resourcequotas", "default", "q"), {"spec": {"hard": {"persistentvolumeclaims": "2"}}})
    rig.advance(60_000)
    assert len(rig.list("pods")) == 2


def test_a_pod_waits_while_a_claim_of_before_is_on_its_way_out(rig: Rig) -> None:
    make(rig, replicas=1)
    claim = Key(CLAIMS, "default", "a-b-web-0")
    rig.patch(claim, {"metadata": {"finalizers": ["example.com/slow"]}})
    rig.delete(claim)
    rig.delete(Key("pods", "default", "web-0"), grace_period_seconds=0)
    rig.settle()
    assert rig.list("pods") == []
    rig.patch(claim, {"metadata": {"finalizers": None}})
    rig.settle()
    assert len(rig.list("pods")) == len(rig.list(CLAIMS)) == 1


def test_the_set_that_has_a_pod_again_has_its_claim_again(rig: Rig) -> None:
    """Scaled down and up before the pod was gone."""
    make(rig, "Delete", "Delete")
    scale(rig, 1)
    assert owners(rig)["a-b-web-1"] == [POD]
    scale(rig, 2)
    assert owners(rig)["a-b-web-1"] == [OWN]
