"""Bootstrap tokens go when they have expired, and nothing else does."""

from __future__ import annotations

import base64
from typing import Any

from corerig import Rig

from actors.api.clock import format_time


def secret(rig: Rig, name: str, expires_ms: int | None, namespace: str = "kube-system", **fields: Any) -> None:
    data = {} if expires_ms is None else {"expiration": base64.b64encode(format_time(expires_ms).encode()).decode()}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
    rig.create(made | {"type": "bootstrap.kubernetes.io/token"} | fields, namespace)


def left(rig: Rig, namespace: str = "kube-system") -> set[str]:
    names = ("past", "soon", "never", "other", "odd", "elsewhere")
    return {name for name in names if rig.get("secrets", name, namespace)}


def test_expired_tokens_are_deleted_when_their_time_has_come(rig: Rig) -> None:
    secret(rig, "past", rig.now - 1_000)
    secret(rig, "soon", rig.now + 60_000)
    secret(rig, "never", None)
    secret(rig, "other", rig.now - 1_000, type="Opaque")
    secret(rig, "odd", None, data={"expiration": base64.b64encode(b"tomorrow").decode()})
    secret(rig, "elsewhere", rig.now - 1_000, "default")
    rig.settle()
    assert left(rig) == {"soon", "never", "other", "odd"} and left(rig, "default") == {"elsewhere"}
    rig.advance(61_000)
    assert left(rig) == {"never", "other", "odd"}
