"""What actors/store/backend/port.py promises, of every backend: seen through the engine that trusts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.api.errors import Expired
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch
from actors.reconcile.watch import Selection
from actors.store.backend.port import Backend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.history import select_history
from actors.store.ids import SeededIds

ALL = Selection()
MINUTE = 60_000
Reopen = Callable[[], Backend]


def start(backend: Backend, config: StoreConfig | None = None) -> Engine:
    engine = Engine(backend, SeededIds(1), config)
    engine.commit(bootstrap_writes(), 0)
    return engine


def new_map(name: str) -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})


def by_ada(name: str) -> Create:
    obj = {"metadata": {"name": name}}
    return Create(resource="configmaps", namespace="default", object=obj, user="ada", manager="kubectl")


def patch_of(name: str, value: int) -> Patch:
    return Patch(key=Key("configmaps", "default", name), patch={"data": {"n": str(value)}})


def everything(engine: Engine, since: int) -> tuple[Any, ...]:
    return engine.list(ALL), engine.changes(ALL, since), engine.revision


def test_a_new_one_begins_at_revision_zero(reopen: Reopen) -> None:
    recovered = reopen().load()
    assert (recovered.records, recovered.answers, recovered.horizon, recovered.revision) == ((), (), 0, 0)


def test_what_was_appended_is_loaded_with_its_history(reopen: Reopen) -> None:
    engine = start(reopen())
    since = engine.revision
    engine.commit([new_map("a"), new_map("b")], 1)
    engine.commit([patch_of("a", 1), Delete(key=Key("configmaps", "default", "b"))], 2)
    before = everything(engine, since)
    assert len(before[1].events) == 4
    assert everything(start(reopen()), since) == before


def test_answers_survive(reopen: Reopen) -> None:
    engine = start(reopen())
    writes = [new_map("a"), new_map("a"), patch_of("a", 1), patch_of("a", 1), Delete(key=Key("pods", "default", "x"))]
    told = engine.commit(writes, 1, "once")
    engine.commit([Delete(key=Key("configmaps", "default", "a"))], 2)
    again = start(reopen())
    assert again.commit(writes, 3, "once") == told
    assert again.list(Selection(("configmaps",))).items == ()


def test_compaction_keeps_the_present_and_the_answers(reopen: Reopen) -> None:
    config = StoreConfig(retention_minutes=1, reply_retention_minutes=10)
    engine = start(reopen(), config)
    engine.commit([new_map("a"), new_map("b"), new_map("c")], MINUTE)
    for n in range(20):
        engine.commit([patch_of("a", n)], 2 * MINUTE, f"k{n}")
    engine.commit([Delete(key=Key("configmaps", "default", "b"))], 2 * MINUTE)
    middle = engine.revision
    engine.commit([patch_of("c", 1)], 5 * MINUTE, "recent")
    engine.compact(5 * MINUTE)
    before = everything(engine, middle)
    assert engine.log.horizon == middle
    with pytest.raises(Expired):
        engine.changes(ALL, middle - 1)
    with pytest.raises(Expired):
        engine.get(Key("configmaps", "default", "a"), middle - 1)

    backend = reopen()
    loaded = backend.load()
    live = {stored.key for stored in engine.list(ALL).items}
    assert {record.stored.key for record in loaded.records} == live
    assert [answer.key for answer in loaded.answers] == ["recent"]
    again = start(backend, config)
    assert everything(again, middle) == before
    [reply] = again.commit([patch_of("c", 2)], 5 * MINUTE, "recent")
    assert reply.stored == again.get(Key("configmaps", "default", "c")) and again.revision == before[2]


def test_no_revision_is_used_twice_when_the_last_records_are_compacted(reopen: Reopen) -> None:
    config = StoreConfig(retention_minutes=1)
    engine = start(reopen(), config)
    engine.commit([new_map("a")], 1)
    engine.commit([Delete(key=Key("configmaps", "default", "a"))], 2)
    last = engine.revision
    engine.compact(100 * MINUTE)
    assert engine.log.horizon == last
    again = start(reopen(), config)
    assert again.revision == last
    [reply] = again.commit([new_map("a")], 100 * MINUTE)
    assert reply.stored is not None and reply.stored.revision == last + 1


def test_history_younger_than_a_minute_is_never_dropped(reopen: Reopen) -> None:
    config = StoreConfig(retention_revisions=1, reply_retention_count=1)
    engine = start(reopen(), config)
    now = 100 * MINUTE
    engine.commit([new_map("a")], now, "k1")
    engine.commit([patch_of("a", 1)], now, "k2")
    engine.compact(now + 59_000)
    again = start(reopen(), config)
    assert len(again.changes(ALL, engine.revision - 2).events) == 2
    assert [answer.key for answer in again.backend.load().answers] == ["k1", "k2"]
    again.compact(now + 61_000)
    assert again.log.horizon == again.revision - 1


def test_a_minute_that_would_fill_the_memory_is_not_kept_whole(reopen: Reopen) -> None:
    """One who writes a megabyte twenty times a second is no reason to keep a gigabyte."""
    config = StoreConfig(retention_bytes=20_000)
    engine = start(reopen(), config)
    engine.commit([new_map("a")], MINUTE)
    for n in range(100):
        engine.commit([Patch(key=Key("configmaps", "default", "a"), patch={"data": {"n": f"{n}" * 1000}})], MINUTE)
    engine.compact(MINUTE + 1000)
    kept = engine.changes(ALL, engine.log.horizon).events
    assert 60_000 < sum(len(event.stored.body) for event in kept) <= 80_000
    assert start(reopen(), config).changes(ALL, engine.log.horizon).events == kept


def test_a_dry_run_is_not_remembered_by_its_key(reopen: Reopen) -> None:
    """Its answers hold objects that are nowhere else: to carry it out again changes nothing."""
    engine = start(reopen())
    tried = Create(resource="configmaps", namespace="default", object={"metadata": {"name": "t"}}, dry_run=True)
    engine.commit([tried], MINUTE, "tried")
    engine.commit([new_map("a")], MINUTE, "done")
    assert (engine.log.answer("tried"), engine.log.answer("done") is None) == (None, False)


def test_a_long_refusal_is_remembered_in_short(reopen: Reopen) -> None:
    engine = start(reopen())
    wrong = Create(resource="configmaps", namespace="default", object={"metadata": {"name": "X" * 100_000}})
    [first] = engine.commit([wrong], MINUTE, "wrong")
    [again] = engine.commit([wrong], MINUTE, "wrong")
    assert first.error is not None and len(msgspec.json.encode(first.error)) > 30_000
    assert again.error is not None and again.error["reason"] == "Invalid"
    assert len(msgspec.json.encode(again.error)) < 7_000


def test_who_and_the_time_of_the_horizon_survive(reopen: Reopen) -> None:
    config = StoreConfig(retention_minutes=1)
    engine = start(reopen(), config)
    engine.commit([by_ada("x")], MINUTE)
    horizon = engine.revision
    engine.commit([by_ada("y")], 3 * MINUTE)
    engine.compact(3 * MINUTE)
    again = start(reopen(), config)
    for one in (engine, again):
        assert (one.log.horizon, one.log.horizon_at) == (horizon, MINUTE)
        assert (one.log.revision_at(MINUTE), one.log.revision_at(3 * MINUTE - 1)) == (horizon, horizon)
        assert one.log.revision_at(3 * MINUTE) == horizon + 1
        [change] = select_history(one.log, Selection(("configmaps",)), 0, 0).changes
        assert (change.user, change.manager, change.at) == ("ada", "kubectl", 3 * MINUTE)


def test_history_is_bounded_by_its_bytes(reopen: Reopen) -> None:
    """What the last minute needs stays, whatever its size; of what is older the newest that fit."""
    config = StoreConfig(retention_minutes=600, retention_bytes=20_000)
    engine = start(reopen(), config)
    engine.commit([new_map("a")], MINUTE)
    for n in range(40):
        engine.commit([Patch(key=Key("configmaps", "default", "a"), patch={"data": {"n": f"{n}" * 1000}})], 2 * MINUTE)
    engine.compact(2 * MINUTE + 1000)
    assert engine.log.horizon == engine.revision - 40
    engine.compact(4 * MINUTE)
    kept = engine.changes(ALL, engine.log.horizon).events
    assert 0 < sum(len(event.stored.body) for event in kept) <= 20_000
    assert len(kept) >= 8
    engine.compact(4 * MINUTE)
    assert start(reopen(), config).changes(ALL, engine.log.horizon).events == kept


def test_rewriting_keeps_all_that_it_is_given(reopen: Reopen) -> None:
    engine = start(reopen())
    engine.commit([new_map("a"), by_ada("b")], MINUTE, "once")
    engine.commit([patch_of("a", 1)], 2 * MINUTE)
    before, revision = everything(engine, 1), engine.revision
    backend = reopen()
    backend.rewrite(backend.load())
    again = Engine(reopen(), SeededIds(2))
    assert everything(again, 1) == before
    replies = again.commit([new_map("a"), by_ada("b")], 3 * MINUTE, "once")
    assert [reply.error for reply in replies] == [None, None] and again.revision == revision, "answers are kept, too"
