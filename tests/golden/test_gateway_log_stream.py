"""A log that is being followed: failures after the first byte are waited out, or end the reply so that it shows."""

from __future__ import annotations

from gateway_wire import Connection, Wire

from actors.api.errors import InternalError, NotFound, Timeout, Unavailable

LINE = b"2026-11-23T10:00:00Z stdout F hello\n"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
PODS = "/api/v1/namespaces/default/pods"


async def _follow(wire: Wire) -> Connection:
    """Until the first line has been read."""
    await wire.ask("POST", PODS, POD)
    await wire.ask("POST", f"{PODS}/p/binding", {"target": {"name": "n1"}})
    state = {"running": {"startedAt": "2026-11-23T10:00:00Z"}}
    status = {
        "containerStatuses": [
            {"name": "c", "ready": True, "restartCount": 0, "image": "", "imageID": "", "state": state}
        ]
    }
    media = "application/merge-patch+json"
    assert (await wire.ask("PATCH", f"{PODS}/p/status", {"status": status}, media=media)).code == 200
    wire.nodes.log("n1", "default", "p", "c").lines.append(LINE)
    following = wire.open("GET", f"{PODS}/p/log?follow=true")
    await following.read(lambda raw: b"hello" in raw)
    return following


async def test_a_nodelet_that_restarts_is_waited_for() -> None:
    wire = Wire()
    wire.nodes.failures = [Unavailable("it restarts"), Timeout("it thinks")]
    following = await _follow(wire)
    log = wire.nodes.log("n1", "default", "p", "c")
    log.lines.append(LINE.replace(b"hello", b"again"))
    log.ended = True
    raw = await following.read(lambda raw: raw.endswith(b"0\r\n\r\n"))
    assert (raw.count(b"hello"), raw.count(b"again"), following.is_cut_off) == (1, 1, False)


async def test_a_log_that_is_deleted_meanwhile_just_ends() -> None:
    wire = Wire()
    wire.nodes.failures = [NotFound("gone")]
    following = await _follow(wire)
    raw = await following.read(lambda raw: raw.endswith(b"0\r\n\r\n"))
    assert (raw.count(b"hello"), following.is_cut_off) == (1, False)


async def test_any_other_failure_cuts_the_reply_off_and_adds_nothing() -> None:
    wire = Wire()
    wire.nodes.failures = [InternalError("bug")]
    following = await _follow(wire)
    raw = await following.read(lambda raw: False)
    assert following.is_cut_off
    assert b"Status" not in raw and not raw.endswith(b"0\r\n\r\n")
