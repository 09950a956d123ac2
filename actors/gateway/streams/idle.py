"""When a stream ends that nobody ends: after a time without a byte in either direction, as the kubelet's do."""

from __future__ import annotations

import asyncio


class Idle:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.touch()

    def touch(self) -> None:
        self._since = asyncio.get_running_loop().time()

    async def expire(self) -> None:
        """Returns once nothing has happened for the time."""
        left = self._seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._since + self._seconds - asyncio.get_running_loop().time()
