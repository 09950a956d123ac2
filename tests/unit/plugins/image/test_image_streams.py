"""Bytes on their way: the pipe between threads, inflating, and the parts of tar headers."""

from __future__ import annotations

import gzip
import io
import threading

import pytest
import zstandard

from actors.plugins.image.faults import Corrupt
from actors.plugins.image.inflate import Read, inflate
from actors.plugins.image.pipe import Closed, Pipe
from actors.plugins.image.sparse import check
from actors.plugins.image.tar import parse_pax


def reader(blob: bytes, step: int = 1 << 20) -> Read:
    source = io.BytesIO(blob)
    return lambda count: source.read(min(count, step))


class TestPipe:
    def test_what_goes_in_comes_out_in_order_and_in_pieces(self) -> None:
        pipe, out = Pipe(bytes_max=10), bytearray()

        def write() -> None:
            for number in range(256):
                pipe.write(bytes([number]) * 7)
            pipe.end()

        writer = threading.Thread(target=write)
        writer.start()
        while chunk := pipe.read(3):
            assert len(chunk) <= 3
            out += chunk
        writer.join()
        assert bytes(out) == b"".join(bytes([number]) * 7 for number in range(256))

    def test_it_is_bounded(self) -> None:
        pipe = Pipe(bytes_max=10)
        assert pipe.try_write(b"x" * 15)
        assert not pipe.try_write(b"y")
        pipe.read(6)
        assert pipe.try_write(b"y")

    def test_an_error_of_the_writer_reaches_the_reader_at_once(self) -> None:
        pipe = Pipe()
        pipe.write(b"unread")
        pipe.end(Corrupt("broken"))
        pipe.end()
        with pytest.raises(Corrupt, match="broken"):
            pipe.read(1)

    def test_a_waiting_writer_learns_that_nobody_reads(self) -> None:
        pipe, seen = Pipe(bytes_max=1), []

        def write() -> None:
            try:
                for _ in range(3):
                    pipe.write(b"xx")
            except Closed:
                seen.append("closed")

        writer = threading.Thread(target=write)
        writer.start()
        pipe.abandon()
        writer.join(timeout=5)
        assert seen == ["closed"]
        with pytest.raises(Closed):
            pipe.try_write(b"x")


PLAIN = bytes(range(256)) * 3000 + bytes(700_000)


class TestInflate:
    @pytest.mark.parametrize("step", [1, 7, 65_536])
    def test_every_format_in_every_cut(self, step: int) -> None:
        plain = PLAIN[: 3000 if step == 1 else len(PLAIN)]
        half = len(plain) // 2
        pack = zstandard.ZstdCompressor().compress
        for packed in (
            plain,
            gzip.compress(plain),
            gzip.compress(plain[:half]) + gzip.compress(plain[half:]),
            gzip.compress(plain) + bytes(600),
            pack(plain),
            pack(plain[:half]) + pack(plain[half:]),
        ):
            assert b"".join(inflate(reader(packed, step))) == plain

    def test_nothing_is_nothing(self) -> None:
        assert list(inflate(reader(b""))) == []

    @pytest.mark.parametrize("cut", [3, 12, 2000, -1, -9])
    def test_gzip_that_ends_too_early(self, cut: int) -> None:
        with pytest.raises(Corrupt, match="gzip"):
            list(inflate(reader(gzip.compress(PLAIN)[:cut])))

    @pytest.mark.parametrize("start", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", gzip.compress(b"x")])
    def test_rubbish_behind_the_right_beginning(self, start: bytes) -> None:
        with pytest.raises(Corrupt, match="not valid"):
            list(inflate(reader(start + b"rubbish" * 100)))

    def test_a_bomb_comes_in_pieces(self) -> None:
        for packed in (gzip.compress(bytes(200 << 20), 1), zstandard.ZstdCompressor().compress(bytes(200 << 20))):
            total = 0
            for chunk in inflate(reader(packed)):
                assert len(chunk) <= 1 << 20
                total += len(chunk)
            assert total == 200 << 20

    def test_a_window_too_large_is_refused(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=28)
        packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        blob = packed.compress(bytes(1000)) + packed.flush()
        with pytest.raises(Corrupt, match="zstd"):
            list(inflate(reader(blob)))


class TestPax:
    def test_records(self) -> None:
        assert parse_pax(b"12 path=a=b\n14 uid=123456\n\0\0\0") == {b"path": b"a=b", b"uid": b"123456"}
        assert parse_pax(b"8 a=\n\nb\n") == {b"a": b"\n\nb"}
        assert parse_pax(b"") == {}

    def test_repeated_offsets_are_kept_all(self) -> None:
        record = b"23 GNU.sparse.offset=%d\n"
        assert parse_pax(record % 1 + record % 2) == {b"GNU.sparse.offset": b"1,2"}

    @pytest.mark.parametrize(
        "body", [b"x", b"5 a=b", b"99 a=b\n", b"0 a=b\n", b"-5 a=b\n", b"4 ab\n", b"99999999999 a=\n"]
    )
    def test_malformed(self, body: bytes) -> None:
        with pytest.raises(Corrupt):
            parse_pax(body)


@pytest.mark.parametrize(
    ("size", "segments", "stored"),
    [
        (10, [(5, 1), (2, 1)], 2),
        (10, [(0, 5), (4, 1)], 6),
        (10, [(8, 3)], 3),
        (10, [(0, -1)], 1),
        (10, [(0, 5)], 4),
        (-1, [], 0),
    ],
)
def test_holes_that_cannot_be(size: int, segments: list[tuple[int, int]], stored: int) -> None:
    with pytest.raises(Corrupt):
        check(size, segments, stored)
