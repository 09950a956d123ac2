"""The form of one way of admission: webhooks are two of them, policies two more. A step is asked in the chain's order.

`resources` are those that configure it. They are watched for it, and `configure` is called with all of them, by key,
whenever one has changed; what a step makes of them must replace what it had at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from actors.admission.feed import Configured
from actors.admission.request import Place, Request


@dataclass
class Rounds:
    """The first round of the mutating steps and, when somebody has asked for it, the second and last one.

    `kept` holds what a step wants to remember of the first, by any name of its own.
    """

    again: bool = False
    wanted: bool = False
    kept: dict[str, Any] = field(default_factory=dict)


class Step(Configured, Protocol):
    def may_want(self, place: Place) -> bool:
        """Whether any rule is about this. Must be quick: it is asked for every write."""
        ...


class MutatingStep(Step, Protocol):
    async def mutate(self, request: Request, rounds: Rounds) -> Request:
        """The request, with another object where the step changes it. Sets `rounds.wanted` when those that were
        asked before should see it again. Raises ApiError to refuse."""
        ...


class ValidatingStep(Step, Protocol):
    async def validate(self, request: Request) -> None:
        """Raises ApiError to refuse."""
        ...
