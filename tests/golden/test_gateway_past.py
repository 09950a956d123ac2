"""Time travel over HTTP: an object and a list as they were, the history of one object, the log as JSON lines."""

from __future__ import annotations

import json
from typing import Any

from gateway_wire import NOBODY, Wire

from actors.api.clock import format_time
from actors.api.key import Key
from actors.reconcile.actions import Delete

MAPS = "/api/v1/namespaces/default/configmaps"
LOG = "/apis/raypod.io/v1/log"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE = "application/merge-patch+json"


async def past_of_a_map() -> tuple[Wire, list[int]]:
    """Created, changed and, a minute later each, deleted and made again; and at which revisions."""
    wire = Wire()
    made = await wire.ask("POST", f"{MAPS}?fieldManager=me", {"metadata": {"name": "a"}, "data": {"k": "1"}})
    wire.now_ms += 60_000
    changed = await wire.ask("PATCH", f"{MAPS}/a?fieldManager=you", {"data": {"k": "2", "l": "x"}}, media=MERGE)
    wire.now_ms += 60_000
    await wire.store.commit([Delete(key=Key("configmaps", "default", "a"))])
    deleted = wire.store.revision
    wire.now_ms += 60_000
    again = await wire.ask("POST", f"{MAPS}?fieldManager=me", {"metadata": {"name": "a"}, "data": {"k": "3"}})
    revisions = [int(answer.json["metadata"]["resourceVersion"]) for answer in (made, changed, again)]
    return wire, [*revisions[:2], deleted, revisions[2]]


def minutes_ago(wire: Wire, minutes: float) -> str:
    return format_time(wire.now_ms - int(minutes * 60_000))


async def test_an_object_as_it_was() -> None:
    wire, revisions = await past_of_a_map()
    for minutes, data in [(3, {"k": "1"}), (2.5, {"k": "1"}), (2, {"k": "2", "l": "x"}), (0, {"k": "3"})]:
        assert (await wire.ask("GET", f"{MAPS}/a?at={minutes_ago(wire, minutes)}")).json["data"] == data
    assert (await wire.ask("GET", f"{MAPS}/a?at={minutes_ago(wire, 1)}")).code == 404
    exact = "resourceVersionMatch=Exact"
    assert (await wire.ask("GET", f"{MAPS}/a?resourceVersion={revisions[0]}&{exact}")).json["data"] == {"k": "1"}
    assert (await wire.ask("GET", f"{MAPS}/a?resourceVersion={revisions[2]}&{exact}")).code == 404
    assert (await wire.ask("GET", f"{MAPS}/a?resourceVersion={revisions[0]}")).json["data"] == {"k": "3"}


async def test_a_list_as_it_was() -> None:
    wire, revisions = await past_of_a_map()
    for minutes, revision, names in [(3, revisions[0], ["a"]), (1, revisions[2], [])]:
        found = (await wire.ask("GET", f"{MAPS}?at={minutes_ago(wire, minutes)}")).json
        assert [item["metadata"]["name"] for item in found["items"]] == names
        assert found["metadata"]["resourceVersion"] == str(revision)


async def test_ages_are_of_then() -> None:
    wire, _ = await past_of_a_map()
    table = (await wire.ask("GET", f"{MAPS}?at={minutes_ago(wire, 2)}", Accept=TABLE)).json
    assert table["rows"][0]["cells"] == ["a", "2", "60s"]


async def test_a_time_that_cannot_be_told() -> None:
    wire, _ = await past_of_a_map()
    for at, said in [
        ("noon", "'noon' is not an RFC 3339 time"),
        (minutes_ago(wire, -1), "is in the future: it is 2026-11-23T10:03:00Z"),
    ]:
        answer = await wire.ask("GET", f"{MAPS}?at={at}")
        assert (answer.code, answer.json["reason"]) == (400, "BadRequest")
        assert said in answer.json["message"]
    answer = await wire.ask("GET", f"{MAPS}/a?at={minutes_ago(wire, 99)}")
    assert (answer.code, answer.json["reason"]) == (410, "Expired")
    said = "nothing is retained of 2026-11-23T08:24:00Z: the oldest retained revision is 1, of 2026-11-23T10:00:00Z"
    assert answer.json["message"] == said


async def test_the_history_of_an_object() -> None:
    wire, revisions = await past_of_a_map()
    told = (await wire.ask("GET", f"{MAPS}/a/history")).json
    assert (told["kind"], told["apiVersion"], told["oldest"]) == ("History", "raypod.io/v1", {})
    shown = [(int(i["revision"]), i["time"], i["type"], i["user"], i["manager"]) for i in told["items"]]
    assert shown == [
        (revisions[0], "2026-11-23T10:00:00.000000Z", "ADDED", "admin", "me"),
        (revisions[1], "2026-11-23T10:01:00.000000Z", "MODIFIED", "admin", "you"),
        (revisions[2], "2026-11-23T10:02:00.000000Z", "DELETED", "", ""),
        (revisions[3], "2026-11-23T10:03:00.000000Z", "ADDED", "admin", "me"),
    ]
    assert [item.get("changes") for item in told["items"]] == [
        None,
        [{"field": "data.k", "from": "1", "to": "2"}, {"field": "data.l", "to": "x"}],
        None,
        None,
    ]
    assert (await wire.ask("GET", f"{MAPS}/nothing/history")).code == 404
    assert (await wire.ask("GET", "/api/v1/namespaces/default/history")).json["items"][0]["type"] == "ADDED"
    assert (await wire.ask("POST", f"{MAPS}/a/history", {})).code == 404


async def export(wire: Wire, query: str = "") -> list[dict[str, Any]]:
    answer = await wire.ask("GET", f"{LOG}?{query}")
    assert (answer.code, answer.headers["Content-Type"]) == (200, "application/jsonl"), answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_the_log_as_json_lines() -> None:
    wire, revisions = await past_of_a_map()
    lines = await export(wire)
    assert [line["revision"] for line in lines] == [str(n) for n in range(1, wire.store.revision + 1)]
    last = lines[-1]
    assert last["object"] == (await wire.ask("GET", f"{MAPS}/a")).json
    del last["object"]
    assert last == {
        "revision": str(revisions[3]),
        "time": "2026-11-23T10:03:00.000000Z",
        "type": "ADDED",
        "uid": last["uid"],
        "user": "admin",
        "manager": "me",
        "resource": "configmaps",
        "namespace": "default",
        "name": "a",
    }
    ranged = await export(wire, f"since={revisions[0]}&until={minutes_ago(wire, 1)}&resource=configmaps")
    assert [int(line["revision"]) for line in ranged] == revisions[1:3]
    assert await export(wire, f"since={revisions[3]}") == []


async def test_a_range_that_cannot_be() -> None:
    wire, revisions = await past_of_a_map()
    assert (await wire.ask("GET", f"{LOG}?since={revisions[1]}&until={revisions[0]}")).code == 400
    assert (await wire.ask("GET", f"{LOG}?until=99999")).code == 504
    assert (await wire.ask("GET", f"{LOG}?since=soon")).code == 400
    assert (await wire.ask("POST", LOG, {})).code == 405
    wire.now_ms += 4 * 3_600_000
    wire.store.compact()
    answer = await wire.ask("GET", f"{LOG}?since=1")
    assert (answer.code, answer.json["reason"]) == (410, "Expired")
    assert f"the oldest retained revision is {revisions[3]}" in answer.json["message"]


async def test_it_is_not_for_everybody() -> None:
    wire, _ = await past_of_a_map()
    assert (await wire.ask("GET", LOG, certificate=NOBODY)).code == 403
    assert (await wire.ask("GET", f"{MAPS}/a/history", certificate=NOBODY)).code == 403
