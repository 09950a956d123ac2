"""A caller that cannot wait: a webhook that hangs holds up what it is asked about, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from admission_support import USER, Told, config_map, new_store

from actors.admission.chain import Chain
from actors.admission.patience import Patience
from actors.admission.request import Origin, Request
from actors.admission.store import AdmittedStore
from actors.api.errors import Forbidden, NotFound
from actors.api.key import Key
from actors.reconcile.actions import Patch, Reply, StoreWrite


class Hook:
    """Asked about config maps called `slow...`; answers when it is let go, refuses `slow-bad`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []

    async def act(self, request: Request) -> Request:
        self.asked.append(request.name)
        await self.go.wait()
        if request.name.startswith("slow-bad"):
            raise Forbidden("not this one")
        return request


def desk(hook: Hook, seconds: float = 0.05, most: int = 10) -> AdmittedStore:
    step = Told(act=lambda request: hook.act(request) if request.name.startswith("slow") else request)
    return AdmittedStore(store := new_store(), Chain(store, validating=[step], patience=Patience(seconds, most)), USER)


def reason(reply: Reply) -> str:
    return str((reply.error or {}).get("reason", ""))


async def test_those_that_nobody_waits_for_are_done_and_the_others_are_answered_later() -> None:
    hook = Hook()
    store = desk(hook)
    writes: list[StoreWrite] = [config_map("slow"), config_map("quick")]
    async with asyncio.timeout(2):
        replies = await store.commit(writes)
    assert [reason(reply) for reply in replies] == ["Timeout", ""]
    assert [reason(reply) for reply in await store.commit(writes)] == ["Timeout", "AlreadyExists"]
    assert hook.asked == ["slow"], "asked once, however often its caller asks"
    hook.go.set()
    await asyncio.sleep(0.05)
    (late,) = await store.commit([config_map("slow")])
    assert late.stored is not None and late.stored.key.name == "slow"
    assert reason((await store.commit([config_map("slow")]))[0]) == "AlreadyExists", "an answer is given once"


async def test_a_refusal_that_comes_late_is_told() -> None:
    hook = Hook()
    store = desk(hook)
    assert reason((await store.commit([config_map("slow-bad")]))[0]) == "Timeout"
    hook.go.set()
    await asyncio.sleep(0.05)
    (reply,) = await store.commit([config_map("slow-bad")])
    assert (reply.error or {})["message"] == "not this one"


async def test_writes_of_one_object_do_not_overtake_each_other() -> None:
    hook = Hook()
    store = desk(hook)
    hook.go.set()
    assert not reason((await store.commit([config_map("slow")]))[0])
    hook.go.clear()
    key = Key("configmaps", "default", "slow")
    first, second = Patch(key=key, patch={"data": {"n": "1"}}), Patch(key=key, patch={"data": {"n": "2"}})
    assert reason((await store.commit([first]))[0]) == "Timeout"
    assert reason((await store.commit([second]))[0]) == "Timeout"
    assert hook.asked == ["slow", "slow"], "the second has not begun"
    hook.go.set()
    await asyncio.sleep(0.05)
    (reply,) = await store.commit([second])
    assert reply.stored is not None and b'"n":"2"' in reply.stored.body


async def test_no_more_are_begun_than_may_be_under_way() -> None:
    hook = Hook()
    store = desk(hook, most=2)
    for number in range(4):
        assert reason((await store.commit([config_map(f"slow-{number}")]))[0]) == "Timeout"
    assert hook.asked == ["slow-0", "slow-1"]
    hook.go.set()
    await asyncio.sleep(0.05)
    assert not reason((await store.commit([config_map("slow-3")]))[0])


async def test_an_object_without_a_name_is_waited_for() -> None:
    hook = Hook()
    store = AdmittedStore(
        base := new_store(), Chain(base, validating=[Told(act=hook.act)], patience=Patience(0.02)), USER
    )
    asking = asyncio.create_task(store.commit([config_map("")]))
    await asyncio.sleep(0.1)
    assert not asking.done()
    hook.go.set()
    assert not reason((await asking)[0])


async def test_who_stops_gives_up_what_is_under_way() -> None:
    hook = Hook()
    step = Told(act=hook.act)
    chain = Chain(store := new_store(), validating=[step], patience=Patience(0.02))
    await chain.submit([config_map("slow")], [Origin(USER)])
    async with asyncio.timeout(2):
        await chain.stop()
    hook.go.set()
    await asyncio.sleep(0.02)
    with pytest.raises(NotFound):
        await store.get(Key("configmaps", "default", "slow"))
