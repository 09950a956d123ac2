"""What those who wait for a pull are told."""

from __future__ import annotations

from actors.plugins.image.meter import Meter
from actors.plugins.image.port import Progress


def test_a_listener_learns_where_it_is_and_then_every_mebibyte_and_layer() -> None:
    meter, told = Meter(), list[Progress]()
    meter.begin("pulling", 3, 1, 3 << 20)
    meter.join(told.append)
    for _ in range(4):
        meter.add_bytes(1 << 19)
    meter.add_bytes(5)
    meter.add_layer()
    meter.enter("done")
    assert [(now.phase, now.layers_done, now.bytes_done) for now in told] == [
        ("pulling", 1, 0),
        ("pulling", 1, 1 << 20),
        ("pulling", 1, 2 << 20),
        ("pulling", 2, (2 << 20) + 5),
        ("done", 2, (2 << 20) + 5),
    ]


def test_one_that_fails_or_leaves_is_told_no_more() -> None:
    meter, told = Meter(), list[Progress]()

    def fail(_progress: Progress) -> None:
        told.append(_progress)
        raise ValueError("a user's bug")

    meter.join(fail)
    meter.join(told.append)
    meter.enter("pulling")
    meter.leave(told.append)
    meter.leave(None)
    meter.enter("done")
    assert [now.phase for now in told] == ["resolving", "resolving", "pulling"]
