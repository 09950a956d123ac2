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
