"""Kubernetes' remotecommand protocols over a WebSocket: a message is a channel and what is said on it. Pure.

(empty), channel.k8s.io   errors are text
v4.channel.k8s.io         errors are a Status
v5.channel.k8s.io         and a channel can be closed: 255, then its number
base64.*                  the same as text: the channel is a digit, what is said is base64
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from actors.api.errors import BadRequest
from actors.api.streams import CLOSE, ERROR

V5, V4, V4_BASE64 = "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"
V1, V1_BASE64 = "channel.k8s.io", "base64.channel.k8s.io"
PROTOCOLS = (V5, V4, V4_BASE64, V1, V1_BASE64)
_ZERO = ord("0")


class Codec(msgspec.Struct, frozen=True):
    protocol: str

    @property
    def is_text(self) -> bool:
        return self.protocol in (V4_BASE64, V1_BASE64)

    @property
    def closes(self) -> bool:
        """Whether its clients can end a channel."""
        return self.protocol == V5

    def encode(self, channel: int, payload: bytes) -> bytes:
        if self.is_text:
            return bytes([_ZERO + channel]) + base64.b64encode(payload)
        return bytes([channel]) + payload

    def decode(self, message: bytes) -> tuple[int, bytes] | None:
        """(channel, payload); None of an empty message. Raises BadRequest."""
        if not message:
            return None
        channel, payload = message[0], message[1:]
        if self.is_text:
            try:
                return channel - _ZERO, base64.b64decode(payload, validate=True)
            except binascii.Error as error:
                raise BadRequest("a message is not base64") from error
        if channel == CLOSE and not self.closes:
            return None
        return channel, payload

    def encode_end(self, status: bytes) -> bytes | None:
        """The last message, of a Status as JSON; None where the protocol has none for what went well."""
        if self.protocol not in ("", V1, V1_BASE64):
            return self.encode(ERROR, status)
        told = msgspec.json.decode(status)
        return None if told.get("status") == "Success" else self.encode(ERROR, str(told.get("message", "")).encode())
