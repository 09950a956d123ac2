"""LimitRanges: what they fill in, and what they refuse, in Kubernetes' words, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from store_support import Desk, error_of, obj_of

from actors.api.codec import Object
from actors.api.key import Key

ANNOTATION = "kubernetes.io/limit-ranger"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def limit(desk: Desk, *items: Object, name: str = "l", namespace: str = "default") -> None:
    obj_of(desk.create("limitranges", {"metadata": {"name": name}, "spec": {"limits": list(items)}}, namespace))


def pod(*containers: Object, **spec: Any) -> Object:
    rows = [{"name": f"c{n}", "image": "i:1", "resources": resources} for n, resources in enumerate(containers)]
    return {"metadata": {"name": "p"}, "spec": {"containers": rows, **spec}}


def amounts(cpu: str, memory: str) -> dict[str, str]:
    return {"cpu": cpu, "memory": memory}


def refusal(desk: Desk, obj: Object, resource: str = "pods") -> str:
    error = error_of(desk.create(resource, obj))
    assert (error["code"], error["reason"]) == (403, "Forbidden")
    return str(error["message"]).partition(" is forbidden: ")[2]


def test_defaults_are_filled_in_and_told(desk: Desk) -> None:
    limit(desk, {"type": "Container", "default": amounts("1", "1Gi"), "defaultRequest": amounts("100m", "200Mi")})
    init = {"name": "i", "image": "i:1"}
    made = obj_of(
        desk.create("pods", pod({}, {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}, initContainers=[init]))
    )
    first, second = (container["resources"] for container in made["spec"]["containers"])
    assert first == {"requests": amounts("100m", "200Mi"), "limits": amounts("1", "1Gi")}
    assert second == {"requests": amounts("2", "200Mi"), "limits": amounts("2", "1Gi")}
    assert made["spec"]["initContainers"][0]["resources"] == first
    assert made["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: cpu, memory request for container c0; cpu, memory limit for container c0; "
        "memory request for container c1; memory limit for container c1; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )
    assert made["status"]["qosClass"] == "Burstable"


def test_the_class_of_a_pod_follows_from_what_it_was_given(desk: Desk) -> None:
    limit(desk, {"type": "Container", "max": amounts("1", "1Gi")})
    made = obj_of(desk.create("pods", pod({})))
    assert made["spec"]["containers"][0]["resources"]["requests"] == amounts("1", "1Gi")
    assert made["status"]["qosClass"] == "Guaranteed"


def test_a_pod_that_says_all_is_left_alone_and_other_namespaces_are_free(desk: Desk) -> None:
    limit(desk, {"type": "Container", "default": {"cpu": "1"}}, namespace="kube-system")
    made = obj_of(desk.create("pods", pod({})))
    assert not made["spec"]["containers"][0].get("resources") and "annotations" not in made["metadata"]
    assert made["status"]["qosClass"] == "BestEffort"


def test_every_bound_that_is_broken_is_told(desk: Desk) -> None:
    item = {"type": "Container", "min": amounts("100m", "99Mi"), "max": amounts("500m", "500Mi")}
    limit(desk, item, {"type": "Pod", "max": {"cpu": "600m"}})
    low = {"requests": amounts("50m", "10Mi"), "limits": amounts("300m", "600Mi")}
    assert refusal(desk, pod(low, {"requests": amounts("200m", "200Mi"), "limits": amounts("400m", "300Mi")})) == (
        "[minimum cpu usage per Container is 100m, but request is 50m, "
        "minimum memory usage per Container is 99Mi, but request is 10Mi, "
        "maximum memory usage per Container is 500Mi, but limit is 600Mi, "
        "maximum cpu usage per Pod is 600m, but limit is 700m]"
    )
    assert not desk.is_there(Key("pods", "default", "p"))
    assert "maximum cpu usage per Container is 500m, but limit is 1" in refusal(desk, pod({"limits": {"cpu": "1"}}))


def test_ratio_and_what_is_not_specified(desk: Desk) -> None:
    limit(
        desk, {"type": "Pod", "maxLimitRequestRatio": {"cpu": "2"}, "min": {"memory": "1Mi"}, "max": {"memory": "2Mi"}}
    )
    steep = {"requests": {"cpu": "100m"}, "limits": {"cpu": "250m"}}
    assert refusal(desk, pod(steep)) == (
        "[minimum memory usage per Pod is 1Mi.  No request is specified, "
        "maximum memory usage per Pod is 2Mi.  No limit is specified, "
        "cpu max limit to request ratio per Pod is 2, but provided ratio is 2.500000]"
    )
    assert "but no request is specified or request is 0" in refusal(desk, pod({}))
    assert "but no limit is specified or limit is 0" in refusal(desk, pod({"requests": {"cpu": "1"}}))
    fits = {"requests": {"cpu": "100m", "memory": "1Mi"}, "limits": {"cpu": "200m", "memory": "1Mi"}}
    obj_of(desk.create("pods", pod(fits)))


def claim(size: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "volumeName": "v"}
    return {"metadata": {"name": "c"}, "spec": spec}


def test_claims_are_held_to_theirs_also_when_they_grow(desk: Desk) -> None:
    limit(desk, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}})
    assert refusal(desk, claim("512Mi"), "persistentvolumeclaims") == (
        "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"
    )
    assert refusal(desk, claim("3Gi"), "persistentvolumeclaims") == (
        "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
    )
    obj_of(desk.create("persistentvolumeclaims", claim("2Gi")))
    more = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    key = Key("persistentvolumeclaims", "default", "c")
    obj_of(desk.patch(key, {"status": {"phase": "Bound"}}, subresource="status"))
    error = error_of(desk.patch(key, more))
    assert "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi" in error["message"]


def test_a_later_limit_holds_for_later_pods(desk: Desk) -> None:
    obj_of(desk.create("pods", pod({"limits": {"cpu": "4"}})))
    limit(desk, {"type": "Container", "max": {"cpu": "1"}})
    assert desk.patch(Key("pods", "default", "p"), {"metadata": {"labels": {"a": "b"}}}).error is None
    desk.patch(Key("limitranges", "default", "l"), {"spec": {"limits": [{"type": "Container", "max": {"cpu": "8"}}]}})
    obj_of(desk.create("pods", {**pod({"limits": {"cpu": "6"}}), "metadata": {"name": "q"}}))
