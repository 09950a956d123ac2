"""What is kept for the next time is short: a client that sends long texts fills no memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest

from actors.api.clock import parse_time
from actors.api.errors import BadRequest
from actors.api.kept import KEPT_CHARS_MAX, kept_for_short
from actors.api.quantity import parse_millis
from actors.api.rbac import Attributes
from actors.api.schema import check_object
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import User
from actors.reconcile.watch import Selection
from actors.store.matching import matcher_of

POLICY = Policy({})


def test_short_texts_are_worked_out_once() -> None:
    asked = []

    @kept_for_short(10)
    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    short, long = "x" * KEPT_CHARS_MAX, "x" * (KEPT_CHARS_MAX + 1)
    assert [length(text) for text in (short, long, short, long)] == [256, 257, 256, 257]
    assert asked == [short, long, long]


@pytest.mark.parametrize(
    "ask",
    [
        parse_time,
        parse_millis,
        lambda text: check_object({"spec": {"containers": [{"resources": {"limits": {"a": text}}}]}}, "v1", "Pod"),
        lambda text: matcher_of(Selection(("pods",), labels=f"a in ({','.join(text.split(' '))})")),
        lambda text: matcher_of(Selection(("pods",), fields=f"metadata.name!={text[:60_000]}")),
        lambda text: POLICY.decide(User("u"), Attributes(verb="get", resource="pods", name=text)),
        lambda text: POLICY.decide(User(text), Attributes(verb="get", resource="pods")),
        lambda text: POLICY.decide(User("u", (text,)), Attributes(verb="get", resource="pods")),
    ],
    ids=["time", "quantity", "schema", "labels", "fields", "review's name", "review's user", "review's groups"],
)
def test_long_texts_are_not_kept(ask: Callable[[str], object]) -> None:
    def ask_often(first: int) -> None:
        for number in range(first, first + 20):
            with suppress(ValueError, BadRequest):
                ask(f"{number}" + " 1" * 30_000)

    ask_often(100)
    tracemalloc.start()
    ask_often(200)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 400_000
