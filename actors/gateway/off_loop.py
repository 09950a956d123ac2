"""Large bodies, read where they hold nobody up: in a thread, one at a time. The loop has its turn meanwhile.

What is read so touches nothing that others change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

#: Smaller ones are read sooner than they are handed over.
BYTES_MIN = 128 << 10
P = ParamSpec("P")
T = TypeVar("T")


class LargeBodies:
    """Its thread begins with the first of them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "large-bodies")

    async def read(self, size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` makes of a body of `size` bytes; raises what it raises."""
        if size < BYTES_MIN:
            return function(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))
