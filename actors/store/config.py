"""What can be set about the store. Every default works."""

from __future__ import annotations

import msgspec


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """History is kept for watches and old reads until it is older than `retention_minutes` or larger than either
    of the two other bounds; below that a watch is answered Expired. Idempotency keys live `reply_retention_minutes`.
    """

    retention_minutes: int = 10
    retention_revisions: int = 50_000
    retention_bytes: int = 256 << 20
    reply_retention_minutes: int = 10
    reply_retention_count: int = 100_000
    object_bytes_max: int = 1536 << 10
    watch_events_max: int = 1000
    event_minutes: int = 60
    housekeeping_seconds: float = 20.0
    api_port: int = 6443
