"""When the node is listed, and what a listing that comes late is believed."""

from __future__ import annotations

from actors.api.key import Key
from actors.nodelet.inventory import Inventory
from actors.nodelet.operations import Listing, ListNode
from actors.nodelet.record import PodRecord
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus

SPEC = ContainerSpec(id="c", sandbox_id="s", name="main", image="app")


def record(touched: int) -> PodRecord:
    running = ContainerStatus(spec=SPEC, state=ContainerState.RUNNING)
    return PodRecord(uid="u", key=Key("pods", "n", "p"), containers={"c": running}, touched=touched)


def test_a_listing_is_judged_by_when_it_began_and_not_by_when_it_comes() -> None:
    inventory, known = Inventory(2_000), record(touched=5)
    (early,) = inventory.plan(0, step=4)
    assert isinstance(early, ListNode)
    (later,) = inventory.plan(60_000, step=9)
    assert inventory.completed({"u": known}, early, Listing(), 60_001) == []
    assert "c" in known.containers, "it was created after that listing had begun"
    assert isinstance(later, ListNode)
    assert inventory.completed({"u": known}, later, Listing(), 60_002) == [known]
    assert not known.containers


def test_a_clock_that_went_back_makes_one_listing_due_and_not_one_at_every_look() -> None:
    inventory = Inventory(2_000)
    (first,) = inventory.plan(100_000, step=0)
    assert isinstance(first, ListNode)
    inventory.completed({}, first, Listing(), 100_001)
    assert len(inventory.plan(50_000, step=1)) == 1
    assert inventory.plan(50_001, step=2) == []
