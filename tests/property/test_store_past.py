"""The past against a model that kept every state: each retained revision and time reads as it was, what was forgotten is
refused with the oldest that is left, and the history, played on top of the oldest state, ends in the present.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.codec import decode
from actors.api.errors import ApiError, Expired
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.reconcile.watch import EventType, Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.history import select_history
from actors.store.ids import SeededIds

MAPS = Selection(("configmaps",))
MINUTE = 60_000
START = 100 * MINUTE
#: (what, name, value, how much time has passed since the step before; the clock may be set back)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "patch", "delete", "compact", "restart"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3),
        st.sampled_from([-90_000, 0, 1, 1000, 30_000, 150_000]),
    ),
    max_size=40,
)
State = dict[str, tuple[int, dict[str, str]]]


def key_of(name: str) -> Key:
    return Key("configmaps", "default", name)


def write_of(what: str, name: str, value: int) -> StoreWrite:
    if what == "create":
        return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}, "data": {}})
    if what == "patch":
        return Patch(key=key_of(name), patch={"data": {"n": str(value)}})
    return Delete(key=key_of(name))


def state_of(engine: Engine, revision: int = 0) -> State:
    items = engine.list(MAPS, revision=revision).items
    return {item.key.name: (item.revision, decode(item).get("data", {})) for item in items}


class Past:
    """Every state there was, and when each revision was committed."""

    def __init__(self) -> None:
        self.config = StoreConfig(retention_minutes=3)
        self.engine = Engine(MemoryBackend(), SeededIds(1), self.config)
        self.now = START
        self.engine.commit(bootstrap_writes(), self.now)
        self.first = self.engine.revision
        self.states: dict[int, State] = {self.first: {}}
        self.times: dict[int, int] = {self.first: self.now}
        self.compacted_to = 0

    def step(self, what: str, name: str, value: int, passed: int) -> None:
        self.now += passed
        if what == "compact":
            self.engine.compact(self.now)
        elif what == "restart":
            self.engine = Engine(MemoryBackend(bytes(self.engine.backend.disk)), SeededIds(2), self.config)  # type: ignore[attr-defined]
        else:
            self.engine.commit([write_of(what, name, value)], self.now)
            if self.engine.revision not in self.states:
                self.states[self.engine.revision] = state_of(self.engine)
                self.times[self.engine.revision] = self.now


@given(STEPS)
def test_every_retained_revision_reads_as_it_was(steps: list[tuple[str, str, int, int]]) -> None:
    past = Past()
    for step in steps:
        past.step(*step)
    log = past.engine.log
    for revision, state in past.states.items():
        if revision >= log.horizon:
            assert state_of(past.engine, revision) == state
        else:
            with pytest.raises(Expired, match=f"the oldest retained revision is {log.horizon}, of 19"):
                past.engine.list(MAPS, revision=revision)


@given(STEPS, st.integers(-MINUTE, 20 * MINUTE))
def test_a_time_is_the_last_revision_committed_by_then(steps: list[tuple[str, str, int, int]], after: int) -> None:
    past = Past()
    for step in steps:
        past.step(*step)
    log, at = past.engine.log, START + after
    known = [revision for revision, time in past.times.items() if time <= at and revision >= log.horizon]
    if known:
        assert log.revision_at(at) == max(known)
    else:
        with pytest.raises(Expired, match="the oldest retained revision is"):
            log.revision_at(at)
    if past.now >= max(past.times.values()):
        assert log.revision_at(past.now) == past.engine.revision


@given(STEPS)
def test_history_leads_from_the_oldest_state_to_the_present(steps: list[tuple[str, str, int, int]]) -> None:
    past = Past()
    for step in steps:
        past.step(*step)
    told = select_history(past.engine.log, MAPS, 0, 0)
    state = dict(state_of(past.engine, max(told.horizon, past.first)))
    assert (told.revision, told.until) == (past.engine.revision, past.engine.revision)
    for change in told.changes:
        name = change.stored.key.name
        before = (change.previous.revision, decode(change.previous).get("data", {})) if change.previous else None
        assert state.get(name) == before
        assert (change.type is EventType.ADDED) == (before is None)
        assert change.at == past.times[change.stored.revision]
        if change.type is EventType.DELETED:
            del state[name]
        else:
            state[name] = (change.stored.revision, decode(change.stored).get("data", {}))
    assert state == state_of(past.engine)
    assert all(one.stored.revision < other.stored.revision for one, other in pairwise(told.changes))


@given(STEPS, st.integers(1, 2))
def test_compaction_leaves_no_gap(steps: list[tuple[str, str, int, int]], limit: int) -> None:
    """A watch and a list that began before it go on without a loss, or are told Expired."""
    past = Past()
    half = len(steps) // 2
    for step in steps[:half]:
        past.step(*step)
    began, first = past.engine.revision, past.engine.list(MAPS, limit=limit)
    for step in steps[half:]:
        past.step(*step)
    expired = began < past.engine.log.horizon
    refused: list[type[ApiError]] = []
    seen = {item.key.name: item.revision for item in first.items}
    cursor = first.cursor
    try:
        while cursor:
            page = past.engine.list(MAPS, limit=limit, cursor=cursor)
            seen |= {item.key.name: item.revision for item in page.items}
            cursor = page.cursor
        assert seen == {name: revision for name, (revision, _) in past.states.get(began, {}).items()}
    except ApiError as error:
        refused.append(type(error))
    try:
        events = past.engine.changes(MAPS, began).events
        assert [event.stored.revision for event in events] == [revision for revision in past.states if revision > began]
    except ApiError as error:
        refused.append(type(error))
    assert set(refused) == ({Expired} if expired else set())
