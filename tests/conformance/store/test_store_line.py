"""The line to the store beyond what StorePort promises: where nobody listens, a store that dies, followers, strangers."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from line_support import listening

from actors.api.errors import Expired, Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create
from actors.reconcile.watch import Selection
from actors.store import wire
from actors.store.client import StoreClient
from actors.store.line.caller import StoreLine
from actors.store.line.frames import BrokenFrame, Splitter, frame
from actors.store.record import Record


def new_map(name: str) -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})


async def nobody(method: str, blob: bytes, timeout_ms: int) -> bytes:
    raise Unavailable("nobody there")


class Counted:
    """What is called where no line is."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        self.methods.append(method)
        return wire.encode_result(7)


def decoded(blob: bytes) -> tuple[Record, ...]:
    return wire.decode_call(blob, tuple[Record, ...])


async def test_where_nobody_listens_the_other_way_is_taken(tmp_path: Path) -> None:
    otherwise = Counted()
    client = StoreClient(StoreLine(tmp_path / "none" / "line.sock", otherwise))
    assert (await client.revision(), otherwise.methods) == (7, ["revision"])
    async with listening(tmp_path) as path:
        near = StoreClient(StoreLine(path, otherwise))
        assert await near.revision() != 7
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_store_that_is_started_again_is_found_again(tmp_path: Path) -> None:
    """Its calls under way are repeated under their keys: once each."""
    async with listening(tmp_path) as path:
        client = StoreClient(StoreLine(path, nobody))
        await client.commit([new_map("before")])
        watching = asyncio.create_task(client.watch(Selection(("configmaps",)), await client.revision(), 10_000))
        await asyncio.sleep(0.05)
    writing = asyncio.create_task(client.commit([new_map("meanwhile")]))
    await asyncio.sleep(0.05)
    async with listening(tmp_path):
        [reply] = await writing
        assert reply.stored == await client.get(Key("configmaps", "default", "meanwhile"))
        assert [event.stored for event in (await watching).events] == [reply.stored]


async def test_a_follower_has_every_record_before_the_commit_is_acknowledged(tmp_path: Path) -> None:
    async with listening(tmp_path) as path:
        line, taken = StoreLine(path, nobody), list[Record]()
        client, other = StoreClient(line), StoreClient(StoreLine(path, nobody))
        await client.commit([new_map("a")])
        since = await client.revision()
        await client.commit([new_map("b")])
        following = asyncio.create_task(line.follow(since, lambda blob: taken.extend(decoded(blob))))
        await asyncio.sleep(0.05)
        assert [record.stored.key.name for record in taken] == ["b"]
        for number in range(50):
            [reply] = await client.commit([new_map(f"c{number}")])
            assert reply.stored is not None and taken[-1].stored == reply.stored
        await asyncio.gather(*(other.commit([new_map(f"d{number}")]) for number in range(50)))
        revision = await client.revision()
        assert [record.revision for record in taken] == list(range(since + 1, revision + 1))
    with pytest.raises(Unavailable):
        await following


async def test_following_from_another_log_is_expired(tmp_path: Path) -> None:
    async with listening(tmp_path) as path:
        with pytest.raises(Expired):
            await StoreLine(path, nobody).follow(1 << 40, lambda blob: None)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, frame(1, 200, b""), frame(1, 1, b"?")])
async def test_a_stranger_harms_nobody(tmp_path: Path, sent: bytes) -> None:
    async with listening(tmp_path) as path:
        client = StoreClient(StoreLine(path, nobody))
        await client.revision()
        link = tmp_path / "s"
        link.symlink_to(path)
        reader, writer = await asyncio.open_unix_connection(link)
        writer.write(sent)
        async with asyncio.timeout(5):
            if sent != frame(1, 1, b"?"):
                assert await reader.read() == b""
        writer.close()
        await client.commit([new_map("still")])


def test_frames_in_any_pieces() -> None:
    whole = b"".join(frame(n, n % 3, b"x" * (n * 7)) for n in range(20))
    for size in (1, 2, 9, 10, 64, len(whole)):
        splitter = Splitter()
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert [got for piece in pieces for got in splitter.feed(piece)] == [
            (n, n % 3, b"x" * (n * 7)) for n in range(20)
        ]
    with pytest.raises(BrokenFrame):
        list(Splitter().feed(b"\xff" * 9))
