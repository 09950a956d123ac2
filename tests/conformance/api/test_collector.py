"""ownerReferences, with the garbage collector running: background, foreground and orphan, asked for by real clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from api_client import Api, Json, config_map
from gateway_server import RunningGateway

from actors.controllers import garbage_collector
from actors.controllers.core import ControllersCore
from actors.store.local import read_clock
from actors.store.loop import run_core

MAPS = "configmaps"


@pytest.fixture(scope="module", autouse=True)
def _collector(served: RunningGateway) -> Iterator[None]:
    stop = asyncio.Event()
    core = ControllersCore((garbage_collector.reconcile,))
    running = asyncio.run_coroutine_threadsafe(run_core(core, served.store, read_clock, stop), served.loop)
    yield
    served.loop.call_soon_threadsafe(stop.set)
    running.result(10)


def _owned(api: Api, name: str, *owners: Json, blocks: bool = True, finalizers: tuple[str, ...] = ()) -> Json:
    refs = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": blocks,
        }
        for owner in owners
    ]
    obj = config_map(name)
    obj["metadata"] |= {"ownerReferences": refs, "finalizers": list(finalizers)}
    return api.post(MAPS, obj).ok()


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.05)


def _is_gone(api: Api, name: str) -> bool:
    return api.get(f"{MAPS}/{name}").code == 404


def test_background_takes_the_owner_first_and_the_whole_tree_after_it(api: Api) -> None:
    owner = api.make("owner")
    child = _owned(api, "child", owner)
    _owned(api, "grandchild", child)
    other = api.make("other")
    _owned(api, "shared", owner, other)
    api.delete(f"{MAPS}/owner", {"propagationPolicy": "Background"}).ok()
    assert _is_gone(api, "owner")
    _eventually(lambda: _is_gone(api, "child") and _is_gone(api, "grandchild"))
    _eventually(lambda: len(api.get(f"{MAPS}/shared").json["metadata"]["ownerReferences"]) == 1)


def test_foreground_waits_for_those_that_block(api: Api) -> None:
    owner, other = api.make("owner"), api.make("other")
    _owned(api, "held", owner, finalizers=("example.com/hold",))
    _owned(api, "loose", owner, blocks=False)
    _owned(api, "shared", owner, other)
    shown = api.delete(f"{MAPS}/owner", {"propagationPolicy": "Foreground"}).ok()
    assert shown["metadata"]["finalizers"] == ["foregroundDeletion"]
    _eventually(lambda: _is_gone(api, "loose"))
    _eventually(lambda: "deletionTimestamp" in api.get(f"{MAPS}/held").json["metadata"])
    assert not _is_gone(api, "owner")
    api.patch("merge", f"{MAPS}/held", {"metadata": {"finalizers": None}}).ok()
    _eventually(lambda: _is_gone(api, "owner"))
    left = api.get(f"{MAPS}/shared").ok()["metadata"]
    assert [ref["name"] for ref in left["ownerReferences"]] == ["other"] and "deletionTimestamp" not in left


def test_orphans_stay_without_their_owner(api: Api) -> None:
    owner = api.make("owner")
    _owned(api, "child", owner)
    api.delete(f"{MAPS}/owner", {"propagationPolicy": "Orphan"}).ok()
    _eventually(lambda: _is_gone(api, "owner"))
    assert "ownerReferences" not in api.get(f"{MAPS}/child").ok()["metadata"]


def test_a_circle_of_owners_blocks_nobody(api: Api) -> None:
    """As Kubernetes' own test has it: each is owned by the one before, the first by the last."""
    names = ("one", "two", "three")
    made = [api.make(name) for name in names]
    for at, obj in enumerate(made):
        owner = made[at - 1]["metadata"]
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"]}
        refs = {"ownerReferences": [{**ref, "controller": True, "blockOwnerDeletion": True}]}
        api.patch("merge", f"{MAPS}/{names[at]}", {"metadata": refs}).ok()
        assert obj["metadata"]["name"] == names[at]
    api.delete(f"{MAPS}/one", {"propagationPolicy": "Foreground"}).ok()
    _eventually(lambda: all(_is_gone(api, name) for name in names))


def test_who_also_has_an_owner_that_stays_stays(api: Api) -> None:
    going, staying = api.make("going"), api.make("staying")
    for at in range(4):
        _owned(api, f"of-both-{at}", going, staying)
        _owned(api, f"of-one-{at}", going)
    api.delete(f"{MAPS}/going", {"propagationPolicy": "Foreground"}).ok()
    _eventually(lambda: _is_gone(api, "going"))
    left = api.get(MAPS).json["items"]
    assert {item["metadata"]["name"] for item in left} == {"staying", *(f"of-both-{at}" for at in range(4))}
    for item in left:
        owners = item["metadata"].get("ownerReferences", [])
        assert [owner["name"] for owner in owners] == (["staying"] if item["metadata"]["name"] != "staying" else [])


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_custom_objects_are_collected_as_any_others(api: Api, policy: str) -> None:
    group = f"{api.namespace}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    spec = {"group": group, "scope": "Cluster", "names": names, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.post(definitions, {**kind, "metadata": {"name": f"things.{group}"}, "spec": spec}).ok()
    things = f"/apis/{group}/v1/things"
    base = {"apiVersion": f"{group}/v1", "kind": "Thing"}
    owner = api.post(things, {**base, "metadata": {"name": "owner"}}).ok()["metadata"]
    ref = {**base, "name": "owner", "uid": owner["uid"], "blockOwnerDeletion": True}
    api.post(things, {**base, "metadata": {"name": "child", "ownerReferences": [ref]}}).ok()
    api.delete(f"{things}/owner", {"propagationPolicy": policy}).ok()
    _eventually(lambda: api.get(f"{things}/owner").code == 404)
    if policy == "Orphan":
        assert "ownerReferences" not in api.get(f"{things}/child").ok()["metadata"]
    else:
        _eventually(lambda: api.get(f"{things}/child").code == 404)


def test_who_names_an_owner_of_another_life_goes(api: Api) -> None:
    old = api.make("owner")
    api.delete(f"{MAPS}/owner").ok()
    api.make("owner")
    _owned(api, "child", old)
    _eventually(lambda: _is_gone(api, "child"))


def test_kubectl_cascades_as_it_is_told(api: Api, served: RunningGateway) -> None:
    for policy, left in (("background", False), ("foreground", False), ("orphan", True)):
        owner = api.make(f"o-{policy}")
        _owned(api, f"c-{policy}", owner)
        served.kubectl("delete", "cm", f"o-{policy}", f"--cascade={policy}", "-n", api.namespace)
        _eventually(lambda policy=policy, left=left: _is_gone(api, f"c-{policy}") is not left)
