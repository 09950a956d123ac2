"""Batches as bytes. An answer names the records of its own batch by revision, so that no body is written twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.api.clock import Millis
from actors.api.key import Stored
from actors.reconcile.actions import Reply
from actors.store.record import Answer, Record


class _PackedReply(msgspec.Struct, frozen=True, array_like=True):
    """`recorded` > 0 is the revision of the record that the reply showed; else the reply is told in full."""

    recorded: int
    removed: bool = False
    reply: Reply | None = None


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[_PackedReply, ...])


def encode_replies(answer: Answer, records: Sequence[Record]) -> bytes:
    """`records`: of the same batch."""
    recorded = {record.revision: record.stored for record in records}
    return _ENCODER.encode([_pack(reply, recorded) for reply in answer.replies])


def _pack(reply: Reply, recorded: Mapping[int, Stored]) -> _PackedReply:
    if reply.stored is not None and recorded.get(reply.stored.revision) is reply.stored and reply.changed:
        return _PackedReply(reply.stored.revision, reply.removed)
    return _PackedReply(0, reply=reply)


def decode_answer(key: str, packed: bytes, revision: int, at: Millis, recorded: Mapping[int, Stored]) -> Answer | None:
    """None when a record that it names is gone."""
    replies = []
    for told in _DECODER.decode(packed):
        reply = told.reply
        if reply is None:
            if told.recorded not in recorded:
                return None
            reply = Reply(stored=recorded[told.recorded], removed=told.removed)
        replies.append(reply)
    return Answer(key, tuple(replies), revision, at)
