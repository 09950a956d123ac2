"""What can be configured of the scheduler. A typo in a plugin's name or field is an error with its path."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.reconcile.backoff import Backoff
from actors.scheduler.profile import DEFAULT_PROFILE, AnyPlugin


class SchedulerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`profile`: the plugins in order, each with its weight. `seed` varies how ties between equal nodes fall.

    `batch_pods_max` bounds one decision. A pod that found no node is tried again when something changes that may
    help it, after its shape's `backoff`. The text of its condition is renewed at most every `reason_refresh_ms`.
    """

    scheduler_name: str = "default-scheduler"
    profile: tuple[AnyPlugin, ...] = DEFAULT_PROFILE
    seed: int = 0
    batch_pods_max: int = 2000
    backoff: Backoff = Backoff(first_ms=100, most_ms=10_000)
    reason_refresh_ms: Millis = 10_000
    scheduled_events: bool = True
