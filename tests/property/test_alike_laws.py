"""What is remembered of pods changes no answer: each pod is told the same as if it was the first of its kind."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from actors.api.errors import ApiError
from actors.store.admission.alike import Alike

ODD = st.sampled_from([None, True, False, 0, 1, 1.0, "", "a", "b", [], {}, ["a"], ["b", "c"], [1], [None], "text"])
ENV = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["A", "B", "", "="])},
        optional={"value": ODD, "valueFrom": st.sampled_from([None, {"fieldRef": {"fieldPath": "metadata.name"}}])},
    ),
    max_size=2,
)
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from(["main", "main", "Bad"]), "image": st.sampled_from(["host", "host", ""])},
    optional={
        "command": ODD,
        "args": ODD,
        "env": ENV | ODD,
        "wombat": ODD,
        "resources": st.sampled_from([{"limits": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "1"}}]),
    },
)
SPEC = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINER, min_size=1, max_size=2)},
    optional={"initContainers": st.lists(CONTAINER, max_size=1), "restartPolicy": st.sampled_from(["Never", "Ever"])},
)
POD = st.builds(
    lambda spec, metadata, status: {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **metadata}, "spec": spec, "status": status
    },
    SPEC | ODD,
    st.sampled_from([{}, {}, {"labels": {"a": "b"}}, {"labels": {"a": 1}}, {"wombat": 1}]),
    st.sampled_from([{"phase": "Pending"}, {"phase": "Pending"}, {}]),
)  # fmt: skip


def told(alike: Alike, pod: dict[str, Any]) -> list[Any]:
    """All that it answers: bytes, for the order of members is that of what is stored."""
    try:
        whole, fields = alike.default(pod)
    except ApiError as error:
        return [error.to_status()]
    return [msgspec.json.encode(whole), msgspec.json.encode(fields), alike.find_problems(whole)]


def pod_with(**container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "host", **container}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Pending"}}


@given(st.lists(POD, max_size=6))
@example([pod_with(command=["a"]), pod_with(command=True), pod_with(command="text"), pod_with(command=["b"])])
@example([pod_with(env=[{"name": "A", "value": "x"}]), pod_with(env=[{"name": "A", "value": True}])])
@example([pod_with(env=[{"name": "A", "value": "x"}]), pod_with(env=[{"name": "A", "value": ""}])])
def test_a_pod_is_told_what_the_first_of_its_shape_would_be(pods: list[dict[str, Any]]) -> None:
    alike = Alike()
    for pod in [*pods, *pods]:
        before = copy.deepcopy(pod)
        assert told(alike, pod) == told(Alike(), pod)
        assert pod == before


def test_what_is_shared_is_not_changed_by_who_gets_it() -> None:
    """Text of one pod is never seen in another's."""
    alike = Alike()
    first, _ = alike.default(pod_with(env=[{"name": "A", "value": "secret"}], command=["one"], args=["x"]))
    second, _ = alike.default(pod_with(env=[{"name": "A", "value": "other"}], command=["two"], args=["y", "z"]))
    assert first["spec"]["containers"][0]["env"] == [{"name": "A", "value": "secret"}]
    assert second["spec"]["containers"][0]["env"] == [{"name": "A", "value": "other"}]
    assert [pod["spec"]["containers"][0]["command"] for pod in (first, second)] == [["one"], ["two"]]
    assert [pod["spec"]["containers"][0]["args"] for pod in (first, second)] == [["x"], ["y", "z"]]
