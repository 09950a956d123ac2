"""The objects of one resource as they are now, sorted by (API namespace, name): ranges are found by bisection."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from actors.api.key import Key, Stored

_AFTER_ALL_NAMES = "\U0010ffff"


class Shelf:
    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.objects: dict[Key, Stored] = {}
        self._sorted: list[Key] = []

    def put(self, stored: Stored) -> None:
        if stored.key not in self.objects:
            insort(self._sorted, stored.key)
        self.objects[stored.key] = stored

    def remove(self, key: Key) -> None:
        if self.objects.pop(key, None) is not None:
            del self._sorted[bisect_left(self._sorted, key)]

    def keys(self, namespace: str = "", after: Key | None = None) -> Sequence[Key]:
        """Sorted; of one API namespace, or all; those greater than `after`."""
        start, end = 0, len(self._sorted)
        if namespace:
            start = bisect_left(self._sorted, Key(self.resource, namespace, ""))
            end = bisect_right(self._sorted, Key(self.resource, namespace, _AFTER_ALL_NAMES))
        if after is not None:
            start = max(start, bisect_right(self._sorted, after))
        return self._sorted[start:end]
