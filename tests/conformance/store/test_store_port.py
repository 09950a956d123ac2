"""What actors/store/port.py promises, of every implementation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.api.codec import decode
from actors.api.errors import BadRequest, Expired, NotFound, Timeout, from_status
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, PatchType, Reply, Update
from actors.reconcile.watch import EventType, Selection
from actors.store.local import read_clock
from actors.store.port import StorePort

MAPS = Selection(("configmaps",))


def new_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Create:
    metadata: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return Create(resource="configmaps", namespace="default", object={"metadata": metadata, "data": data})


def key_of(name: str) -> Key:
    return Key("configmaps", "default", name)


def patch_of(name: str, **data: str) -> Patch:
    return Patch(key=key_of(name), patch={"data": data})


def fine(replies: list[Reply]) -> list[Any]:
    for reply in replies:
        if reply.error is not None:
            raise from_status(reply.error)
    return [reply.stored for reply in replies]


async def test_a_commit_answers_each_write_in_order(store: StorePort) -> None:
    replies = await store.commit([new_map("a", x="1"), new_map("a"), patch_of("a", x="2"), Delete(key=key_of("b"))])
    assert [reply.error and reply.error["reason"] for reply in replies] == [None, "AlreadyExists", None, "NotFound"]
    created, patched = replies[0].stored, replies[2].stored
    assert created is not None and patched is not None
    assert patched.revision > created.revision and patched.created_revision == created.revision
    assert patched.uid == created.uid
    assert decode(patched)["data"] == {"x": "2"}
    assert await store.get(key_of("a")) == patched


async def test_a_write_that_changes_nothing_keeps_the_revision(store: StorePort) -> None:
    [stored] = fine(await store.commit([new_map("a", x="1")]))
    [reply] = await store.commit([patch_of("a", x="1")])
    assert reply.stored == stored and not reply.changed
    [reply] = await store.commit([Update(key=key_of("a"), object=decode(stored))])
    assert reply.stored == stored and not reply.changed


async def test_an_idempotency_key_is_carried_out_once(store: StorePort) -> None:
    first = await store.commit([new_map("a", x="1"), new_map("b")], "me-1")
    fine(await store.commit([Delete(key=key_of("a"))]))
    assert await store.commit([new_map("a", x="1"), new_map("b")], "me-1") == first
    with pytest.raises(NotFound):
        await store.get(key_of("a"))


async def test_two_calls_at_once_with_one_key_are_one(store: StorePort) -> None:
    write = Create(resource="configmaps", namespace="default", object={"metadata": {"generateName": "g-"}})
    first, second = await asyncio.gather(store.commit([write], "same"), store.commit([write], "same"))
    assert first == second
    assert len((await store.list(Selection(("configmaps",), "default"))).items) == 1


async def test_a_get_of_the_past(store: StorePort) -> None:
    [first] = fine(await store.commit([new_map("a", x="1")]))
    [second] = fine(await store.commit([patch_of("a", x="2")]))
    [last] = fine(await store.commit([Delete(key=key_of("a"))]))
    assert await store.get(key_of("a"), first.revision) == first
    assert await store.get(key_of("a"), second.revision) == second
    for revision in (first.revision - 1, last.revision, 0):
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await store.get(key_of("a"), revision)
    with pytest.raises(Timeout, match="Too large resource version"):
        await store.get(key_of("a"), last.revision + 1000)


async def test_pages_of_a_list_are_of_one_revision(store: StorePort) -> None:
    fine(await store.commit([new_map(f"m{n}") for n in range(7)]))
    page = await store.list(MAPS, limit=3)
    names, revision = [stored.key.name for stored in page.items], page.revision
    assert (len(page.items), page.remaining) == (3, 4)
    fine(await store.commit([Delete(key=key_of("m5")), patch_of("m6", late="1"), new_map("m33"), new_map("m9")]))
    while page.cursor:
        page = await store.list(MAPS, limit=3, cursor=page.cursor)
        assert page.revision == revision
        assert all("late" not in decode(stored).get("data", {}) for stored in page.items)
        names += [stored.key.name for stored in page.items]
    assert names == [f"m{n}" for n in range(7)]
    assert [s.key.name for s in (await store.list(MAPS)).items] == ["m0", "m1", "m2", "m3", "m33", "m4", "m6", "m9"]


async def test_lists_are_selected(store: StorePort) -> None:
    fine(await store.commit([new_map("a", {"app": "x"}), new_map("b", {"app": "y"}), new_map("c")]))

    async def names(**selection: str) -> list[str]:
        return [s.key.name for s in (await store.list(Selection(("configmaps",), **selection))).items]

    assert await names(labels="app") == ["a", "b"]
    assert await names(labels="app in (y,z)") == ["b"]
    assert await names(labels="!app") == ["c"]
    assert await names(fields="metadata.name=c") == ["c"]
    assert await names(fields="metadata.name!=c", labels="app=x") == ["a"]
    assert await names(namespace="kube-system") == []
    mixed = await store.list(Selection(("namespaces", "configmaps")))
    assert [s.key for s in mixed.items] == sorted(s.key for s in mixed.items)
    assert {s.key.resource for s in mixed.items} == {"namespaces", "configmaps"}


@pytest.mark.parametrize("cursor", ["x", "!!", "AAAA", "é", "W10"])
async def test_a_cursor_that_is_none_is_refused(store: StorePort, cursor: str) -> None:
    with pytest.raises(BadRequest, match="continue"):
        await store.list(MAPS, limit=1, cursor=cursor)


async def test_selectors_that_cannot_be_read_are_refused(store: StorePort) -> None:
    for selection in (Selection(("configmaps",), labels="a=,=b"), Selection(("configmaps",), fields="data.x=1")):
        with pytest.raises(BadRequest):
            await store.list(selection)
        with pytest.raises(BadRequest):
            await store.watch(selection, 1, 10)


async def test_a_watch_tells_every_change_once_in_order(store: StorePort) -> None:
    since = (await store.list(MAPS)).revision
    fine(await store.commit([new_map("a"), new_map("b")]))
    fine(await store.commit([patch_of("a", x="1"), patch_of("a", x="1"), Delete(key=key_of("b"))]))
    batch = await store.watch(MAPS, since, 1000)
    assert [(e.type, e.stored.key.name) for e in batch.events] == [
        (EventType.ADDED, "a"),
        (EventType.ADDED, "b"),
        (EventType.MODIFIED, "a"),
        (EventType.DELETED, "b"),
    ]
    revisions = [event.stored.revision for event in batch.events]
    assert revisions == sorted(set(revisions)) and batch.revision == revisions[-1]
    resumed = await store.watch(MAPS, revisions[1], 1000)
    assert resumed.events == batch.events[2:]


async def test_a_watch_waits_for_the_first_change(store: StorePort) -> None:
    since = (await store.list(MAPS)).revision
    waiting = asyncio.create_task(store.watch(MAPS, since, 10_000))
    await asyncio.sleep(0.02)
    fine(await store.commit([Create(resource="namespaces", namespace="", object={"metadata": {"name": "other"}})]))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    fine(await store.commit([new_map("a")]))
    assert [event.stored.key.name for event in (await waiting).events] == ["a"]


async def test_a_watch_ends_empty_at_its_time(store: StorePort) -> None:
    page = await store.list(MAPS)
    batch = await store.watch(MAPS, page.revision, 30)
    assert batch.events == () and batch.revision == page.revision


async def test_objects_that_begin_or_cease_to_match_are_added_and_deleted(store: StorePort) -> None:
    selection = Selection(("configmaps",), labels="app=x")
    since = (await store.list(MAPS)).revision

    def label(value: str | None) -> Patch:
        return Patch(key=key_of("a"), patch={"metadata": {"labels": {"app": value}}})

    _created, *_ = fine(await store.commit([new_map("a")]))
    [matching] = fine(await store.commit([label("x")]))
    [ceased] = fine(await store.commit([label("y")]))
    fine(await store.commit([Delete(key=key_of("a"))]))
    events = (await store.watch(selection, since, 1000)).events
    assert [event.type for event in events] == [EventType.ADDED, EventType.DELETED]
    assert events[0].stored == matching
    assert events[1].stored.body == matching.body and events[1].stored.revision == ceased.revision


async def test_a_nodelet_sees_its_own_pods(store: StorePort) -> None:
    pods = [
        Create(
            resource="pods",
            namespace="default",
            object={"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        )
        for name in ("p", "q")
    ]
    since = (await store.list(Selection(("pods",)))).revision
    fine(await store.commit(pods))
    fine(
        await store.commit(
            [
                Patch(key=Key("pods", "default", name), patch={"spec": {"nodeName": node}}, subresource="binding")
                for name, node in (("p", "n1"), ("q", "n2"))
            ]
        )
    )
    mine = Selection(("pods",), fields="spec.nodeName=n1")
    assert [s.key.name for s in (await store.list(mine)).items] == ["p"]
    assert [(e.type, e.stored.key.name) for e in (await store.watch(mine, since, 1000)).events] == [("ADDED", "p")]
    unbound = Selection(("pods",), fields="spec.nodeName=")
    told = (await store.watch(unbound, since, 1000)).events
    assert [(e.type, e.stored.key.name) for e in told] == [
        ("ADDED", "p"),
        ("ADDED", "q"),
        ("DELETED", "p"),
        ("DELETED", "q"),
    ]
    assert (await store.list(unbound)).items == ()


async def test_a_revision_from_nowhere_is_expired(store: StorePort) -> None:
    with pytest.raises(Expired):
        await store.watch(MAPS, (await store.list(MAPS)).revision + 10_000, 10)


async def test_a_dry_run_is_answered_and_not_stored(store: StorePort) -> None:
    before = (await store.list(MAPS)).revision
    [reply] = await store.commit(
        [Create(resource="configmaps", namespace="default", object={"metadata": {"name": "a"}}, dry_run=True)]
    )
    assert reply.error is None and reply.stored is not None
    assert decode(reply.stored)["metadata"]["uid"]
    assert (await store.list(MAPS)).revision == before
    with pytest.raises(NotFound):
        await store.get(key_of("a"))


async def test_many_commits_at_once_are_each_carried_out(store: StorePort) -> None:
    replies = await asyncio.gather(*(store.commit([new_map(f"m{n}")]) for n in range(200)))
    revisions = [stored.revision for reply in replies for stored in fine(reply)]
    assert len(set(revisions)) == 200
    assert len((await store.list(MAPS)).items) == 200


HOSTILE: list[Any] = [
    {"metadata": None},
    {"metadata": "x"},
    {"metadata": {"name": 7}},
    {"metadata": {"name": "a", "labels": {"x": 1}}},
    {"metadata": {"name": "a", "labels": []}},
    {"metadata": {"name": "a", "finalizers": "x"}},
    {"metadata": {"name": "a", "ownerReferences": [{}]}},
    {"metadata": {"name": "../etc"}},
    {"metadata": {"name": "a", "namespace": "other"}},
    {"apiVersion": "v2", "metadata": {"name": "a"}},
    {"kind": 3, "metadata": {"name": "a"}},
    {"metadata": {"name": "a", "resourceVersion": "12"}},
]


@pytest.mark.parametrize("obj", HOSTILE)
async def test_hostile_objects_are_refused_and_harm_no_neighbour(store: StorePort, obj: Any) -> None:
    bad, good = await store.commit([Create(resource="configmaps", namespace="default", object=obj), new_map("good")])
    assert bad.error is not None and bad.error["message"]
    assert good.error is None


HOSTILE_SPECS: list[Any] = [
    None,
    [],
    3,
    {"containers": 3},
    {"containers": [3]},
    {"containers": [{}]},
    {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "many"}}}]},
    {"containers": [{"name": "c", "image": "i", "resources": []}]},
    {"containers": [{"name": "c", "image": "i"}], "tolerations": {"a": 1}},
    {"containers": [{"name": "c", "image": "i", "env": [1, None, {"name": {}}]}]},
]


@pytest.mark.parametrize("spec", HOSTILE_SPECS)
async def test_hostile_pods_are_refused(store: StorePort, spec: Any) -> None:
    pod = {"metadata": {"name": "a"}, "spec": spec}
    bad, good = await store.commit([Create(resource="pods", namespace="default", object=pod), new_map("good")])
    assert bad.error is not None and 400 <= bad.error["code"] < 500, bad
    assert good.error is None


HOSTILE_PATCHES: list[tuple[PatchType, Any]] = [
    (PatchType.MERGE, "x"),
    (PatchType.MERGE, {"metadata": {"name": "b"}}),
    (PatchType.MERGE, {"metadata": {"uid": "other"}}),
    (PatchType.MERGE, {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}}),
    (PatchType.MERGE, {"metadata": {"resourceVersion": "1"}}),
    (PatchType.MERGE, {"metadata": {"resourceVersion": "x"}}),
    (PatchType.MERGE, {"kind": "Secret"}),
    (PatchType.JSON, {}),
    (PatchType.JSON, [{"op": "test", "path": "/data/x", "value": "no"}]),
    (PatchType.JSON, [{"op": "remove", "path": "/data/none"}]),
    (PatchType.JSON, [{"op": "replace", "path": "", "value": 3}]),
    (PatchType.JSON, [3]),
    (PatchType.STRATEGIC, []),
    (PatchType.APPLY, "x"),
    (PatchType.APPLY, {"metadata": 3}),
]


@pytest.mark.parametrize(("kind", "patch"), HOSTILE_PATCHES)
async def test_hostile_patches_are_refused(store: StorePort, kind: PatchType, patch: Any) -> None:
    [stored] = fine(await store.commit([new_map("a", x="1")]))
    write = Patch(key=key_of("a"), patch=patch, type=kind, manager="me")
    bad, good = await store.commit([write, new_map("good")])
    assert bad.error is not None and 400 <= bad.error["code"] < 500, bad
    assert good.error is None
    assert await store.get(key_of("a")) == stored


async def test_an_object_that_is_too_large_is_refused(store: StorePort) -> None:
    [reply] = await store.commit([new_map("a", x="x" * (2 << 20))])
    assert reply.error is not None and reply.error["code"] in (413, 422)


async def test_a_time_names_a_revision(store: StorePort) -> None:
    before = read_clock() - 1
    [made] = fine(await store.commit([new_map("a")]))
    assert await store.revision_at(read_clock() + 1000) == made.revision
    assert await store.revision_at(read_clock() + 1000) == (await store.list(MAPS)).revision
    with pytest.raises(Expired, match="the oldest retained revision is 1, of 20"):
        await store.revision_at(before - 3_600_000)


async def test_history_tells_who_and_what_was_before(store: StorePort) -> None:
    change = Patch(key=key_of("a"), patch={"data": {"n": "2"}}, user="ada", manager="kubectl")
    made, changed, gone = fine(await store.commit([new_map("a", n="1"), change, Delete(key=key_of("a"))]))
    told = await store.history(Selection(("configmaps",), "default", fields="metadata.name=a"))
    assert [(item.type, item.stored, item.previous) for item in told.changes] == [
        (EventType.ADDED, made, None),
        (EventType.MODIFIED, changed, made),
        (EventType.DELETED, gone, changed),
    ]
    assert (told.changes[1].user, told.changes[1].manager) == ("ada", "kubectl")
    assert (told.revision, told.until, told.horizon) == (gone.revision, gone.revision, 0)
    ranged = await store.history(MAPS, made.revision, changed.revision)
    assert [item.stored for item in ranged.changes] == [changed]
    with pytest.raises(BadRequest):
        await store.history(Selection(("configmaps",), labels="a=b"))
    with pytest.raises(Timeout):
        await store.history(MAPS, 0, gone.revision + 1)
