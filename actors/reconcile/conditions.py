"""`status.conditions` as values: set one, keep the others, move `lastTransitionTime` only when the status moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.meta import Condition

Conditions = Sequence[Condition] | None


def find_condition(conditions: Conditions, type_: str) -> Condition | None:
    return next((c for c in conditions or () if c.type == type_), None)


def is_true(conditions: Conditions, type_: str) -> bool:
    condition = find_condition(conditions, type_)
    return condition is not None and condition.status == "True"


def condition(type_: str, status: bool | str, reason: str, message: str, now: Millis) -> dict[str, Any]:
    """As it goes into a patch. `status` may be "Unknown"."""
    text = status if isinstance(status, str) else str(status)
    return {
        "type": type_,
        "status": text,
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }


def with_conditions(conditions: Conditions, changes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The whole list for a merge patch: `changes` replace by type or append; equal status keeps its time."""
    merged = {c.type: _as_dict(c) for c in conditions or ()}
    for change in changes:
        old = merged.get(change["type"])
        if old is not None and old["status"] == change["status"] and old.get("lastTransitionTime"):
            change = {**change, "lastTransitionTime": old["lastTransitionTime"]}
        merged[change["type"]] = {**(old or {}), **change}
    return list(merged.values())


def differs(conditions: Conditions, changes: Iterable[dict[str, Any]]) -> bool:
    """Whether any of `changes` says something new (status, reason or message)."""
    return any(_news(find_condition(conditions, change["type"]), change) for change in changes)


def _news(old: Condition | None, new: dict[str, Any]) -> bool:
    return old is None or (old.status, old.reason, old.message) != (new["status"], new["reason"], new["message"])


def _as_dict(c: Condition) -> dict[str, Any]:
    fields = {
        "type": c.type,
        "status": c.status,
        "reason": c.reason,
        "message": c.message,
        "lastTransitionTime": c.last_transition_time,
        "lastUpdateTime": c.last_update_time,
        "observedGeneration": c.observed_generation,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}
