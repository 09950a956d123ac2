"""A client of the launcher that is busy with something else: it misses nothing, and nobody waits for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig

from actors.plugins.runtime.client import _connect
from actors.plugins.runtime.launcher import protocol

pytestmark = pytest.mark.root

#: Far more answers than a socket holds.
CALLS = 3_000


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.close()


async def test_answers_and_events_wait_for_a_slow_reader_in_order(rig: Rig) -> None:
    await rig.run("/bin/true")
    slow = _connect(str(rig.root / "node"))
    slow.setblocking(True)
    slow.settimeout(20)
    await asyncio.to_thread(_ask, slow)
    status = await rig.run("/bin/sh", "-c", "exit 3")
    assert (await rig.wait_exit(status.spec.id)).exit_code == 3, "others are served meanwhile"

    messages = await asyncio.to_thread(_read_until_exit, slow, status.spec.id)
    assert [message["n"] for message in messages if "n" in message] == list(range(CALLS))
    states = [m["event"]["state"] for m in messages if m.get("event", {}).get("id") == status.spec.id]
    assert states == ["RUNNING", "EXITED"], "each as it was"
    slow.close()


def _ask(slow: socket.socket) -> None:
    for number in range(CALLS):
        protocol.send(slow, {"n": number, "verb": "list"})


def _read_until_exit(slow: socket.socket, container_id: str) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    while True:
        received = protocol.receive(slow)
        assert received is not None, f"hung up on after {len(messages)} messages"
        messages.append(received[0])
        event = received[0].get("event")
        if isinstance(event, dict) and (event["id"], event["state"]) == (container_id, "EXITED"):
            return messages


async def test_one_that_never_reads_is_hung_up_on_and_the_launcher_goes_on(rig: Rig) -> None:
    await rig.run("/bin/true")
    deaf = _connect(str(rig.root / "node"))
    deaf.setblocking(True)
    deaf.settimeout(20)

    def flood() -> None:
        for number in range(100_000):
            protocol.send(deaf, {"n": number, "verb": "hello"})

    with pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
        await asyncio.to_thread(flood)
    assert await rig.shell("echo fine") == (0, "fine\n")
    deaf.close()
