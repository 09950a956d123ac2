"""The simulated store dies at every point of a commit: what was acknowledged is there, what was torn is not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from actors.api.key import Key
from actors.reconcile.actions import Create, Reply
from actors.reconcile.watch import Selection
from actors.sim.faults import CALM, Faults
from actors.sim.laws.history import Mirror
from actors.sim.laws.law import read
from actors.sim.store import SimStore
from actors.sim.timeline import Clock, Timeline
from actors.sim.trace import Trace
from actors.store.record import Batch

KEY = Key("configmaps", "default", "a")
CREATE = Create(
    resource="configmaps",
    namespace="default",
    object={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}},
)


class Store(SimStore):
    """With a mirror of what is durable beside it."""

    def __init__(self, **rates: float) -> None:
        self.timeline, self.faults = Timeline(), Faults(1, msgspec.structs.replace(CALM, **rates))
        super().__init__(1, self.timeline, Clock(self.timeline), self.faults, Trace())
        self.mirror = Mirror()
        self.on_durable.append(self._see)
        self.on_answer.append(self.mirror.answered)
        self.on_restart.append(self.mirror.restarted)
        self.bootstrap()

    def _see(self, batch: Batch) -> None:
        for record in batch.records:
            self.mirror.see(read(record))

    def pass_time(self, ms: int) -> None:
        self.timeline.run_until(self.timeline.now + ms)


def test_a_commit_is_answered_after_it_is_durable_and_then_shown() -> None:
    store, heard = Store(), list[Sequence[Reply]]()
    store.commit([CREATE], "k", heard.append)
    assert (heard, store.find(KEY)) == ([], None)
    store.pass_time(10)
    assert len(heard) == 1
    assert store.find(KEY) is not None


@pytest.mark.parametrize("torn_write", [0.0, 1.0])
def test_a_crash_in_the_middle_loses_all_of_the_commit_or_nothing_and_answers_nobody(torn_write: float) -> None:
    store, heard = Store(store_crash=1.0, torn_write=torn_write), list[Sequence[Reply]]()
    before = store.engine.revision
    store.commit([CREATE], "k", heard.append)
    store.pass_time(10)
    assert not store.is_up
    store.pass_time(5_000)
    assert store.is_up
    assert not heard
    assert (store.find(KEY) is None) == bool(torn_write)
    assert store.engine.revision == before + (0 if torn_write else 1)


def test_what_was_durable_is_answered_again_after_a_restart_and_not_done_again() -> None:
    store, heard = Store(store_crash=1.0), list[Sequence[Reply]]()
    store.commit([CREATE], "k", heard.append)
    store.pass_time(10)
    store.faults.calm()
    store.pass_time(5_000)
    store.commit([CREATE], "k", heard.append)
    store.pass_time(10)
    (replies,) = heard
    assert replies[0].error is None


def test_waiters_hear_of_news_of_their_topic_and_of_a_crash() -> None:
    store, heard = Store(), list[str]()
    store.wait(Selection(resources=("configmaps",)), lambda: heard.append("maps"))
    store.wait(Selection(resources=("secrets",)), lambda: heard.append("secrets"))
    store.commit([CREATE], "k", lambda replies: None)
    store.pass_time(10)
    assert heard == ["maps"]
    store.crash()
    store.pass_time(1)
    assert heard == ["maps", "secrets"]
