"""Events are news, not state: they go after a while, as they do in Kubernetes."""

from __future__ import annotations

from actors.api import kinds
from actors.api.clock import Millis, parse_time
from actors.api.codec import lens
from actors.api.key import Stored
from actors.api.meta import Lens, ObjectMeta
from actors.reconcile.actions import Delete
from actors.store.log import Log


class _Event(Lens, frozen=True):
    metadata: ObjectMeta
    last_timestamp: str | None = None


def plan_expiry(log: Log, now: Millis) -> list[Delete]:
    """The end of every Event that has not happened again for `event_minutes`."""
    oldest = now - log.config.event_minutes * 60_000
    found = (log.find(key) for key in log.keys(kinds.EVENT.resource))
    return [Delete(key=stored.key, uid=stored.uid) for stored in found if stored and _last_ms(stored) < oldest]


def _last_ms(stored: Stored) -> Millis:
    event = lens(stored, _Event)
    try:
        return max(event.metadata.created_ms, parse_time(event.last_timestamp or ""))
    except ValueError:
        return event.metadata.created_ms
