"""Which protocol a client and we speak once its connection is no longer HTTP's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.api.errors import BadRequest

WEBSOCKET, SPDY = "websocket", "spdy/3.1"


def upgrade_of(headers: Mapping[str, str]) -> str:
    """WEBSOCKET, SPDY; "" for a request that asks for nothing of the kind."""
    wanted = headers.get("Upgrade", "").strip().lower()
    return wanted if upgrade_asked(headers) and wanted in (WEBSOCKET, SPDY) else ""


def upgrade_asked(headers: Mapping[str, str]) -> bool:
    """To anything."""
    return "upgrade" in [word.strip().lower() for word in headers.get("Connection", "").split(",")]


def require_upgrade(headers: Mapping[str, str]) -> str:
    """Raises BadRequest in kube-apiserver's words."""
    found = upgrade_of(headers)
    if not found:
        raise BadRequest("Upgrade request required")
    return found


def choose_protocol(asked: Sequence[str], known: Sequence[str]) -> str:
    """The first that is known, as the kubelet chooses; "" where the client names none. Raises BadRequest."""
    if not asked:
        return ""
    for protocol in asked:
        if protocol in known:
            return protocol
    raise BadRequest(f"unable to upgrade: unable to negotiate protocol: client supports {list(asked)}")


def websocket_protocols(headers: Mapping[str, str]) -> list[str]:
    listed = headers.get("Sec-WebSocket-Protocol", "").split(",")
    return [protocol.strip() for protocol in listed if protocol.strip()]
