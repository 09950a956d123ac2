"""Nodes that Ray saw die are told to the store, in time and not before, and taken back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.api.codec import lens
from actors.api.key import Key
from actors.api.kinds import NODE
from actors.api.node import TAINT_NOT_READY, TAINT_OUT_OF_SERVICE, Node
from actors.cluster.lost_nodes import BY_RAY, LostNodes, plan_taint
from actors.cluster.topology import RayNode
from actors.reconcile.actions import Create, Patch
from actors.store.local import LocalStore

GRACE = 8_000
OTHER = {"key": "dedicated", "effect": "NoSchedule", "value": "gpu"}


def ray_node(name: str, alive: bool) -> RayNode:
    return RayNode(id=f"id-{name}-{alive}", alive=alive, labels={"raypod.io/node": name})


async def store_with(*names: str, taints: list[dict[str, Any]] | None = None) -> LocalStore:
    store = LocalStore()
    for name in names:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": taints or []}}
        (reply,) = await store.commit([Create(resource=NODE.resource, namespace="", object=node)])
        assert reply.error is None
    return store


async def taints_of(store: LocalStore, name: str) -> list[tuple[str, str]]:
    node = lens(await store.get(Key(NODE.resource, "", name)), Node)
    return [(taint.key, taint.value) for taint in node.spec.taints or () if taint.key != TAINT_NOT_READY]


async def test_a_node_goes_out_of_service_after_the_grace_period_and_comes_back() -> None:
    store = await store_with("h1", "h2", taints=[OTHER])
    lost, own = LostNodes(store, GRACE), (TAINT_OUT_OF_SERVICE, BY_RAY)
    here, away = [ray_node("h1", True), ray_node("h2", True)], [ray_node("h1", True), ray_node("h2", False)]
    for now, nodes, tainted in (
        (0, here, False), (1_000, away, False), (8_999, away, False), (9_000, away, True), (60_000, away, True),
        (61_000, here, False),
    ):  # fmt: skip
        await lost.observe(nodes, now)
        assert (own in await taints_of(store, "h2")) == tainted, now
        assert ("dedicated", "gpu") in await taints_of(store, "h2")
        assert own not in await taints_of(store, "h1")


async def test_a_raylet_that_is_started_again_at_once_is_no_dead_node() -> None:
    store = await store_with("h1")
    lost = LostNodes(store, GRACE)
    for now in range(0, 60_000, 1_000):
        await lost.observe([ray_node("h1", now % 7_000 < 2_000)], now)
        assert await taints_of(store, "h1") == []


async def test_a_supervisor_that_was_started_again_takes_back_what_the_one_before_had_told() -> None:
    store = await store_with("h1")
    away, here = [ray_node("h1", False)], [ray_node("h1", True)]
    first = LostNodes(store, 0)
    await first.observe(away, 0)
    assert await taints_of(store, "h1") == [(TAINT_OUT_OF_SERVICE, BY_RAY)]
    await LostNodes(store, GRACE).observe(here, 1)
    assert await taints_of(store, "h1") == []


async def test_a_node_without_an_object_is_told_when_it_has_one() -> None:
    store, lost = LocalStore(), LostNodes(await store_with(), 0)
    lost = LostNodes(store, 0)
    await lost.observe([ray_node("h1", False)], 0)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h1"}}
    await store.commit([Create(resource=NODE.resource, namespace="", object=node)])
    await lost.observe([ray_node("h1", False)], 1_000)
    assert await taints_of(store, "h1") == [(TAINT_OUT_OF_SERVICE, BY_RAY)]


@pytest.mark.parametrize("lost", [True, False])
def test_a_taint_of_somebody_else_stays(lost: bool) -> None:
    theirs = {"key": TAINT_OUT_OF_SERVICE, "effect": "NoExecute", "value": "nodeshutdown"}
    node = msgspec.convert({"metadata": {"name": "h1", "resourceVersion": "7"}, "spec": {"taints": [theirs]}}, Node)
    patch = plan_taint(node, lost, 0)
    if not lost:
        assert patch is None
    else:
        assert isinstance(patch, Patch)
        assert patch.patch["spec"]["taints"][0] == theirs
        assert patch.revision == 7
