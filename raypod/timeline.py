"""Where the time of a run went, from the Events about its pods and its Job. Pure.

Event times have millisecond precision (`eventTime`); they are the clocks of the control plane and of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

Object = dict[str, Any]

#: Phase -> the Event that ends it, on a pod.
_PHASE_ENDS = {"scheduled": "Scheduled", "image": "Pulled", "started": "Started"}


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that each phase took, of the replica that took longest; None for what has not ended (or is not told).

    `queued`: until its pods were made; `scheduled`: until they had a node; `image`: until the image was there;
    `started`: until the containers ran; `finished`: until the run was over.
    """

    queued: float | None = None
    scheduled: float | None = None
    image: float | None = None
    started: float | None = None
    finished: float | None = None

    def phases(self) -> list[tuple[str, float]]:
        return [(name, value) for name in self.__struct_fields__ if (value := getattr(self, name)) is not None]


def derive_timeline(submitted_at: float, events: Sequence[Object]) -> Timeline:
    """`events`: those about the run's Job and pods; `submitted_at` in seconds since the epoch."""
    ends: dict[str, float | None] = {"queued": _latest(events, "Job", "SuccessfulCreate")}
    for phase, reason in _PHASE_ENDS.items():
        ends[phase] = _latest(events, "Pod", reason)
    ends["finished"] = _latest(events, "Job", "Completed") or _latest(events, "Job", "BackoffLimitExceeded")
    took: dict[str, float] = {}
    before = submitted_at
    for phase, end in ends.items():
        if end is not None:
            took[phase] = round(max(0.0, end - before), 3)
            before = max(before, end)
    return Timeline(**took)


def _latest(events: Iterable[Object], kind: str, reason: str) -> float | None:
    times = [
        _seconds(event)
        for event in events
        if event.get("reason") == reason and (event.get("involvedObject") or {}).get("kind") == kind
    ]
    return max(times, default=None)


def _seconds(event: Object) -> float:
    text = event.get("eventTime") or event.get("firstTimestamp") or "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(text).timestamp()
