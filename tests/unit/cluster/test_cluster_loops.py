"""Which event loop a part runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest
import uvloop

from actors.cluster.loops import new_loop


def test_parts_that_every_request_passes_have_the_quick_loop() -> None:
    for module, kind in (
        ("actors.gateway.actor", uvloop.Loop),
        ("actors.store.actor", uvloop.Loop),
        ("actors.nodelet.actor", asyncio.SelectorEventLoop),
    ):
        loop = new_loop(module)
        loop.close()
        assert isinstance(loop, kind), module


def test_without_uvloop_asyncios_own_is_taken_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_loop("actors.gateway.actor")
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    assert "uvloop cannot be loaded" in caplog.text


def test_other_loops_of_the_process_are_asyncios_own() -> None:
    """Ray takes uvloop for all of them; pyroute2's sockets do not work on it."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    new_loop("actors.nodelet.actor").close()
    loop = asyncio.new_event_loop()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)
