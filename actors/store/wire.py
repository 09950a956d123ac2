"""One msgpack blob a call, both ways. An answer is (result, None) or (None, Status): errors travel as Kubernetes' own.

A `commit` blob carries the commits of many callers of one process; each keeps its idempotency key and its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from actors.api.errors import ApiError, BadRequest, from_status
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.port import History, Page
from actors.store.record import Record

T = TypeVar("T")


class GetCall(msgspec.Struct, frozen=True, array_like=True):
    key: Key
    revision: int = 0


class Found(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one get of many."""

    stored: Stored | None = None
    error: dict[str, Any] | None = None


class ListCall(msgspec.Struct, frozen=True, array_like=True):
    selection: Selection
    limit: int = 0
    cursor: str = ""
    revision: int = 0


class HistoryCall(msgspec.Struct, frozen=True, array_like=True):
    selection: Selection
    since: int
    until: int


class WatchCall(msgspec.Struct, frozen=True, array_like=True):
    selection: Selection
    since: int
    timeout_ms: int


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one commit of the blob."""

    replies: tuple[Reply, ...] = ()
    error: dict[str, Any] | None = None


_ENCODER = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def encode(value: object) -> bytes:
    return _ENCODER.encode(value)


def encode_result(result: object) -> bytes:
    return _ENCODER.encode((result, None))


def encode_error(error: ApiError) -> bytes:
    return _ENCODER.encode((None, error.to_status()))


def decode_call(blob: bytes, shape: type[T]) -> T:
    """Raises BadRequest for a blob that is not such a call."""
    try:
        return _decoder(shape).decode(blob)  # type: ignore[no-any-return]  # by `shape`
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise BadRequest(f"not a {getattr(shape, '__name__', shape)}: {error}") from error


def decode_result(blob: bytes, shape: type[T]) -> T:
    """The result, or the error raised."""
    result, status = _decoder(tuple[shape | None, dict[str, Any] | None]).decode(blob)  # type: ignore[valid-type]  # made here
    if status is not None:
        raise from_status(status)
    return result  # type: ignore[no-any-return]  # by `shape`


def join_requests(requests: Sequence[bytes]) -> bytes:
    """One blob of requests that are each encoded already."""
    return _ENCODER.encode([msgspec.Raw(request) for request in requests])


def split_requests(blob: bytes) -> list[bytes]:
    """Each can then be refused on its own. Raises BadRequest."""
    return [bytes(request) for request in decode_call(blob, tuple[msgspec.Raw, ...])]


def decode_committed(blob: bytes) -> tuple[Committed, ...]:
    return decode_result(blob, tuple[Committed, ...])


def decode_found(blob: bytes) -> tuple[Found, ...]:
    return decode_result(blob, tuple[Found, ...])


def decode_page(blob: bytes) -> Page:
    return decode_result(blob, Page)


def decode_revision(blob: bytes) -> int:
    return decode_result(blob, int)


def decode_records(blob: bytes) -> tuple[Record, ...]:
    """What followers are pushed."""
    return decode_call(blob, tuple[Record, ...])


def decode_history(blob: bytes) -> History:
    return decode_result(blob, History)


def decode_batch(blob: bytes) -> WatchBatch:
    return decode_result(blob, WatchBatch)


def _decoder(shape: Any) -> msgspec.msgpack.Decoder[Any]:
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders[shape] = msgspec.msgpack.Decoder(shape)
    return decoder
