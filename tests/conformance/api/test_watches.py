"""Watches: what is shown first, resuming, bookmarks, objects that begin and cease to match, the end."""

from __future__ import annotations

import time

import pytest
from api_client import Api, Json

MAPS = "configmaps"
END = "k8s.io/initial-events-end"


def _bookmarks(events: list[Json]) -> list[Json]:
    return [event["object"] for event in events if event["type"] == "BOOKMARK"]


def test_from_a_revision_come_all_later_changes_and_nothing_else(api: Api) -> None:
    api.make("before")
    then = api.get(MAPS).revision
    api.make("a")
    api.patch("merge", f"{MAPS}/a", {"data": {"x": "1"}}).ok()
    api.delete(f"{MAPS}/a").ok()
    with_gone = api.watch(MAPS, resourceVersion=then).events()
    assert [event["type"] for event in with_gone] == ["ADDED", "MODIFIED", "DELETED"]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in with_gone]
    assert revisions == sorted(set(revisions))
    assert revisions[-1] <= int(api.get(MAPS).revision), "others write, too"
    assert with_gone[-1]["object"]["data"] == {"x": "1"}
    assert api.watch(MAPS, resourceVersion=revisions[0]).told() == [("MODIFIED", "a"), ("DELETED", "a")]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": ""}, {"resourceVersion": "0"}])
def test_without_a_revision_the_present_comes_first(api: Api, query: dict[str, str]) -> None:
    api.make("a")
    watch = api.watch(MAPS, **query)
    assert watch.next()["object"]["metadata"]["name"] == "a"
    api.make("b")
    assert watch.told() == [("ADDED", "b")]


def test_a_change_that_changes_nothing_is_no_event(api: Api) -> None:
    made = api.make("a", x="1")
    watch = api.watch(MAPS, resourceVersion=made["metadata"]["resourceVersion"])
    api.patch("merge", f"{MAPS}/a", {"data": {"x": "1"}}).ok()
    api.put(f"{MAPS}/a", api.get(f"{MAPS}/a").json).ok()
    assert watch.told() == []


def test_objects_begin_and_cease_to_match(api: Api) -> None:
    then = api.get(MAPS).revision
    api.make("a", {"show": "no"})
    api.patch("merge", f"{MAPS}/a", {"metadata": {"labels": {"show": "yes"}}}).ok()
    api.patch("merge", f"{MAPS}/a", {"data": {"x": "1"}}).ok()
    hidden = api.patch("merge", f"{MAPS}/a", {"metadata": {"labels": {"show": "no"}}}).ok()
    api.patch("merge", f"{MAPS}/a", {"metadata": {"labels": {"show": "yes"}}}).ok()
    gone = api.watch(MAPS, resourceVersion=then, labelSelector="show=yes").events()
    assert [event["type"] for event in gone] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    assert gone[2]["object"]["metadata"]["labels"] == {"show": "yes"}
    assert gone[2]["object"]["metadata"]["resourceVersion"] == hidden["metadata"]["resourceVersion"]


def test_field_selectors_follow_the_object(api: Api) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    api.post("pods", body).ok()
    watch = api.watch("pods", resourceVersion=api.get("pods").revision, fieldSelector="status.phase=Running")
    for phase in ("Running", "Succeeded"):
        api.patch("merge", "pods/p/status", {"status": {"phase": phase}}).ok()
    assert watch.told() == [("ADDED", "p"), ("DELETED", "p")]


def test_watch_list_ends_its_beginning_with_a_bookmark(api: Api) -> None:
    for name in "ab":
        api.make(name)
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    watch = api.watch(MAPS, **query)
    first = [watch.next() for _ in range(3)]
    assert [event["type"] for event in first] == ["ADDED", "ADDED", "BOOKMARK"]
    end = first[2]["object"]
    assert (end["kind"], end["apiVersion"], end["metadata"]["annotations"]) == ("ConfigMap", "v1", {END: "true"})
    api.make("c")
    resumed = api.watch(MAPS, resourceVersion=end["metadata"]["resourceVersion"])
    assert (watch.told(), resumed.told()) == ([("ADDED", "c")], [("ADDED", "c")])


def test_watch_list_waits_for_no_past_and_refuses_the_future(api: Api) -> None:
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    api.make("a")
    assert api.watch(MAPS, resourceVersion=1, **query).told() == [("ADDED", "a")]
    ahead = int(api.get(MAPS).revision) + 1000
    status = api.get(MAPS, watch=1, timeoutSeconds=1, resourceVersion=ahead, **query).refused(504, "Timeout")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    no_past = {**query, "sendInitialEvents": "false", "allowWatchBookmarks": "true"}
    watch = api.watch(MAPS, **no_past)
    api.make("b")
    events = watch.events()
    assert [e["object"]["metadata"]["name"] for e in events if e["type"] == "ADDED"] == ["b"]
    assert all("annotations" not in mark["metadata"] for mark in _bookmarks(events))


def test_the_end_comes_in_time_with_a_bookmark_to_resume_from(api: Api) -> None:
    begun = time.monotonic()
    then = api.get(MAPS).revision
    watch = api.watch(MAPS, resourceVersion=then, allowWatchBookmarks="true")
    made = api.make("a")
    api.post("secrets", {"metadata": {"name": "another-kind"}}).ok()
    events = watch.events()
    assert 0.9 < time.monotonic() - begun < 5
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    mark = events[1]["object"]["metadata"]
    assert int(mark["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    assert api.watch(MAPS, resourceVersion=mark["resourceVersion"]).told() == []
    assert [e["type"] for e in api.watch(MAPS, resourceVersion=then).events()] == ["ADDED"]


def test_what_is_no_longer_kept_is_told_as_an_event(api: Api) -> None:
    then = api.get(MAPS).revision
    api.make("a")
    api.forget()
    watch = api.watch(MAPS, resourceVersion=then)
    assert watch.response.status == 200
    [error] = watch.events()
    assert (error["type"], error["object"]["kind"], error["object"]["code"]) == ("ERROR", "Status", 410)
    assert (error["object"]["reason"], error["object"]["message"][:24]) == ("Expired", "too old resource version")


def test_tables_and_metadata_are_watched_too(api: Api) -> None:
    api.make("a", x="1")
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    rows = api.watch(MAPS, headers={"Accept": table})
    first = rows.next()["object"]
    api.make("b")
    [second] = rows.events()
    assert (first["kind"], bool(first["columnDefinitions"]), first["rows"][0]["cells"][0]) == ("Table", True, "a")
    assert (second["object"]["columnDefinitions"], second["object"]["rows"][0]["cells"][0]) == ([], "b")
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    shown = api.watch(MAPS, headers={"Accept": partial}).next()["object"]
    assert (shown["kind"], set(shown)) == ("PartialObjectMetadata", {"kind", "apiVersion", "metadata"})
