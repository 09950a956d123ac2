"""A commit of many pods makes of each what a commit of its own would: nothing is passed on but what is alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.api.key import Key
from actors.reconcile.actions import Create, Patch, Reply, StoreWrite
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds

NOW = 1_700_000_000_000
NAMES = st.sampled_from(["a", "b", "c", "d", "UPPER", "", None, 7])
TEXT = st.sampled_from([["run", "1"], ["run", "2"], "wrong", None])
CONTAINER = st.fixed_dictionaries(
    {"name": st.just("main"), "image": st.just("host"), "command": TEXT},
    optional={"env": st.lists(st.sampled_from([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), max_size=1)},
)


def pod(name: Any, container: dict[str, Any], **metadata: Any) -> Create:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [container]},
    }
    return Create(resource="pods", namespace="default", object=body, manager="test", user="ann")


def limits(name: str, cpu: str) -> Create:
    spec = {"limits": [{"type": "Container", "default": {"cpu": cpu}}]}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": spec}
    return Create(resource="limitranges", namespace="default", object=body)


def quota(pods: str) -> Create:
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": pods}}}
    return Create(resource="resourcequotas", namespace="default", object=body)


def security(level: str) -> Patch:
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("warn", "audit", "enforce")}
    return Patch(key=Key("namespaces", "", "default"), patch={"metadata": {"labels": labels}})


MAIN = {"name": "main", "image": "host", "command": ["run", "1"]}
OTHER = {**MAIN, "command": ["run", "2"]}
PODS = st.builds(pod, NAMES, CONTAINER) | st.builds(
    lambda container: pod(None, container, generateName="made-"), CONTAINER
)
WORLD = st.sampled_from(
    [limits("l1", "1"), limits("l2", "2"), quota("2"), security("privileged"), security("restricted"), None]
)


def engine() -> Engine:
    made = Engine(MemoryBackend(), SeededIds("twins"), StoreConfig())
    made.commit(bootstrap_writes(StoreConfig()), NOW)
    return made


def told(reply: Reply) -> Any:
    body = reply.stored.body if reply.stored is not None else None
    return body, reply.error, reply.warnings, reply.audit


@given(st.lists(PODS | PODS | PODS | WORLD.filter(bool), max_size=8))
@example([pod("a", MAIN), limits("l1", "1"), pod("b", MAIN), limits("l2", "2"), pod("c", MAIN)])
@example([pod("a", MAIN), pod("b", OTHER), pod("a", MAIN), pod("UPPER", MAIN), pod(7, MAIN)])
@example([quota("2"), pod("a", MAIN), pod("b", MAIN), pod("c", MAIN)])
@example([security("restricted"), pod("a", MAIN), pod("b", MAIN)])
@example([pod("a", MAIN), security("restricted"), pod("b", MAIN)])
@example([pod(None, MAIN, generateName="made-"), pod(None, OTHER, generateName="made-")])
def test_a_commit_of_many_makes_what_many_commits_make(writes: list[StoreWrite]) -> None:
    together, apart = engine(), engine()
    replies = together.commit(writes, NOW)
    assert [told(reply) for reply in replies] == [told(apart.commit([write], NOW)[0]) for write in writes]
    assert together.revision == apart.revision


def test_ten_of_a_template_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes a large batch quick, told by the one thing that each look-up of it costs."""
    asked: list[str] = []
    made = engine()
    scan = made.log.keys

    def spy(resource: str, namespace: str) -> Any:
        asked.append(resource)
        return scan(resource, namespace)

    monkeypatch.setattr(made.log, "keys", spy)
    replies = made.commit([pod(f"p{number}", MAIN) for number in range(10)], NOW)
    assert all(reply.error is None for reply in replies)
    assert asked.count("limitranges") == 2
