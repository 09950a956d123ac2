"""DefaultTolerationSeconds: how long a pod stays on a node that is not ready or out of reach, if it does not say."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.api.node import TAINT_NOT_READY, TAINT_UNREACHABLE
from actors.store.admission.plugin import Plugin, Request


class DefaultTolerationSeconds(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})
    not_ready_seconds: int = 300
    unreachable_seconds: int = 300

    def mutate(self, request: Request, obj: Object) -> Object:
        present = obj["spec"].get("tolerations") or []
        wanted = ((TAINT_NOT_READY, self.not_ready_seconds), (TAINT_UNREACHABLE, self.unreachable_seconds))
        added = [_row(key, seconds) for key, seconds in wanted if not any(_speaks_of(row, key) for row in present)]
        return {**obj, "spec": {**obj["spec"], "tolerations": [*present, *added]}} if added else obj


def _speaks_of(toleration: Object, key: str) -> bool:
    return toleration.get("key") in (key, None, "") and toleration.get("effect") in ("NoExecute", None, "")


def _row(key: str, seconds: int) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
