"""Two shapes of one stored object: there and back again changes nothing."""

from __future__ import annotations

import json

import pytest

from actors.api.codec import decode, encode
from actors.api.conversion import shown, to_stored, to_view
from actors.api.key import Key, Stored
from actors.api.kinds import EVENT, SERVED, Kind, kind_for, kind_of
from actors.api.schema import check_object

EVENT_VIEW = kind_for("events.k8s.io/v1", "Event")
SCALER_VIEW = kind_for("autoscaling/v1", "HorizontalPodAutoscaler")
SCALER = kind_of("horizontalpodautoscalers.autoscaling")
assert EVENT_VIEW is not None and SCALER_VIEW is not None

CORE_EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "e", "namespace": "default", "resourceVersion": "4"},
    "involvedObject": {"kind": "Pod", "name": "p"},
    "message": "started",
    "reason": "Started",
    "source": {"component": "kubelet", "host": "n"},
    "firstTimestamp": "2026-11-23T10:00:00Z",
    "lastTimestamp": "2026-11-23T10:00:05Z",
    "count": 2,
    "reportingComponent": "kubelet",
    "reportingInstance": "n",
    "type": "Normal",
}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
PODS = {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "h", "annotations": {"mine": "1"}},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "minReplicas": 1,
        "maxReplicas": 9,
        "metrics": [CPU, PODS],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
    },
    "status": {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale", "status": "True"}]},
}


@pytest.mark.parametrize(("stored", "view"), [(CORE_EVENT, EVENT_VIEW), (AUTOSCALER, SCALER_VIEW)])
def test_there_and_back(stored: dict, view: Kind) -> None:
    before = json.dumps(stored)
    seen = to_view(stored, view)
    assert check_object(seen, view.api_version, view.kind).unknown == ()
    assert to_stored(seen, view) == stored
    assert json.dumps(stored) == before


def test_an_event_by_its_new_names() -> None:
    seen = to_view(CORE_EVENT, EVENT_VIEW)
    assert (seen["apiVersion"], seen["note"], seen["regarding"]["name"]) == ("events.k8s.io/v1", "started", "p")
    assert (seen["deprecatedCount"], seen["reportingController"]) == (2, "kubelet")
    assert not seen.keys() & {"message", "involvedObject", "count"}


def test_an_autoscaler_of_version_one() -> None:
    seen = to_view(AUTOSCALER, SCALER_VIEW)
    assert seen["spec"].keys() == {"scaleTargetRef", "minReplicas", "maxReplicas", "targetCPUUtilizationPercentage"}
    assert seen["spec"]["targetCPUUtilizationPercentage"] == 60
    kept = json.loads(seen["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"])
    assert kept == [PODS] and seen["metadata"]["annotations"]["mine"] == "1"


@pytest.mark.parametrize("text", ["", "{", "7", '"x"', None])
def test_annotations_that_are_not_what_they_should_be_count_as_nothing(text: str | None) -> None:
    seen = to_view(AUTOSCALER, SCALER_VIEW)
    seen["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"] = text
    assert to_stored(seen, SCALER_VIEW)["spec"]["metrics"] == [CPU]


def test_a_stored_object_is_shown_without_being_changed() -> None:
    stored = Stored(Key("events", "default", "e"), 4, 4, "u", encode(CORE_EVENT))
    assert shown(stored, EVENT) is stored
    seen = shown(stored, EVENT_VIEW)
    assert seen.revision == 4 and decode(seen)["note"] == "started"
    assert decode(stored)["message"] == "started"


def test_every_view_has_a_stored_kind_and_is_found_by_its_version() -> None:
    for kind in SERVED:
        assert kind.storage.stored_as == ""
        assert kind.storage.view(kind.api_version) is kind
    assert SCALER.view("") is SCALER and SCALER.view("v1") is SCALER
