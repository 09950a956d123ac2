"""One layer, from the bytes of its blob to a directory on disk: inflating, hashing and writing overlap in two threads.

What `unpack_layer` returns has the digests that were asked for, both of the blob and of the plain tar, and is on disk.
When something is wrong, the digest is asked first: a broken gzip stream in a corrupt blob is reported as corruption.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from pathlib import Path

import msgspec

from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.faults import Corrupt, ImageFault, NoSpace
from actors.plugins.image.inflate import Read, inflate
from actors.plugins.image.pipe import Closed, Pipe
from actors.plugins.image.unpack import Unpacked, unpack
from actors.plugins.tree import DIRECTORY, free_bytes, sync_filesystem

#: Of a layer's directory: the lower layer for overlayfs, and what is known about it.
FILES, ABOUT = "fs", "layer.json"
_CHUNK_BYTES = 1 << 18


class Layer(msgspec.Struct, frozen=True):
    """What is kept about an unpacked layer. `implicit`: directories whose metadata the tar did not give."""

    diff_id: str
    size_bytes: int
    implicit: tuple[str, ...] = ()


class Blob(msgspec.Struct, frozen=True):
    """What must arrive: the blob's digest and size ("" and 0: unknown) and the plain tar's digest."""

    diff_id: str
    digest: str = ""
    size: int = 0


def unpack_layer(read: Read, blob: Blob, into: Path, config: ImagesConfig) -> Layer:
    """Unpack into the new directory `into`, in this thread and one more. Raises ImageFault, OSError, Closed."""
    files = into / FILES
    files.mkdir(parents=True)
    free, counted = free_bytes(into), Unpacked()
    inflating = _Inflating(read, blob, config.layer_bytes_max)
    root = os.open(files, DIRECTORY)
    try:
        inflating.start()
        _write(inflating, blob, root, config.layer_entries_max, counted)
        layer = Layer(blob.diff_id, counted.size_bytes, tuple(counted.implicit))
        (into / ABOUT).write_bytes(msgspec.json.encode(layer))
        sync_filesystem(root)
        return layer
    except OSError as error:
        raise _disk_fault(error, blob, counted, inflating.consumed, free, into) from error
    finally:
        inflating.plain.abandon()
        inflating.join()
        os.close(root)


def _write(inflating: _Inflating, blob: Blob, root: int, entries_max: int, counted: Unpacked) -> None:
    plain = _Hashed(inflating.plain.read, blob.diff_id)
    try:
        unpack(plain.read, root, entries_max, counted)
        plain.drain()
    except Corrupt:
        with contextlib.suppress(ImageFault):
            plain.drain()  # so that the blob's digest is known
        inflating.join()
        inflating.check()
        raise
    inflating.join()
    if plain.digest != blob.diff_id:
        raise Corrupt(f"layer {blob.diff_id} unpacks to {plain.digest}: the image is inconsistent, push it again")


class _Hashed:
    """A `read` that hashes what passes."""

    def __init__(self, read: Read, wanted: str) -> None:
        self._read = read
        self._algorithm = wanted.partition(":")[0] or "sha256"
        self._hash = hashlib.new(self._algorithm)
        self.count = 0

    def read(self, count: int) -> bytes:
        chunk = self._read(count)
        self._hash.update(chunk)
        self.count += len(chunk)
        return chunk

    def drain(self) -> None:
        while self.read(_CHUNK_BYTES):
            pass

    @property
    def digest(self) -> str:
        return f"{self._algorithm}:{self._hash.hexdigest()}"


class _Inflating(threading.Thread):
    """Reads and hashes the blob, and gives its plain bytes to `plain`."""

    def __init__(self, read: Read, blob: Blob, bytes_max: int) -> None:
        super().__init__(name="raypod-inflate", daemon=True)
        self.plain = Pipe(8 << 20)
        self._raw = _Hashed(read, blob.digest)
        self._blob, self._bytes_max = blob, bytes_max
        self._fault: Corrupt | None = None

    @property
    def consumed(self) -> int:
        return self._raw.count

    def check(self) -> None:
        """Raises what is wrong with the blob itself, once the thread has ended."""
        if self._fault is not None:
            raise self._fault

    def run(self) -> None:
        try:
            self._inflate()
            self.plain.end()
        except Closed:
            self.plain.end(Closed())
        except BaseException as error:
            self.plain.end(error)

    def _inflate(self) -> None:
        total, fault = 0, None
        try:
            for chunk in inflate(self._raw.read):
                total += len(chunk)
                if total > self._bytes_max:
                    raise Corrupt(f"layer {self._blob.diff_id} unpacks to more than {self._bytes_max} bytes: refused")
                self.plain.write(chunk)
        except Corrupt as error:
            fault = error
        self._raw.drain()
        if self._blob.digest and self._raw.digest != self._blob.digest:
            fault = Corrupt(
                f"corrupt layer: its digest is {self._raw.digest} and must be {self._blob.digest}; push the image again"
            )
        if fault is not None:
            self._fault = fault
            raise fault


def _disk_fault(
    error: OSError, blob: Blob, counted: Unpacked, consumed: int, free: int, into: Path
) -> ImageFault | OSError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return error
    needed = max(counted.size_bytes + max(blob.size - consumed, 0), free + 1)
    return NoSpace(
        f"the disk is full: unpacking layer {blob.diff_id} needs at least {needed:,} bytes and {into.parents[2]} had"
        f" {free:,} left; free space or remove images with `raypod image rm`"
    )
