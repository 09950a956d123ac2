"""What a scenario is: something that users do, and what they must find in the end. One file each.

Wishes are drawn from the seed; the next comes only when the last was answered, so what users want is always certain.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from actors.reconcile.actions import Reply, StoreWrite
from actors.sim.laws.law import Breach
from actors.sim.rest.look import Look

NAMESPACE = "default"

Wish = Callable[[], StoreWrite]


class Scenario(Protocol):
    def wishes(self) -> Sequence[Wish]:
        """What could be asked for now; as often as a wish is in it, as likely it is."""
        ...

    def settle(self) -> Sequence[StoreWrite]:
        """What users still do when all is calm: undo what they meant to be temporary."""
        ...

    def unfinished(self, look: Look) -> Iterable[str]:
        """Sentences about what users asked for and have not got; empty at rest."""
        ...


class Draw:
    """Names and dice of one seed's users, shared by their scenarios."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"user/{seed}")
        self._count = 0

    def name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}-{self._count}"


def check_answer(write: StoreWrite, reply: Reply) -> None:
    """Users write what is right, once: only what has gone meanwhile may be refused, and only as such."""
    reason = (reply.error or {}).get("reason")
    if reason is None or (reason == "NotFound" and type(write).__name__ != "Create"):
        return
    raise Breach(f"a user's {type(write).__name__} was refused: {reply.error}")
