"""Kinds beside the workloads: every row can be stored; views, scales and approvals of one stored object."""

from __future__ import annotations

import pytest
from store_support import Desk, error_of, obj_of

from actors.api.key import Key
from actors.api.kinds import SERVED, kind_of
from actors.gateway.served import SUBRESOURCES
from actors.reconcile.actions import PatchType
from actors.store.admission.subresource import scale_of

CONTROLLER = Key("replicationcontrollers", "default", "rc")
REQUEST = Key("certificatesigningrequests.certificates.k8s.io", "", "me")
SCALER = Key("horizontalpodautoscalers.autoscaling", "default", "h")
PEM = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_scale_of_a_kind_whose_selector_is_a_plain_map(desk: Desk) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"a": "b"}, "template": template}
    made = obj_of(desk.create("replicationcontrollers", {"metadata": {"name": "rc"}, "spec": spec}))
    scale = scale_of(made, kind_of("replicationcontrollers"))
    assert (scale["spec"], scale["status"]["selector"]) == ({"replicas": 2}, "a=b")
    assert obj_of(desk.patch(CONTROLLER, {"spec": {"replicas": 5}}, subresource="scale"))["spec"]["replicas"] == 5


def test_an_approval_changes_conditions_and_nothing_else(desk: Desk) -> None:
    spec = {"request": PEM, "signerName": "example.com/x", "usages": ["client auth"]}
    obj_of(desk.create(REQUEST.resource, {"metadata": {"name": "me"}, "spec": spec}, ""))
    condition = {"type": "Approved", "status": "True", "reason": "ByMe", "message": "ok"}
    status = {"conditions": [condition], "certificate": "aGk="}
    approved = obj_of(desk.patch(REQUEST, {"status": status, "spec": {"usages": []}}, subresource="approval"))
    assert approved["spec"]["usages"] == ["client auth"] and "certificate" not in approved["status"]
    assert [row["type"] for row in approved["status"]["conditions"]] == ["Approved"]


def test_who_tells_the_status_of_a_request_does_not_approve_it(desk: Desk) -> None:
    spec = {"request": PEM, "signerName": "example.com/x", "usages": ["client auth"]}
    obj_of(desk.create(REQUEST.resource, {"metadata": {"name": "me"}, "spec": spec}, ""))
    approved, failed = ({"type": name, "status": "True"} for name in ("Approved", "Failed"))
    told = obj_of(desk.patch(REQUEST, {"status": {"conditions": [approved]}}, subresource="status"))
    assert "conditions" not in told["status"]
    obj_of(desk.patch(REQUEST, {"status": {"conditions": [approved]}}, subresource="approval"))
    told = obj_of(desk.patch(REQUEST, {"status": {"conditions": [failed]}}, subresource="status"))
    assert [row["type"] for row in told["status"]["conditions"]] == ["Approved", "Failed"]


def test_a_patch_is_read_in_the_shape_of_the_version_it_is_sent_to(desk: Desk) -> None:
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 9}}}
    obj_of(desk.create(SCALER.resource, {"metadata": {"name": "h"}, "spec": spec}))
    patch = {"spec": {"targetCPUUtilizationPercentage": 55}}
    stored = obj_of(desk.patch(SCALER, patch, PatchType.STRATEGIC, api_version="autoscaling/v1"))
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
    assert stored["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 9
    assert error_of(desk.patch(SCALER, {"spec": {"maxReplicas": 6}}, PatchType.JSON, api_version="x/v1"))


def test_an_apply_to_the_older_version(desk: Desk) -> None:
    wanted = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, "targetCPUUtilizationPercentage": 42},
    }
    stored = obj_of(desk.patch(SCALER, wanted, PatchType.APPLY, api_version="autoscaling/v1", manager="me"))
    assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 42


def test_every_subresource_in_the_table_is_one_that_is_served() -> None:
    for kind in SERVED:
        assert set(kind.subresources) <= SUBRESOURCES.keys(), kind.resource
