"""The client over a transport that loses calls, answers, and both: every commit is carried out once."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.api.errors import BadRequest, NotFound, Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create
from actors.reconcile.watch import Selection
from actors.store import wire
from actors.store.actor import StoreActor
from actors.store.client import StoreClient
from actors.store.config import StoreConfig
from actors.store.draft import Request

MAPS = Selection(("configmaps",))


class LossyCall:
    """`troubles` are taken one a call: "" none, "before" the store is not reached, "after" its answer is lost."""

    def __init__(self, actor: StoreActor, troubles: list[str]) -> None:
        self.actor = actor
        self.troubles = troubles
        self.calls: list[str] = []

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        self.calls.append(method)
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "before":
            raise Unavailable("the actor is restarting")
        answer: bytes = await getattr(self.actor, method)(blob)
        if trouble == "after":
            raise TimeoutError
        return answer


class NoCall:
    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        raise ConnectionRefusedError("nobody there")


@pytest.fixture
async def actor(tmp_path: Path) -> AsyncIterator[StoreActor]:
    actor = StoreActor(StoreConfig(), str(tmp_path / "store" / "log.db"))
    yield actor
    await actor.close()


def generated() -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"generateName": "g-"}})


@pytest.mark.parametrize("troubles", [["before"], ["after"], ["after", "before", "after", "after"]])
async def test_a_lost_call_is_repeated_and_carried_out_once(actor: StoreActor, troubles: list[str]) -> None:
    call = LossyCall(actor, list(troubles))
    client = StoreClient(call)
    [reply] = await client.commit([generated()])
    assert call.calls == ["commit"] * (len(troubles) + 1)
    assert (await client.list(MAPS)).items == (reply.stored,)


async def test_commits_that_come_meanwhile_travel_together(actor: StoreActor) -> None:
    call = LossyCall(actor, ["after"])
    client = StoreClient(call)
    replies = await asyncio.gather(*(client.commit([generated()]) for _ in range(100)))
    assert len(call.calls) <= 4
    revisions = {reply.stored.revision for [reply] in replies if reply.stored}
    assert len(revisions) == 100 == len((await client.list(MAPS)).items)


async def test_gets_that_come_meanwhile_travel_together(actor: StoreActor) -> None:
    """Each with its own answer; one that finds nothing, or whose caller has gone, harms no neighbour."""
    call = LossyCall(actor, [])
    client = StoreClient(call)
    made = [reply.stored for reply in await client.commit([generated() for _ in range(300)]) if reply.stored]
    call.calls.clear()
    call.troubles = ["", "after"]
    gone = asyncio.create_task(client.get(made[0].key))
    asked = [asyncio.create_task(client.get(stored.key)) for stored in made]
    missing = asyncio.create_task(client.get(Key("configmaps", "default", "none")))
    past = asyncio.create_task(client.get(made[0].key, made[0].revision - 1 or 1))
    await asyncio.sleep(0)
    gone.cancel()
    assert await asyncio.gather(*asked) == made
    for absent in (missing, past):
        with pytest.raises(NotFound):
            await absent
    assert call.calls == ["get"] * 3, "200 at most together, and one blob repeated"


async def test_a_get_is_no_older_than_its_question(actor: StoreActor) -> None:
    """Asked while another is under way, after a commit was acknowledged: that commit is seen."""
    answering, go = asyncio.Event(), asyncio.Event()

    async def slow(method: str, blob: bytes, timeout_ms: int) -> bytes:
        answer: bytes = await getattr(actor, method)(blob)
        if method == "get":
            answering.set()
            await go.wait()
        return answer

    client = StoreClient(slow)
    first = asyncio.create_task(client.get(Key("configmaps", "default", "late")))
    await answering.wait()
    late = Create(resource="configmaps", namespace="default", object={"metadata": {"name": "late"}})
    [reply] = await client.commit([late])
    second = asyncio.create_task(client.get(Key("configmaps", "default", "late")))
    await asyncio.sleep(0.01)
    go.set()
    with pytest.raises(NotFound):
        await first
    assert await second == reply.stored


async def test_reads_are_repeated(actor: StoreActor) -> None:
    client = StoreClient(LossyCall(actor, ["before", "after"]))
    assert (await client.get(Key("namespaces", "", "default"))).key.name == "default"
    client = StoreClient(LossyCall(actor, ["after"]))
    assert (await client.watch(Selection(), 1, 100)).events


async def test_without_an_answer_in_time_it_is_unavailable() -> None:
    client = StoreClient(NoCall(), deadline_seconds=0.1)
    with pytest.raises(Unavailable, match="nobody there"):
        await client.commit([generated()])
    with pytest.raises(Unavailable, match="nobody there"):
        await client.list(MAPS)


async def test_the_stores_errors_arrive_as_they_left(actor: StoreActor) -> None:
    client = StoreClient(LossyCall(actor, []))
    with pytest.raises(NotFound, match='configmaps "x" not found') as caught:
        await client.get(Key("configmaps", "default", "x"))
    assert caught.value.name == "x" and caught.value.kind == "configmaps"
    with pytest.raises(BadRequest):
        await client.list(Selection(("configmaps",), labels="="))


async def test_a_write_that_cannot_travel_harms_no_neighbour(actor: StoreActor) -> None:
    client = StoreClient(LossyCall(actor, []))
    bad = Create(resource="configmaps", namespace="default", object={"metadata": {"name": object()}})
    failed, fine = await asyncio.gather(client.commit([bad]), client.commit([generated()]), return_exceptions=True)
    assert isinstance(failed, TypeError)
    assert isinstance(fine, list) and fine[0].error is None


async def test_blobs_that_are_none_are_refused(actor: StoreActor) -> None:
    for method in ("commit", "get", "list", "watch"):
        for blob in (b"", b"\xff", b"\x01", b"\x91", b"{}"):
            with pytest.raises(BadRequest):
                wire.decode_result(await getattr(actor, method)(blob), object)
    good, bad = wire.encode(Request((generated(),), "k")), wire.encode([3])
    fine, refused = wire.decode_committed(await actor.commit(wire.join_requests([good, bad])))
    assert fine.error is None and refused.error is not None and refused.error["code"] == 400


async def test_a_pickled_client_has_keys_of_its_own(tmp_path: Path) -> None:
    client = StoreClient(NoCall(), 0.01)
    copies = [pickle.loads(pickle.dumps(client)) for _ in range(2)]
    assert len({next(c._keys) for c in [client, *copies]}) == 3


async def test_a_cancelled_caller_harms_no_neighbour(actor: StoreActor) -> None:
    client = StoreClient(LossyCall(actor, ["after"]))
    doomed = asyncio.create_task(client.commit([generated()]))
    other = asyncio.create_task(client.commit([generated()]))
    await asyncio.sleep(0)
    doomed.cancel()
    assert (await other)[0].error is None
    with pytest.raises(asyncio.CancelledError):
        await doomed


async def test_an_actor_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    path = str(tmp_path / "log.db")
    first = StoreActor(StoreConfig(), path)
    [reply] = await StoreClient(LossyCall(first, [])).commit([generated()])
    health = await first.health()
    await first.close()
    second = StoreActor(StoreConfig(), path)
    assert (await second.health())["revision"] == health["revision"]
    assert (await StoreClient(LossyCall(second, [])).list(MAPS)).items == (reply.stored,)
    await second.close()
