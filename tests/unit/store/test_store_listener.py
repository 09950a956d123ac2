"""The store's end of the line, over a transport of the test's: what a commit has changed and its answer are one write."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from store_support import new_engine

from actors.api.errors import Unavailable
from actors.reconcile.actions import Create
from actors.store import wire
from actors.store.commits import submit_blob
from actors.store.draft import Request
from actors.store.line.frames import ANSWERED, FOLLOW, METHODS, PUSHED, Splitter, frame
from actors.store.line.listener import Listener
from actors.store.local import read_clock
from actors.store.server import StoreServer
from actors.store.work_thread import WorkThread


class Wire(asyncio.Transport):
    """Keeps what is written, each write on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.written: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.put_nowait(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    async def frames(self) -> list[tuple[int, int, bytes]]:
        """Of the next write."""
        async with asyncio.timeout(5):
            return list(Splitter().feed(await self.written.get()))


def request(name: str) -> bytes:
    write = Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})
    return wire.join_requests([wire.encode(Request((write,), name))])


async def nobody(method: str, blob: bytes) -> bytes:
    raise AssertionError(method)


async def test_a_commits_answer_travels_with_what_it_has_changed() -> None:
    server = StoreServer(new_engine(), read_clock)
    line = Listener(nobody, {"commit": partial(submit_blob, server)}, server.followers)._make_line()
    told = Wire()
    line.connection_made(told)
    line.data_received(frame(1, FOLLOW, wire.encode(server.engine.revision)))
    assert [what for _, what, _ in await told.frames()] == [ANSWERED]
    line.data_received(
        frame(2, METHODS.index("commit"), request("a")) + frame(3, METHODS.index("commit"), request("b"))
    )
    both = await told.frames()
    assert [(call, what) for call, what, _ in both] == [(1, PUSHED), (2, ANSWERED), (3, ANSWERED)]
    records, answers = wire.decode_records(both[0][2]), [wire.decode_committed(blob)[0] for _, _, blob in both[1:]]
    assert [r.stored.key.name for r in records] == ["a", "b"]
    assert [answer.replies[0].stored for answer in answers] == [record.stored for record in records]
    await server.close()


async def test_a_store_that_has_closed_answers_that_it_has() -> None:
    server = StoreServer(new_engine(), read_clock)
    await server.close()
    answers: list[bytes] = []
    submit_blob(server, request("late"), answers.append)
    [refused] = wire.decode_committed(answers[0])
    assert refused.error is not None and refused.error["code"] == 503


async def test_a_thread_does_one_thing_after_the_other_and_says_what_failed() -> None:
    thread, done = WorkThread("test-work"), list[int]()
    first, second = thread.run(done.append, 1), thread.run(done.append, 2)
    await asyncio.gather(first, second)
    with pytest.raises(Unavailable, match="no room"):
        await thread.run(_fail)
    given_up = thread.run(done.append, 3)
    given_up.cancel()
    thread.close()
    assert done == [1, 2, 3], "what was handed over is done, whoever waits"


def _fail() -> None:
    raise Unavailable("no room")
