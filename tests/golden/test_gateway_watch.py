"""What watchers see: states, changes, selectors' transitions, bookmarks, WatchList, Tables, the end of history."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_wire import Wire

from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch
from actors.reconcile.watch import Selection

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


async def make(wire: Wire, name: str, **labels: str) -> int:
    write = Create(resource="configmaps", namespace="default", object=config_map(name, **labels))
    (reply,) = await wire.store.commit([write])
    assert reply.stored is not None
    return reply.stored.revision


async def label(wire: Wire, name: str, **labels: str) -> None:
    key = Key("configmaps", "default", name)
    await wire.store.commit([Patch(key=key, patch={"metadata": {"labels": labels}})])


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def test_from_nothing_it_begins_with_the_state() -> None:
    wire = Wire()
    await make(wire, "a")
    watching = wire.open("GET", f"{MAPS}?watch=true")
    assert told(await watching.events(1)) == [("ADDED", "a")]
    await make(wire, "b")
    await wire.store.commit([Delete(key=Key("configmaps", "default", "a"))])
    assert told(await watching.events(3)) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    watching.hang_up()


async def test_from_a_revision_it_shows_only_what_came_later() -> None:
    wire = Wire()
    since = await make(wire, "a")
    await make(wire, "b")
    watching = wire.open("GET", f"{MAPS}?watch=1&resourceVersion={since}")
    (event,) = await watching.events(1)
    assert told([event]) == [("ADDED", "b")]
    assert int(event["object"]["metadata"]["resourceVersion"]) == since + 1
    watching.hang_up()


async def test_selectors_turn_changes_into_comings_and_goings() -> None:
    wire = Wire()
    since = await make(wire, "a")
    watching = wire.open("GET", f"{MAPS}?watch=1&resourceVersion={since}&labelSelector=x%3Dy")
    await label(wire, "a", x="y")
    await label(wire, "a", x="z")
    assert told(await watching.events(2)) == [("ADDED", "a"), ("DELETED", "a")]
    watching.hang_up()


@pytest.mark.parametrize(
    "path", ["/api/v1/watch/namespaces/default/configmaps/mine", f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dmine"]
)
async def test_a_single_object(path: str) -> None:
    wire = Wire()
    await make(wire, "other")
    watching = wire.open("GET", path)
    await make(wire, "mine")
    assert told(await watching.events(1)) == [("ADDED", "mine")]
    watching.hang_up()


async def test_watch_list_ends_its_beginning_with_a_bookmark() -> None:
    wire = Wire()
    revision = await make(wire, "a")
    query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    watching = wire.open("GET", f"{MAPS}?{query}&fieldSelector=metadata.name%3Da")
    added, bookmark = await watching.events(2)
    assert told([added]) == [("ADDED", "a")]
    assert bookmark == {
        "type": "BOOKMARK",
        "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": str(revision),
                "creationTimestamp": None,
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        },
    }
    watching.hang_up()


async def test_tables_carry_their_columns_once() -> None:
    wire = Wire()
    await make(wire, "a")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    watching = wire.open("GET", f"{MAPS}?watch=true", Accept=accept)
    await make(wire, "b")
    first, second = await watching.events(2)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] == []
    assert [row["cells"] for row in second["object"]["rows"]] == [["b", "0", "0s"]]
    assert second["object"]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    watching.hang_up()


async def test_what_history_no_longer_holds_is_an_error_event() -> None:
    wire = Wire()
    for n in range(3):
        await make(wire, f"a{n}")
    wire.now_ms += 24 * 3600 * 1000
    wire.store.compact()
    answer = await wire.ask("GET", f"{MAPS}?watch=true&resourceVersion=3")
    assert (answer.code, answer.json["type"]) == (200, "ERROR")
    status = answer.json["object"]
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "Expired", 410)
    assert status["message"].startswith("too old resource version: 3 (")


async def test_its_time_is_up() -> None:
    wire = Wire()
    answer = await wire.ask("GET", f"{MAPS}?watch=true&timeoutSeconds=1")
    assert (answer.code, answer.body) == (200, b"")


async def test_one_poll_feeds_many_watchers_and_none_is_left() -> None:
    wire = Wire()
    since = await make(wire, "a")
    watchers = [wire.open("GET", f"{MAPS}?watch=1&resourceVersion={since}") for _ in range(5)]
    await make(wire, "b")
    for watcher in watchers:
        assert told(await watcher.events(1)) == [("ADDED", "b")]
    assert wire.fanout.feed_count == 1
    for watcher in watchers:
        await watcher.wait(lambda _: True)
    for _ in range(10):
        await wire.store.watch(Selection(("configmaps",)), 0, 0)
    assert wire.fanout.feed_count == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("watch=true&sendInitialEvents=true", 422),
        ("watch=true&resourceVersionMatch=Exact", 422),
        ("watch=true&resourceVersion=999999&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 504),
        ("watch=true&labelSelector=%3D%3D&resourceVersion=1", 400),
    ],
)
async def test_refused_before_it_begins(query: str, code: int) -> None:
    assert (await Wire().ask("GET", f"{MAPS}?{query}")).code == code
