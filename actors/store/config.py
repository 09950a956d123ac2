"""What can be set about the store. Every default works."""

from __future__ import annotations

import msgspec

from actors.store.admission.profile import AdmissionConfig


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """History is kept for watches, old reads and `raypod history` until it is older than `retention_minutes` or larger
    than `retention_bytes` or `retention_revisions`, but never less than the last minute; what is asked for below that
    is answered Expired, with the oldest revision that is left. Idempotency keys live `reply_retention_minutes`.
    `admission`: which of the built-in admission plugins are on.
    """

    retention_minutes: int = 60
    retention_revisions: int = 50_000
    retention_bytes: int = 256 << 20
    reply_retention_minutes: int = 10
    reply_retention_count: int = 100_000
    object_bytes_max: int = 1536 << 10
    watch_events_max: int = 1000
    event_minutes: int = 60
    housekeeping_seconds: float = 20.0
    api_port: int = 6443
    admission: AdmissionConfig = AdmissionConfig()
