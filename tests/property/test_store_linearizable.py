"""Many clients at once over a transport that loses answers: there is one order of all commits, that of their revisions,
in which every answer is right; it agrees with the order in which things happened, for readers too.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.codec import decode
from actors.api.errors import NotFound, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite
from actors.reconcile.watch import EventType, Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.client import StoreClient
from actors.store.draft import Request
from actors.store.engine import Engine
from actors.store.ids import SeededIds
from actors.store.server import StoreServer
from actors.store.wire import Committed, Found, GetCall, decode_call, encode_result, split_requests

STEPS = st.lists(st.tuples(st.sampled_from("cpdg"), st.sampled_from("ab"), st.integers(0, 9)), min_size=1, max_size=8)


class Told(NamedTuple):
    """One call: the revisions of the store when it began and when it was answered, and the answer."""

    kind: str
    name: str
    value: int
    began: int
    ended: int
    reply: Reply | Stored | None


class LossyCall:
    """Loses an answer or a question wherever `losses` says so."""

    def __init__(self, server: StoreServer, losses: list[int]) -> None:
        self.server, self.losses = server, losses

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        loss = self.losses.pop() if self.losses else 0
        if loss == 1:
            raise Unavailable("lost on its way")
        answer = await (self._commit(blob) if method == "commit" else self._get(blob))
        if loss == 2:
            raise Unavailable("lost on its way back")
        return answer

    async def _commit(self, blob: bytes) -> bytes:
        requests = [decode_call(request, Request) for request in split_requests(blob)]
        replies = await asyncio.gather(*(self.server.commit(r.writes, r.idempotency_key) for r in requests))
        return encode_result([Committed(tuple(each)) for each in replies])

    async def _get(self, blob: bytes) -> bytes:
        found = []
        for call in decode_call(blob, tuple[GetCall, ...]):
            try:
                found.append(Found(await self.server.get(call.key)))
            except NotFound as error:
                found.append(Found(error=error.to_status()))
        return encode_result(found)


def key_of(name: str) -> Key:
    return Key("configmaps", "default", name)


def write_of(kind: str, name: str, value: int) -> StoreWrite:
    if kind == "c":
        obj = {"metadata": {"name": name}, "data": {"value": str(value)}}
        return Create(resource="configmaps", namespace="default", object=obj)
    if kind == "d":
        return Delete(key=key_of(name))
    return Patch(key=key_of(name), patch={"data": {"value": str(value)}})


async def run_client(client: StoreClient, server: StoreServer, steps: list[Any], story: list[Told]) -> None:
    for kind, name, value in steps:
        began = server.engine.revision
        answer: Reply | Stored | None
        if kind == "g":
            try:
                answer = await client.get(key_of(name))
            except NotFound:
                answer = None
        else:
            [answer] = await client.commit([write_of(kind, name, value)])
        story.append(Told(kind, name, value, began, server.engine.revision, answer))


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=2, max_size=4), st.lists(st.integers(0, 2), max_size=12))
def test_answers_are_those_of_one_order(clients: list[list[Any]], losses: list[int]) -> None:
    asyncio.run(check(clients, losses))


async def check(clients: list[list[Any]], losses: list[int]) -> None:
    engine = Engine(MemoryBackend(), SeededIds(1))
    engine.commit(bootstrap_writes(), 0)
    start, server = engine.revision, StoreServer(engine, lambda: 1_000)
    story: list[Told] = []
    call = LossyCall(server, list(losses))
    await asyncio.gather(*(run_client(StoreClient(call), server, steps, story) for steps in clients))
    changed = check_writes(story)
    states = states_of(engine, start)
    assert sorted(changed) == list(range(start + 1, engine.revision + 1)), "a write was carried out twice, or is lost"
    for told in story:
        check_told(told, states)
    await server.close()


def check_writes(story: list[Told]) -> list[int]:
    """The revisions that were given, each within the time of its call."""
    revisions = []
    for told in story:
        reply = told.reply
        if isinstance(reply, Reply) and reply.error is None and reply.changed and reply.stored is not None:
            assert told.began < reply.stored.revision <= told.ended
            revisions.append(reply.stored.revision)
    return revisions


def states_of(engine: Engine, start: int) -> dict[int, dict[str, Stored]]:
    """What was there at every revision, as the watch tells it."""
    state: dict[str, Stored] = {}
    states = {start: dict(state)}
    for event in engine.changes(Selection(("configmaps",)), start).events:
        if event.type is EventType.DELETED:
            del state[event.stored.key.name]
        else:
            state[event.stored.key.name] = event.stored
        states[event.stored.revision] = dict(state)
    return states


def check_told(told: Told, states: dict[int, dict[str, Stored]]) -> None:
    """The answer is right in some state between the call's beginning and its end; a change's in the one before it."""
    reply = told.reply
    if told.kind == "g":
        assert any(states[at].get(told.name) == reply for at in range(told.began, told.ended + 1))
        return
    assert isinstance(reply, Reply)
    if reply.error is None and reply.changed and reply.stored is not None:
        before, after = (states[reply.stored.revision - n].get(told.name) for n in (1, 0))
        assert (before is None) == (told.kind == "c") and (after is None) == (told.kind == "d")
        if after is not None:
            assert after == reply.stored and decode(after)["data"]["value"] == str(told.value)
        return
    seen = [states[at].get(told.name) for at in range(told.began, told.ended + 1)]
    if reply.error is None:
        assert reply.stored in seen
    elif told.kind == "c":
        assert reply.error["reason"] == "AlreadyExists" and any(seen)
    else:
        assert reply.error["reason"] == "NotFound" and not all(seen)
