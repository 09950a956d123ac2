"""What an evaluation has with it: its variables, and what it may still cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actors.api.cel.values import CelError, OutOfBudget

Step = Callable[["Frame"], Any]
#: The name that macros give to what they build.
ACCUMULATOR = "@result"


class Frame:
    """The variables of one evaluation, and what it may still cost."""

    __slots__ = ("left", "variables")

    def __init__(self, variables: Mapping[str, Any], budget: int) -> None:
        self.variables = dict(variables)
        self.left = budget

    def pay(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise OutOfBudget


class Lazy:
    """A variable that is worked out when it is first asked for, at the cost of who asks; once."""

    def __init__(self, step: Step, variables: Mapping[str, Any]) -> None:
        self._step = step
        self._variables = variables
        self._done: tuple[Any] | None = None
        self._failed: CelError | None = None

    def value(self, frame: Frame) -> Any:
        if self._failed is not None:
            raise self._failed
        if self._done is None:
            inner = Frame(self._variables, frame.left)
            try:
                self._done = (self._step(inner),)
            except CelError as error:
                self._failed = error
                raise
            finally:
                frame.left = inner.left
        return self._done[0]


class Failed:
    """In place of an accumulator whose step has failed: `all` and `exists` may still know the answer."""

    __slots__ = ("error",)

    def __init__(self, error: CelError) -> None:
        self.error = error
