from __future__ import annotations

import pytest

from actors.api.errors import BadRequest, Invalid
from actors.api.kinds import DEPLOYMENT, POD
from actors.gateway.fields import admit_object, admit_operations, admit_patch, canonical_time

UNKNOWN = {"spec": {"replicas": 1, "replcas": 2, "template": {"spec": {"containers": [{"name": "a", "imag": "b"}]}}}}


def test_unknown_fields_are_dropped_and_told() -> None:
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, **UNKNOWN}
    admitted = admit_object(obj, DEPLOYMENT, "Warn")
    assert admitted.warnings == (
        'unknown field "spec.replcas"',
        'unknown field "spec.template.spec.containers[0].imag"',
    )
    assert admitted.value["spec"] == {"replicas": 1, "template": {"spec": {"containers": [{"name": "a"}]}}}
    assert admit_object(obj, DEPLOYMENT, "Ignore").warnings == ()
    with pytest.raises(BadRequest, match="strict decoding error: unknown field"):
        admit_object(obj, DEPLOYMENT, "Strict")


def test_values_of_a_wrong_type_are_refused_all_at_once() -> None:
    obj = {"metadata": {"name": 1}, "spec": {"replicas": "two", "template": []}}
    with pytest.raises(BadRequest) as refused:
        admit_object(obj, DEPLOYMENT, "Ignore")
    for path in ("metadata.name", "spec.replicas", "spec.template"):
        assert path in refused.value.message
    assert refused.value.message.startswith('Deployment in version "v1" cannot be handled as a Deployment: ')


def test_patches_keep_nulls_and_directives() -> None:
    patch = {
        "metadata": {"labels": {"a": None}},
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "$patch": "delete", "nope": 1}],
            "volumes": None,
            "$retainKeys": ["x"],
        },
        "nope": {"x": 1},
    }
    admitted = admit_patch(patch, POD, "Warn")
    assert admitted.warnings == ('unknown field "spec.containers[0].nope"', 'unknown field "nope"')
    assert admitted.value == {
        "metadata": {"labels": {"a": None}},
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "$patch": "delete"}],
            "volumes": None,
            "$retainKeys": ["x"],
        },
    }
    with pytest.raises(Invalid, match="must be an integer"):
        admit_patch({"spec": {"replicas": "x"}}, DEPLOYMENT, "Ignore")
    with pytest.raises(BadRequest):
        admit_patch([], POD, "Ignore")


def test_operations_of_a_json_patch() -> None:
    operations = [
        {"op": "test", "path": "/spec/nope", "value": 1},
        {"op": "add", "path": "/spec/nope", "value": 1},
        {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"},
        {"op": "replace", "path": "/spec/containers/0/image", "value": "i"},
        {"op": "add", "path": "/spec/containers/-", "value": {"name": "n", "imag": 1}},
        {"op": "remove", "path": "/spec/nope"},
    ]
    admitted = admit_operations(operations, POD, "Warn")
    assert admitted.warnings == ('unknown field "spec.nope"', 'unknown field "spec.containers[0].imag"')
    assert [operation["path"] for operation in admitted.value] == [
        "/spec/nope",
        "/metadata/labels/a~1b",
        "/spec/containers/0/image",
        "/spec/containers/-",
        "/spec/nope",
    ]
    assert admitted.value[3]["value"] == {"name": "n"}
    for path, value in (("/spec/containers/0/image", 7), ("/metadata/labels/a", {}), ("/spec", "x"), ("", [])):
        with pytest.raises(Invalid):
            admit_operations([{"op": "add", "path": path, "value": value}], POD, "Ignore")


@pytest.mark.parametrize(
    ("text", "micro", "expected"),
    [
        ("2026-11-23T10:00:00Z", False, "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00+00:00", False, "2026-11-23T10:00:00Z"),
        ("2026-11-23T11:30:00.9+01:30", False, "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00.123456789Z", True, "2026-11-23T10:00:00.123456Z"),
        ("2026-11-23T10:00:00Z", True, "2026-11-23T10:00:00.000000Z"),
        ("never", True, "never"),
    ],
)
def test_times_are_brought_to_utc_as_typed_clients_expect(text: str, micro: bool, expected: str) -> None:
    assert canonical_time(text, micro=micro) == expected


def test_times_anywhere_in_an_object() -> None:
    status = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T11:00:00+01:00"}]}
    obj = {"metadata": {"creationTimestamp": "2026-11-23T10:00:00+00:00"}, "status": status}
    admitted = admit_object(obj, POD, "Strict").value
    assert admitted["metadata"]["creationTimestamp"] == "2026-11-23T10:00:00Z"
    assert admitted["status"]["conditions"][0]["lastTransitionTime"] == "2026-11-23T10:00:00Z"


def test_a_pointer_deeper_than_any_object_is_not_followed() -> None:
    """Two megabytes of steps: following each from the beginning would take an hour."""
    operations = [
        {"op": "add", "path": "/spec/wombat", "value": 1},
        {"op": "add", "path": "/a" * 1_000_000, "value": 1},
    ]
    assert admit_operations(operations, POD, "Warn").value == operations[1:]
