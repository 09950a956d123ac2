"""The quick ways against the thorough ones: what conforms is what the walk lets pass unchanged, the fields of a new object
are those that flattening finds, and no duplicate is overlooked.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from actors.api.conform import conforms
from actors.api.kinds import POD
from actors.api.schema import check_object
from actors.gateway.duplicates import find_repeats
from actors.gateway.fields import _canonical
from actors.gateway.media import Body
from actors.store.admission.fieldset import encode_fields, flatten, root_of
from actors.store.admission.fieldtree import fields_of_new

TEXTS = st.sampled_from(["a", "b", "", "1", "100m", "2026-11-23T10:20:30Z", "2026-11-23T12:20:30+02:00", "null", "é"])
ODD = st.sampled_from([None, True, False, 0, 1, -1, 1.5, 2**70, [], {}, [None], {"x": None}]) | TEXTS
NAMES = st.sampled_from(["name", "value", "image", "wombat"])
PORTS = st.lists(
    st.fixed_dictionaries({"containerPort": st.integers(1, 3)}, optional={"protocol": TEXTS, "name": ODD}), max_size=3
)
ENV = st.lists(st.fixed_dictionaries({"name": TEXTS}, optional={"value": ODD, "valueFrom": ODD}), max_size=3)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXTS},
        optional={
            "image": ODD,
            "env": ENV | ODD,
            "ports": PORTS | ODD,
            "command": st.lists(ODD, max_size=2),
            "resources": st.fixed_dictionaries({}, optional={"limits": st.dictionaries(TEXTS, ODD, max_size=2)}),
            "wombat": ODD,
        },
    ),
    max_size=3,
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "name": ODD,
        "labels": st.dictionaries(TEXTS, ODD, max_size=3) | ODD,
        "finalizers": st.lists(TEXTS, max_size=3, unique=True) | ODD,
        "creationTimestamp": ODD,
        "generation": ODD,
    },
)
PODS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Pod")},
    optional={
        "metadata": METADATA,
        "spec": st.fixed_dictionaries(
            {}, optional={"containers": CONTAINERS, "nodeName": ODD, "nodeSelector": ODD, "tolerations": ODD}
        )
        | ODD,
        "status": st.fixed_dictionaries({}, optional={"startTime": ODD, "phase": ODD}) | ODD,
        "wombat": ODD,
    },
)


@given(PODS)
def test_what_conforms_passes_the_walk_unchanged(pod: dict[str, Any]) -> None:
    checked = check_object(pod, "v1", "Pod")
    passes = not checked.unknown and not checked.problems
    kept = passes and repr(_canonical(checked.object, "core.v1.Pod")) == repr(pod)
    if conforms(pod, "v1", "Pod"):
        assert passes and kept
    elif kept:
        assert "T" in json.dumps(pod), "only what is about times may be walked for nothing"


def test_most_of_what_is_sent_conforms() -> None:
    container = {
        "name": "c",
        "image": "i",
        "resources": {"limits": {"cpu": "1", "memory": 5}},
        "ports": [{"containerPort": 1}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": None},
        "spec": {"containers": [container]},
    }
    assert conforms(pod, "v1", "Pod")
    assert not conforms({**pod, "spec": {"containers": [{**container, "wombat": 1}]}}, "v1", "Pod")
    assert not conforms({"apiVersion": "example.com/v1", "kind": "Wombat"}, "example.com/v1", "Wombat")


def _valid(pod: dict[str, Any]) -> bool:
    """As far as lists with keys need it: none twice."""
    return conforms(pod, "v1", "Pod") and all(
        len({json.dumps(item, sort_keys=True) for item in keys}) == len(keys)
        for keys in _keys((pod.get("spec") or {}).get("containers") or [])
    )


def _keys(containers: list[Any]) -> list[list[Any]]:
    lists = [[container["name"] for container in containers]]
    for container in containers:
        lists.append([item["name"] for item in container.get("env") or []])
        lists.append([(port["containerPort"], port.get("protocol", "TCP")) for port in container.get("ports") or []])
    return lists


@given(PODS.filter(_valid))
def test_the_fields_of_a_new_object_are_those_that_flattening_finds(pod: dict[str, Any]) -> None:
    pod.setdefault("metadata", {})
    pod = {name: value for name, value in pod.items() if value is not None}
    root = root_of(POD)
    assert json.dumps(fields_of_new(pod, root)) == json.dumps(encode_fields(flatten(pod, root, status=False)))


VALUES: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(['"a"', '"\\""', '"\\u0022"', "1", "null", "1e5", '"é"', "[]"]),
    lambda inner: (
        st.lists(st.tuples(NAMES, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    ),
    max_leaves=8,
)


@given(VALUES)
@example('{"a":1,"a":"b"}')
@example('{"a\\u0022":1,"b":1,"b":2}')
def test_no_duplicate_is_overlooked(value: str) -> None:
    found: list[bool] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(value, object_pairs_hook=look)
    assert bool(find_repeats(value.encode(), Body.JSON, json.loads(value)).told) == any(found)
