"""Parts of a pod with a way in of their own: ephemeral containers are only added, a resize changes CPU and memory."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.key import Key
from actors.reconcile.actions import PatchType

KEY = Key("pods", "default", "p")
DEBUGGER = {"name": "debugger", "image": "busybox:1", "targetContainerName": "c"}


def desk(**container: Any) -> Desk:
    at = Desk()
    obj_of(at.create("pods", new_pod("p", containers=[{"name": "c", "image": "i:1", **container}])))
    return at


def debugged(at: Desk, *containers: dict[str, Any], kind: PatchType = PatchType.STRATEGIC) -> Any:
    return at.patch(KEY, {"spec": {"ephemeralContainers": list(containers)}}, kind, subresource="ephemeralcontainers")


def causes(error: dict[str, Any]) -> list[tuple[str, str]]:
    return [(cause["field"], cause["reason"].removeprefix("FieldValue")) for cause in error["details"]["causes"]]


def test_an_ephemeral_container_is_added_with_its_defaults() -> None:
    at = desk()
    pod = obj_of(debugged(at, DEBUGGER))
    added = pod["spec"]["ephemeralContainers"]
    assert added[0] == {
        **DEBUGGER,
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    }
    assert pod["metadata"]["generation"] == 2
    again = obj_of(debugged(at, {"name": "second", "image": "busybox:1"}))
    assert [container["name"] for container in again["spec"]["ephemeralContainers"]] == ["second", "debugger"]


def test_nothing_else_of_the_pod_changes_on_that_way() -> None:
    at = desk()
    pod = at.read(KEY)
    pod["spec"]["containers"][0]["image"] = "other:1"
    pod["metadata"]["labels"] = {"a": "b"}
    pod["spec"]["ephemeralContainers"] = [DEBUGGER]
    changed = obj_of(at.update(KEY, pod, "ephemeralcontainers"))
    assert changed["spec"]["containers"][0]["image"] == "i:1"
    assert "labels" not in changed["metadata"]
    assert [container["name"] for container in changed["spec"]["ephemeralContainers"]] == ["debugger"]


def test_ephemeral_containers_stay_as_they_are() -> None:
    at = desk()
    obj_of(debugged(at, DEBUGGER))
    changed = error_of(debugged(at, {**DEBUGGER, "image": "other:1"}, kind=PatchType.MERGE))
    assert causes(changed) == [("spec.ephemeralContainers", "Forbidden")]
    assert 'existing ephemeral containers "debugger" may not be changed' in changed["message"]
    removed = error_of(debugged(at, kind=PatchType.MERGE))
    assert 'existing ephemeral containers "debugger" may not be removed' in removed["message"]


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({"name": "c", "image": "i"}, [("spec.ephemeralContainers[0].name", "Duplicate")]),
        ({"name": "d"}, [("spec.ephemeralContainers[0].image", "Required")]),
        ({**DEBUGGER, "targetContainerName": "x"}, [("spec.ephemeralContainers[0].targetContainerName", "NotFound")]),
        (
            {**DEBUGGER, "ports": [{"containerPort": 1}], "resources": {"limits": {"cpu": "1"}}},
            [("spec.ephemeralContainers[0].ports", "Forbidden"), ("spec.ephemeralContainers[0].resources", "Forbidden")],
        ),
    ],
)  # fmt: skip
def test_what_an_ephemeral_container_may_not_have(container: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert causes(error_of(debugged(desk(), container))) == found


def test_ephemeral_containers_come_by_their_own_way_only() -> None:
    at = desk()
    error = error_of(at.create("pods", new_pod("q", ephemeralContainers=[DEBUGGER])))
    assert causes(error) == [("spec.ephemeralContainers", "Forbidden")]
    plain = error_of(at.patch(KEY, {"spec": {"ephemeralContainers": [DEBUGGER]}}))
    assert causes(plain) == [("spec", "Forbidden")]


def resized(at: Desk, kind: PatchType = PatchType.STRATEGIC, **resources: Any) -> Any:
    patch = {"spec": {"containers": [{"name": "c", "image": "ignored:1", "resources": resources}]}}
    return at.patch(KEY, patch, kind, subresource="resize")


def test_a_resize_changes_resources_and_nothing_else() -> None:
    at = desk(resources={"requests": {"cpu": "1", "memory": "1Gi"}})
    pod = obj_of(resized(at, requests={"cpu": "2"}))
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}
    assert pod["spec"]["containers"][0]["image"] == "i:1"
    assert pod["metadata"]["generation"] == 2
    assert causes(
        error_of(
            at.patch(
                KEY,
                {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "3"}}}]}},
                PatchType.STRATEGIC,
            )
        )
    ) == [("spec", "Forbidden")]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"requests": {"cpu": "1"}}, {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "Pod QOS Class may not change"),
        ({"requests": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "1"}}, "resource requests cannot be removed"),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}, "only cpu and memory resources are mutable"),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "-1"}}, "must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_what_a_resize_may_not_do(before: dict[str, Any], after: dict[str, Any], words: str) -> None:
    at = desk(resources=before)
    assert words in error_of(resized(at, PatchType.MERGE, **after))["message"]


def test_equal_amounts_are_one_class_however_they_are_written() -> None:
    at = desk(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}})
    assert at.read(KEY)["status"]["qosClass"] == "Guaranteed"
