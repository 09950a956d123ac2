"""The server's side of one SPDY/3.1 connection as values: bytes in, events out; calls in, bytes out.

Kubernetes' implementation (moby/spdystream) grants no windows and heeds none: what holds a sender back is the
connection itself, so whoever drives this stops reading when a stream is not taken. Window updates are accepted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import msgspec

from actors.gateway.spdy.errors import SpdyError
from actors.gateway.spdy.headers import HeaderCoder

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_FIN = 0x01
_HEAD_BYTES = 8
_CONTROL_BYTES_MAX = 128 << 10
_STREAM_MASK = 0x7FFFFFFF
#: Status codes of RST_STREAM.
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5


class Opened(msgspec.Struct, frozen=True):
    """By the client. `ended`: it will say nothing on it."""

    stream: int
    headers: dict[str, str]
    ended: bool = False


class Received(msgspec.Struct, frozen=True):
    stream: int
    data: bytes
    ended: bool = False


class Reset(msgspec.Struct, frozen=True):
    """The client wants to hear and say nothing more of it."""

    stream: int


class GoneAway(msgspec.Struct, frozen=True):
    """It opens no more streams."""


Event = Opened | Received | Reset | GoneAway


class Session:
    def __init__(self) -> None:
        self._headers = HeaderCoder()
        self._unparsed = bytearray()
        self._unsent = bytearray()
        #: Of the data frame under way: stream, bytes that are still to come, whether it is the stream's last.
        self._data: tuple[int, int, bool] | None = None
        self._last_stream = 0

    def receive(self, data: bytes) -> list[Event]:
        """Raises SpdyError."""
        self._unparsed += data
        return list(self._parse())

    def take(self) -> bytes:
        """What is to be sent now."""
        unsent, self._unsent = bytes(self._unsent), bytearray()
        return unsent

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> None:
        """Accept a stream that was opened."""
        self._control(_SYN_REPLY, struct.pack(">I", stream) + self._headers.encode(headers or {}))

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._unsent += struct.pack(">II", stream, (_FIN if end else 0) << 24 | len(data)) + data

    def reset(self, stream: int, status: int = CANCEL) -> None:
        self._control(_RST_STREAM, struct.pack(">II", stream, status))

    def go_away(self) -> None:
        self._control(_GOAWAY, struct.pack(">II", self._last_stream, 0))

    def _control(self, kind: int, payload: bytes, flags: int = 0) -> None:
        self._unsent += struct.pack(">HHI", 0x8000 | _VERSION, kind, flags << 24 | len(payload)) + payload

    def _parse(self) -> Iterator[Event]:
        while True:
            if self._data is not None:
                if not self._unparsed and self._data[1]:
                    return
                yield self._take_data(*self._data)
                continue
            if len(self._unparsed) < _HEAD_BYTES:
                return
            first, second = struct.unpack_from(">II", self._unparsed)
            flags, length = second >> 24, second & 0xFFFFFF
            if not first & 0x80000000:
                del self._unparsed[:_HEAD_BYTES]
                self._data = (first, length, bool(flags & _FIN))
                continue
            if length > _CONTROL_BYTES_MAX:
                raise SpdyError(f"a control frame of {length} bytes")
            if len(self._unparsed) < _HEAD_BYTES + length:
                return
            payload = bytes(self._unparsed[_HEAD_BYTES : _HEAD_BYTES + length])
            del self._unparsed[: _HEAD_BYTES + length]
            if (first >> 16) & 0x7FFF != _VERSION:
                raise SpdyError("a control frame of another version than SPDY/3")
            yield from self._take_control(first & 0xFFFF, flags, payload)

    def _take_data(self, stream: int, left: int, ended: bool) -> Event:
        """As much as is there: a frame of 16 MiB is not waited for."""
        data = bytes(self._unparsed[:left])
        del self._unparsed[:left]
        left -= len(data)
        self._data = (stream, left, ended) if left else None
        return Received(stream, data, ended and not left)

    def _take_control(self, kind: int, flags: int, payload: bytes) -> Iterator[Event]:
        try:
            if kind == _SYN_STREAM:
                yield self._take_opening(flags, payload)
            elif kind == _RST_STREAM:
                yield Reset(struct.unpack_from(">I", payload)[0] & _STREAM_MASK)
            elif kind == _PING:
                (number,) = struct.unpack_from(">I", payload)
                if number % 2:
                    self._control(_PING, payload[:4])
            elif kind == _GOAWAY:
                yield GoneAway()
            elif kind in (_HEADERS, _SYN_REPLY):
                self._headers.decode(payload[4:])  # the state of the inflater goes on
        except struct.error as error:
            raise SpdyError("a control frame is cut off") from error

    def _take_opening(self, flags: int, payload: bytes) -> Opened:
        stream = struct.unpack_from(">IIH", payload)[0] & _STREAM_MASK
        headers = self._headers.decode(payload[10:])
        if stream % 2 == 0 or stream <= self._last_stream:
            raise SpdyError(f"stream {stream} may not be opened after {self._last_stream}")
        self._last_stream = stream
        return Opened(stream, headers, bool(flags & _FIN))
