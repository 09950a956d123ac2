"""One client's way to the store: lost requests and replies are made good, and nothing is carried out twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.reconcile.actions import Create, Reply
from actors.sim.faults import CALM, FaultRates, Faults
from actors.sim.link import Link
from actors.sim.store import SimStore
from actors.sim.timeline import Clock, Timeline
from actors.sim.trace import Trace

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "m-"}}


class Client:
    def __init__(self, rates: FaultRates) -> None:
        self.timeline, self.faults = Timeline(), Faults(1, rates)
        self.store = SimStore(1, self.timeline, Clock(self.timeline), self.faults, Trace())
        self.store.bootstrap()
        self.link = Link(self.store, self.timeline, self.faults)
        self.heard: list[Sequence[Reply]] = []
        self.given_up = 0

    def create(self) -> None:
        def give_up() -> None:
            self.given_up += 1

        write = Create(resource="configmaps", namespace="default", object=MAP)
        self.link.commit([write], "key", self.heard.append, give_up, lambda: True)

    def wait(self, seconds: int) -> None:
        self.timeline.run_until(self.timeline.now + 1_000 * seconds)

    @property
    def count(self) -> int:
        return len(self.store.engine.log.keys("configmaps"))


@pytest.mark.parametrize("fault", ["request_lost", "reply_lost", "commit_repeated", "reply_slow", "request_slow"])
def test_a_commit_is_carried_out_once_and_answered_once_whatever_the_network_does(fault: str) -> None:
    client = Client(FaultRates(**dict.fromkeys(FaultRates.__struct_fields__, 0.0) | {fault: 0.7}))
    client.create()
    client.wait(20)
    assert (len(client.heard), client.count, client.given_up) == (1, 1, 0)
    assert client.faults.counts[fault] > 0


def test_it_is_repeated_over_a_restart_of_the_store_and_answered_as_before() -> None:
    client = Client(CALM)
    client.link.is_connected = True
    client.create()
    client.timeline.run_until(client.timeline.now + 3)
    client.store.crash()
    client.wait(10)
    assert (len(client.heard), client.count) == (1, 1)


def test_who_is_cut_off_gives_up_in_the_end() -> None:
    client = Client(CALM)
    client.link.is_connected = False
    client.create()
    client.wait(40)
    assert (client.heard, client.given_up, client.count) == ([], 1, 0)
