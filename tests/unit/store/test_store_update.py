"""Changes: preconditions, what may not change, subresources, generation, what counts as no change."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.key import Key
from actors.api.kinds import DEPLOYMENT
from actors.reconcile.actions import PatchType
from actors.store.admission.subresource import scale_of

POD = Key("pods", "default", "p")
MAP = Key("configmaps", "default", "m")
WEB = Key("deployments.apps", "default", "web")


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    web = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    for resource, obj in (
        ("pods", new_pod("p")),
        ("configmaps", {"metadata": {"name": "m"}, "data": {"k": "v"}}),
        ("deployments.apps", web),
    ):
        obj_of(desk.create(resource, obj))
    return desk


def test_a_stale_revision_is_a_conflict_in_kubernetes_words(desk: Desk) -> None:
    stale = desk.read(MAP)
    obj_of(desk.patch(MAP, {"data": {"k": "new"}}))
    sentence = (
        'Operation cannot be fulfilled on configmaps "m": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    old = int(stale["metadata"]["resourceVersion"])
    for reply in (
        desk.update(MAP, stale),
        desk.patch(MAP, {"data": {"k": "x"}}, revision=old),
        desk.patch(MAP, {"metadata": {"resourceVersion": str(old)}, "data": {"k": "x"}}),
    ):
        error = error_of(reply)
        assert (error["code"], error["reason"], error["message"]) == (409, "Conflict", sentence)
        assert error["details"] == {"name": "m", "kind": "configmaps"}
    web = desk.read(WEB)
    desk.patch(WEB, {"metadata": {"labels": {"a": "b"}}})
    for subresource in ("status", "scale"):
        revision = int(web["metadata"]["resourceVersion"])
        message = error_of(desk.patch(WEB, {"status": {}}, subresource=subresource, revision=revision))["message"]
        assert message.startswith('Operation cannot be fulfilled on deployments.apps "web": '), (
            "the kind alone is named"
        )


def test_another_uid_is_a_conflict(desk: Desk) -> None:
    uid = desk.read(MAP)["metadata"]["uid"]
    error = error_of(desk.patch(MAP, {"data": {}}, uid="other"))
    assert error["message"].endswith(f"Precondition failed: UID in precondition: other, UID in object meta: {uid}")
    obj_of(desk.patch(MAP, {"data": {"k": "x"}}, uid=uid))


def test_generation_counts_what_is_neither_metadata_nor_status(desk: Desk) -> None:
    def generation() -> int:
        return int(desk.read(WEB)["metadata"]["generation"])

    desk.patch(WEB, {"metadata": {"labels": {"a": "b"}}})
    desk.patch(WEB, {"status": {"replicas": 3}}, subresource="status")
    assert generation() == 1
    desk.patch(WEB, {"spec": {"replicas": 3}})
    assert generation() == 2
    desk.patch(MAP, {"data": {"k": "x"}})
    assert "generation" not in desk.read(MAP)["metadata"]


def test_status_and_the_rest_have_a_way_in_each(desk: Desk) -> None:
    desk.patch(WEB, {"status": {"replicas": 9}, "spec": {"replicas": 2}})
    web = desk.read(WEB)
    assert web["spec"]["replicas"] == 2 and "replicas" not in web["status"]
    patch = {"status": {"replicas": 9}, "spec": {"replicas": 7}, "metadata": {"labels": {"x": "y"}}}
    desk.patch(WEB, patch, subresource="status")
    web = desk.read(WEB)
    assert (web["spec"]["replicas"], web["status"]["replicas"]) == (2, 9)
    assert "labels" not in web["metadata"]


def test_a_replacement_without_status_keeps_it(desk: Desk) -> None:
    desk.patch(POD, {"status": {"phase": "Running"}}, subresource="status")
    pod = desk.read(POD)
    del pod["status"]
    pod["metadata"]["labels"] = {"a": "b"}
    assert obj_of(desk.update(POD, pod))["status"]["phase"] == "Running"


@pytest.mark.parametrize("field", ["uid", "creationTimestamp", "namespace", "generation"])
def test_what_a_client_leaves_out_of_metadata_stays(desk: Desk, field: str) -> None:
    web = desk.read(WEB)
    before = web["metadata"].pop(field)
    web["metadata"]["labels"] = {"a": "b"}
    assert obj_of(desk.update(WEB, web))["metadata"][field] == before


def test_creation_time_is_immutable(desk: Desk) -> None:
    error = error_of(desk.patch(MAP, {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}))
    assert error["code"] == 422 and "field is immutable" in error["message"]


def test_names_must_match_the_request(desk: Desk) -> None:
    error = error_of(desk.update(MAP, {"metadata": {"name": "other"}}))
    assert error["message"] == "the name of the object (other) does not match the name on the URL (m)"
    assert error_of(desk.update(MAP, {"metadata": {"name": "m", "namespace": "kube-system"}}))["code"] == 400


FROZEN: list[dict[str, Any]] = [
    {"nodeName": "n1"},
    {"restartPolicy": "Never"},
    {"terminationGracePeriodSeconds": 5},
    {"containers": [{"name": "c", "image": "i:1", "command": ["x"]}]},
    {"hostNetwork": True},
    {"schedulingGates": [{"name": "late"}]},
]


@pytest.mark.parametrize("spec", FROZEN)
def test_a_pods_spec_is_frozen(desk: Desk, spec: dict[str, Any]) -> None:
    error = error_of(desk.patch(POD, {"spec": spec}))
    assert error["code"] == 422
    assert "Forbidden" in error["message"]


def test_a_pods_image_deadline_and_more_tolerations_may_change(desk: Desk) -> None:
    assert (
        obj_of(desk.patch(POD, {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}, PatchType.STRATEGIC))["spec"][
            "containers"
        ][0]["image"]
        == "i:2"
    )
    obj_of(desk.patch(POD, {"spec": {"activeDeadlineSeconds": 100}}))
    obj_of(desk.patch(POD, {"spec": {"activeDeadlineSeconds": 50}}))
    assert error_of(desk.patch(POD, {"spec": {"activeDeadlineSeconds": 60}}))["code"] == 422
    assert error_of(desk.patch(POD, {"spec": {"activeDeadlineSeconds": None}}))["code"] == 422
    more = [*desk.read(POD)["spec"]["tolerations"], {"key": "gpu", "operator": "Exists"}]
    obj_of(desk.patch(POD, {"spec": {"tolerations": more}}))
    assert error_of(desk.patch(POD, {"spec": {"tolerations": more[:-1]}}))["code"] == 422


def test_scheduling_gates_may_go_but_not_come(desk: Desk) -> None:
    gated = Key("pods", "default", "gated")
    obj_of(desk.create("pods", new_pod("gated", schedulingGates=[{"name": "a"}, {"name": "b"}])))
    assert "schedulingGates" in error_of(desk.bind(gated))["message"]
    obj_of(desk.patch(gated, {"spec": {"schedulingGates": [{"name": "b"}]}}))
    assert error_of(desk.patch(gated, {"spec": {"schedulingGates": [{"name": "c"}]}}))["code"] == 422
    obj_of(desk.patch(gated, {"spec": {"schedulingGates": []}}))
    obj_of(desk.bind(gated))


def test_a_bind_is_once_for_all(desk: Desk) -> None:
    patch = {"spec": {"nodeName": "n1", "priority": 9}, "metadata": {"annotations": {"raypod.io/devices": "{}"}}}
    pod = obj_of(desk.patch(POD, patch, subresource="binding"))
    assert pod["spec"]["nodeName"] == "n1" and pod["spec"]["priority"] == 0
    assert pod["metadata"]["annotations"] == {"raypod.io/devices": "{}"}
    [condition] = [c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert condition["status"] == "True"
    assert not desk.bind(POD, "n1").changed
    error = error_of(desk.bind(POD, "n2"))
    assert error["code"] == 409
    assert error["message"] == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )


def test_a_bind_replaces_the_condition_that_said_unschedulable(desk: Desk) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    desk.patch(POD, {"status": {"conditions": [condition]}}, subresource="status")
    conditions = obj_of(desk.bind(POD))["status"]["conditions"]
    assert [(c["type"], c["status"]) for c in conditions] == [("PodScheduled", "True")]


def test_a_bind_may_ask_for_the_revision_it_saw(desk: Desk) -> None:
    seen = desk.engine.get(POD).revision
    desk.patch(POD, {"metadata": {"labels": {"a": "b"}}})
    assert error_of(desk.bind(POD, revision=seen))["reason"] == "Conflict"


@pytest.mark.parametrize("patch", [{}, {"spec": {}}, {"spec": {"nodeName": ""}}, {"spec": {"nodeName": 3}}, [], None])
def test_a_binding_needs_a_node(desk: Desk, patch: Any) -> None:
    assert error_of(desk.patch(POD, patch, subresource="binding"))["code"] == 400


def test_scale_changes_replicas_and_nothing_else(desk: Desk) -> None:
    web = obj_of(desk.patch(WEB, {"spec": {"replicas": 4}, "metadata": {"labels": {"a": "b"}}}, subresource="scale"))
    assert web["spec"]["replicas"] == 4 and "labels" not in web["metadata"]
    scale = scale_of(web, DEPLOYMENT)
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    scale["spec"]["replicas"] = 5
    assert obj_of(desk.update(WEB, scale, "scale"))["spec"]["replicas"] == 5
    assert error_of(desk.update(WEB, scale, "scale"))["reason"] == "Conflict"
    assert error_of(desk.patch(WEB, {"spec": {"replicas": -1}}, subresource="scale"))["code"] == 422
    assert error_of(desk.patch(WEB, {"spec": {"replicas": "x"}}, subresource="scale"))["code"] == 422
    step = [{"op": "replace", "path": "/spec/replicas", "value": 6}]
    assert obj_of(desk.patch(WEB, step, PatchType.JSON, subresource="scale"))["spec"]["replicas"] == 6


@pytest.mark.parametrize("subresource", ["scale", "finalize", "log", "nonsense", "binding"])
def test_a_subresource_that_a_kind_has_not_is_refused(desk: Desk, subresource: str) -> None:
    assert error_of(desk.patch(MAP, {"spec": {"nodeName": "n"}}, subresource=subresource))["code"] in (400, 404, 405)


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    missing = Key("pods", "default", "none")
    for reply in (desk.patch(missing, {}), desk.update(missing, new_pod("none")), desk.delete(missing)):
        error = error_of(reply)
        assert (error["code"], error["message"]) == (404, 'pods "none" not found')


def test_the_object_that_a_caller_handed_in_is_not_changed(desk: Desk) -> None:
    obj = desk.read(WEB)
    obj["spec"]["replicas"] = 3
    given = {**obj, "metadata": {**obj["metadata"]}}
    desk.update(WEB, obj)
    assert obj == given
