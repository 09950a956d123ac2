"""DELETE: preconditions, finalizers, grace, propagation, collections."""

from __future__ import annotations

import pytest
from api_client import Api, config_map

MAPS = "configmaps"


def _pod(name: str, **spec: object) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_preconditions_hold_or_nothing_happens(api: Api) -> None:
    made = api.make("a")["metadata"]
    for wanted in ({"uid": "another"}, {"resourceVersion": "1"}, {"uid": made["uid"], "resourceVersion": "1"}):
        status = api.delete(f"{MAPS}/a", {"preconditions": wanted}).refused(409, "Conflict")
        assert "in the precondition" in status["message"]
        api.delete(MAPS, {"preconditions": wanted}).refused(409, "Conflict")
    wanted = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    gone = api.delete(f"{MAPS}/a", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": wanted}).ok()
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "a", "kind": "configmaps", "uid": made["uid"]}


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"propagationPolicy": "Sideways"}, 422, "propagationPolicy"),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "propagationPolicy"),
        ({"dryRun": ["Some"]}, 422, "dryRun"),
        ({"dryRun": ["Some"], "propagationPolicy": "Sideways"}, 422, "propagationPolicy"),
        ({"gracePeriodSeconds": "soon"}, 400, ""),
        ({"kind": "Pod"}, 400, ""),
        ({"preconditions": []}, 400, ""),
        ([], 400, ""),
    ],
)
def test_delete_options_that_cannot_be_meant(api: Api, body: object, code: int, told: str) -> None:
    api.make("a")
    for path in (f"{MAPS}/a", MAPS):
        answer = api.delete(path, body)
        answer.refused(code, "Invalid" if code == 422 else "BadRequest")
        assert not told or told in answer.causes
    api.get(f"{MAPS}/a").ok()


def test_finalizers_hold_an_object_and_can_only_go(api: Api) -> None:
    metadata = {"name": "a", "finalizers": ["example.com/one", "example.com/two"]}
    api.post(MAPS, {**config_map("a", x="1"), "metadata": metadata}).ok()
    dying = api.delete(f"{MAPS}/a").ok()
    assert dying["metadata"]["deletionTimestamp"] and dying["metadata"]["deletionGracePeriodSeconds"] == 0
    assert api.delete(f"{MAPS}/a").ok()["metadata"]["resourceVersion"] == dying["metadata"]["resourceVersion"]
    assert api.patch("merge", f"{MAPS}/a", {"data": {"x": "2"}}).ok()["data"] == {"x": "2"}
    refused = api.patch("json", f"{MAPS}/a", [{"op": "add", "path": "/metadata/finalizers/-", "value": "a/late"}])
    refused.refused(422, "Invalid")
    assert "no new finalizers can be added" in refused.causes["metadata.finalizers"]
    watch = api.watch(MAPS, resourceVersion=api.get(MAPS).revision)
    api.patch("merge", f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/two"]}}).ok()
    api.patch("merge", f"{MAPS}/a", {"metadata": {"finalizers": None}}).ok()
    api.get(f"{MAPS}/a").refused(404, "NotFound")
    assert watch.told() == [("MODIFIED", "a"), ("DELETED", "a")]


def test_grace_is_for_pods_on_nodes_and_only_shrinks(api: Api) -> None:
    api.post("pods", _pod("unbound")).ok()
    assert api.delete("pods/unbound").ok()["kind"] == "Pod"
    api.get("pods/unbound").refused(404, "NotFound")
    made = api.post("pods", _pod("bound", nodeName="n1", terminationGracePeriodSeconds=20)).ok()
    assert made["metadata"].get("generation") in (None, 1)
    assert api.delete("pods/bound").ok()["metadata"]["deletionGracePeriodSeconds"] == 20
    assert api.delete("pods/bound", {"gracePeriodSeconds": 60}).ok()["metadata"]["deletionGracePeriodSeconds"] == 20
    shorter = api.delete("pods/bound", {"gracePeriodSeconds": 5}).ok()["metadata"]
    assert (shorter["deletionGracePeriodSeconds"], api.get("pods/bound").code) == (5, 200)
    api.delete("pods/bound", {"gracePeriodSeconds": 0}).ok()
    api.get("pods/bound").refused(404, "NotFound")


def test_propagation_becomes_a_finalizer_for_the_collector(api: Api) -> None:
    for name, body, code, finalizers in (
        ("fore", {"propagationPolicy": "Foreground"}, 200, ["foregroundDeletion"]),
        ("orphan", {"propagationPolicy": "Orphan"}, 200, ["orphan"]),
        ("old", {"orphanDependents": True}, 200, ["orphan"]),
    ):
        api.make(name)
        answer = api.delete(f"{MAPS}/{name}", body)
        assert (answer.code, answer.json["metadata"]["finalizers"]) == (code, finalizers)
        assert api.get(f"{MAPS}/{name}").json["metadata"]["deletionTimestamp"]
    api.make("back")
    api.delete(f"{MAPS}/back", {"propagationPolicy": "Background"}).ok()
    api.get(f"{MAPS}/back").refused(404, "NotFound")
    held = {**config_map("held"), "metadata": {"name": "held", "finalizers": ["a.io/x"]}}
    api.post(MAPS, held).ok()
    assert api.delete(f"{MAPS}/held", {"orphanDependents": False}).code == 202


def test_collections_go_as_selected(api: Api) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")):
        api.make(name, {"l": label})
    assert api.delete(MAPS, labelSelector="l=x", fieldSelector="metadata.name!=b").names == ["a"]
    assert api.delete(MAPS, labelSelector="l=y", limit=1).names == ["c"]
    assert api.get(MAPS).names == ["b", "d"]
    api.delete(MAPS, labelSelector="l in").refused(400, "BadRequest")
    api.delete(MAPS, fieldSelector="data.x=1").refused(400, "BadRequest")
    assert api.delete(MAPS, {"kind": "DeleteOptions", "dryRun": ["All"]}).names == ["b", "d"]
    listed = api.delete(MAPS)
    assert (listed.json["kind"], listed.names, api.get(MAPS).names) == ("ConfigMapList", ["b", "d"], [])
    api.delete("/api/v1/namespaces").refused(405, "MethodNotAllowed")
