"""Whether a pod puts up with a taint (core/v1 Toleration.ToleratesTaint): scheduler, eviction and nodelet ask this."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.node import Taint
from actors.api.pod import Toleration


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """An empty key with Exists tolerates everything, an empty effect every effect."""
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration] | None) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations or ())
