"""A disk made of bytes: frames of (length, CRC, batch or compaction), so that a crash can tear the last one.

For the simulator and for tests. `tear` is what a crash in the middle of a write leaves behind; `load` discards it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import msgspec

from actors.store.backend.frames import decode_answer, encode_replies
from actors.store.backend.port import BackendError
from actors.store.record import Batch, Compaction, Record, Recovered

_HEADER = struct.Struct(">II")


class _BatchFrame(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    records: tuple[Record, ...]
    answers: tuple[tuple[str, bytes, int, int], ...]


class _CompactionFrame(msgspec.Struct, frozen=True, array_like=True, tag="compaction"):
    compaction: Compaction


_Frame = _BatchFrame | _CompactionFrame
_DECODER = msgspec.msgpack.Decoder(_BatchFrame | _CompactionFrame)


class MemoryBackend:
    """`disk` is what survives: hand it to the next one. `failing` makes every write fail, as a full disk does."""

    def __init__(self, disk: bytes = b"") -> None:
        self.disk = bytearray(disk)
        self.failing = False
        self._last_frame_bytes = 0

    def load(self) -> Recovered:
        records: dict[int, Record] = {}
        answers: dict[str, tuple[str, bytes, int, int]] = {}
        horizon = horizon_at = revision = 0
        for frame in self._frames():
            if isinstance(frame, _BatchFrame):
                records.update((record.revision, record) for record in frame.records)
                answers.update((answer[0], answer) for answer in frame.answers)
            else:
                compaction = frame.compaction
                horizon, horizon_at, revision = compaction.horizon, compaction.horizon_at, compaction.revision
                for dropped in compaction.dropped_revisions:
                    records.pop(dropped, None)
                for key in compaction.dropped_answers:
                    answers.pop(key, None)
        recorded = {number: record.stored for number, record in records.items()}
        decoded = (decode_answer(*answer, recorded) for answer in answers.values())
        kept = tuple(answer for answer in decoded if answer is not None)
        ordered = tuple(records[at] for at in sorted(records))
        return Recovered(ordered, kept, horizon, horizon_at, max([revision, *records]))

    def append(self, batch: Batch) -> None:
        answers = tuple((a.key, encode_replies(a, batch.records), a.revision, a.at) for a in batch.answers)
        self._write(_BatchFrame(batch.records, answers))

    def compact(self, compaction: Compaction) -> None:
        self._write(_CompactionFrame(compaction))

    def rewrite(self, recovered: Recovered) -> None:
        before, self.disk = self.disk, bytearray()
        try:
            self.append(Batch(recovered.records, recovered.answers))
            self.compact(Compaction(recovered.horizon, recovered.horizon_at, recovered.revision, (), ()))
        except BackendError:
            self.disk = before
            raise

    def close(self) -> None:
        """The bytes stay."""

    def tear(self, bytes_lost: int) -> None:
        """Lose the end of the last frame: what was being written when the machine stopped. At least one byte."""
        lost = min(max(bytes_lost, 1), self._last_frame_bytes)
        if lost:
            del self.disk[-lost:]
        self._last_frame_bytes = 0

    def _write(self, frame: _Frame) -> None:
        if self.failing:
            raise BackendError("the disk does not take writes")
        body = msgspec.msgpack.encode(frame)
        self._discard_torn()
        self.disk += _HEADER.pack(len(body), zlib.crc32(body)) + body
        self._last_frame_bytes = _HEADER.size + len(body)

    def _discard_torn(self) -> None:
        if not self._last_frame_bytes:
            del self.disk[sum(_HEADER.size + length for length, _ in self._whole()) :]

    def _frames(self) -> Iterator[_Frame]:
        return (_DECODER.decode(body) for _, body in self._whole())

    def _whole(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + _HEADER.size <= len(self.disk):
            length, checksum = _HEADER.unpack_from(self.disk, at)
            body = bytes(self.disk[at + _HEADER.size : at + _HEADER.size + length])
            if len(body) < length or zlib.crc32(body) != checksum:
                return
            yield length, body
            at += _HEADER.size + length
