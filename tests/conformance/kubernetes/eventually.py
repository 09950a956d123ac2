"""Waiting, as those tests do: until something holds, or until a watch has told it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from api_client import Json, Watch

T = TypeVar("T")


def eventually(look: Callable[[], T], holds: Callable[[T], object] = bool, seconds: float = 15) -> T:
    """What `look` returned when it held."""
    deadline = time.monotonic() + seconds
    while not holds(found := look()):
        assert time.monotonic() < deadline, f"it did not become so in time: {found}"
        time.sleep(0.05)
    return found


def told(watch: Watch, kind: str, holds: Callable[[Json], object] = lambda _: True, only: str = "") -> Json:
    """The object of the first event of this type (any, if empty) for which it holds; `only`: no event of another type
    comes before it."""
    while event := watch.next():
        assert not only or event["type"] == only, event
        if kind in ("", event["type"]) and holds(event["object"]):
            return dict(event["object"])
    raise AssertionError("the watch has ended")
