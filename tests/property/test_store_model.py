"""The store against a dict: every result is the one that a dict would give, in the order of revisions; a watch from any
retained revision tells exactly what has happened since; a crash, torn write or not, loses nothing acknowledged.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from actors.api.codec import decode
from actors.api.errors import Expired
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite, Update
from actors.reconcile.watch import EventType, Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.backend.port import BackendError
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine, Request
from actors.store.ids import SeededIds
from actors.store.watch import changes

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.integers(0, 2)
LABELS = st.sampled_from(["", "red", "blue"])
MINUTE = 60_000
Model = dict[str, tuple[int, int, str]]  # name -> (revision, value, label)
SELECTIONS = [Selection(("configmaps",)), Selection(("configmaps",), labels="color=red"), Selection((), "default")]


def key_of(name: str) -> Key:
    return Key("configmaps", "default", name)


def body_of(name: str, value: int, label: str) -> dict[str, Any]:
    labels = {"color": label} if label else {}
    return {"metadata": {"name": name, "labels": labels}, "data": {"value": str(value)}}


class StoreMachine(RuleBasedStateMachine):
    written = Bundle("written")

    def __init__(self) -> None:
        super().__init__()
        self.lives = 0
        self.now = MINUTE
        self.config = StoreConfig(retention_minutes=5, watch_events_max=3)
        self.start(b"")
        self.engine.commit(bootstrap_writes(), 0)
        self.model: Model = {}
        self.past: dict[int, Model] = {self.engine.revision: {}}
        self.uids: set[str] = set()
        self.highest = self.engine.revision
        self.told: dict[str, tuple[list[StoreWrite], list[Reply]]] = {}

    def start(self, disk: bytes) -> None:
        self.lives += 1
        self.backend = MemoryBackend(disk)
        self.engine = Engine(self.backend, SeededIds(self.lives), self.config)

    # --- writes -------------------------------------------------------------------------------------------------

    @rule(
        target=written,
        writes=st.lists(st.tuples(st.sampled_from("cupd"), NAMES, VALUES, LABELS), min_size=1, max_size=8),
    )
    def commit(self, writes: list[tuple[str, str, int, str]]) -> str:
        key, expected = f"k{len(self.told)}", dict(self.model)
        planned: list[StoreWrite] = []
        for kind, name, value, label in writes:
            planned.append(self.write_of(kind, name, value, label))
        replies = self.engine.commit(planned, self.now, key)
        for (kind, name, value, label), reply in zip(writes, replies, strict=True):
            self.check_reply(expected, kind, name, value, label, reply)
        self.model = expected
        self.told[key] = (planned, replies)
        return key

    def write_of(self, kind: str, name: str, value: int, label: str) -> StoreWrite:
        if kind == "c":
            return Create(resource="configmaps", namespace="default", object=body_of(name, value, label))
        if kind == "d":
            return Delete(key=key_of(name))
        if kind == "p":
            return Patch(key=key_of(name), patch={"data": {"value": str(value)}})
        return Update(key=key_of(name), object=body_of(name, value, label))

    def check_reply(self, expected: Model, kind: str, name: str, value: int, label: str, reply: Reply) -> None:
        there = expected.get(name)
        if (there is None) != (kind == "c"):
            assert reply.error is not None
            assert reply.error["reason"] == ("AlreadyExists" if kind == "c" else "NotFound")
            return
        assert reply.error is None and reply.stored is not None, reply.error
        after = (value, there[2] if kind == "p" and there else label)
        if kind != "d" and there is not None and there[1:] == after:
            assert not reply.changed and reply.stored.revision == there[0]
            return
        assert reply.changed and reply.stored.revision == self.highest + 1
        self.highest = reply.stored.revision
        if kind == "c":
            assert reply.stored.uid not in self.uids
            self.uids.add(reply.stored.uid)
        if kind == "d":
            assert reply.removed
            del expected[name]
        else:
            expected[name] = (reply.stored.revision, *after)
        self.past[self.highest] = dict(expected)

    @rule(name=NAMES, behind=st.integers(1, 5))
    def stale_update(self, name: str, behind: int) -> None:
        if name not in self.model:
            return
        obj = body_of(name, 99, "")
        obj["metadata"]["resourceVersion"] = str(max(1, self.model[name][0] - behind))
        [reply] = self.engine.commit([Update(key=key_of(name), object=obj)], self.now)
        assert reply.error is not None and reply.error["reason"] == "Conflict"

    @rule(key=written)
    def repeat(self, key: str) -> None:
        writes, replies = self.told[key]
        if self.engine.log.answer(key) is not None:
            assert self.engine.commit(writes, self.now, key) == replies

    # --- time and trouble ---------------------------------------------------------------------------------------

    @rule(minutes=st.integers(1, 3))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule()
    def compact(self) -> None:
        self.engine.compact(self.now)

    @rule()
    def crash(self) -> None:
        self.start(bytes(self.backend.disk))

    @rule(lost=st.integers(1, 10_000))
    def crash_in_a_write(self, lost: int) -> None:
        """The batch was never acknowledged, so it may be gone; a part of it may not be there."""
        request = Request((Create(resource="configmaps", namespace="default", object=body_of("torn", 0, "")),), "torn")
        self.engine.write(self.engine.plan([request], self.now))
        self.backend.tear(lost)
        self.start(bytes(self.backend.disk))

    @rule()
    def full_disk(self) -> None:
        self.backend.failing = True
        with pytest.raises(BackendError):
            self.engine.commit(
                [Create(resource="configmaps", namespace="default", object=body_of("lost", 0, ""))], self.now
            )
        self.backend.failing = False

    # --- what holds -----------------------------------------------------------------------------------------------

    @invariant()
    def the_present_is_the_models(self) -> None:
        assert self.engine.revision == self.highest
        assert self.read(self.highest) == self.model

    @invariant()
    def the_past_is_as_it_was(self) -> None:
        for revision, model in self.past.items():
            if revision >= self.engine.log.horizon:
                assert self.read(revision) == model
            else:
                with pytest.raises(Expired):
                    self.read(revision)

    def read(self, revision: int) -> Model:
        found, cursor = {}, ""
        while True:
            page = self.engine.list(Selection(("configmaps",)), 2, cursor, revision)
            for stored in page.items:
                obj = decode(stored)
                label = (obj["metadata"].get("labels") or {}).get("color", "")
                found[stored.key.name] = (stored.revision, int(obj["data"]["value"]), label)
                assert self.engine.get(stored.key, revision) == stored
            cursor = page.cursor
            if not cursor:
                return found

    @precondition(lambda self: self.past)
    @invariant()
    def a_watch_leads_from_then_to_now(self) -> None:
        since = max(min(self.past), self.engine.log.horizon)
        for selection in SELECTIONS:
            known = {s.key: s for s in self.engine.list(selection, revision=since).items}
            at, seen = since, [since]
            while at < self.engine.revision:
                batch = changes(self.engine.log, selection, at)
                for event in batch.events:
                    assert event.stored.revision > seen[-1]
                    seen.append(event.stored.revision)
                    assert (event.type is EventType.ADDED) == (event.stored.key not in known)
                    known.pop(event.stored.key, None)
                    if event.type is not EventType.DELETED:
                        known[event.stored.key] = event.stored
                assert batch.revision > at
                at = batch.revision
            assert known == {s.key: s for s in self.engine.list(selection).items}


StoreMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestStoreModel = StoreMachine.TestCase
