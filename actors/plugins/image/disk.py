"""The image store on disk: an index of images, unpacked layers, and who holds which image. Safe to kill at any point.

    index.json          every image with its tags and layers; replaced by rename after fsync
    layers/<digest>/    an unpacked layer (`fs/` and `layer.json`), put there whole by rename
    holders/<image>/    an empty file per holder
    tmp/<owner>/        work in progress; its owner holds a flock on it, so what nobody locks is garbage
    lock                flock for every change of index, layers and holders, also between processes

Layers that no image names are kept for a while, so that a pull that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import quote

import msgspec

from actors.api.clock import Millis
from actors.plugins.image.faults import Damaged, ImageFault, InUse
from actors.plugins.image.layer import ABOUT, FILES, Layer
from actors.plugins.image.port import Image, ImageConfig
from actors.plugins.tree import remove_tree, sync_directory

_ORPHANS_KEPT_S = 3600


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the index. `layers`: names under `layers/`, the lowest first."""

    id: str
    layers: tuple[str, ...]
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    config: ImageConfig = ImageConfig()
    pulled_at_ms: Millis = 0

    def to_image(self) -> Image:
        return Image(
            id=self.id,
            tags=self.tags,
            digests=self.digests,
            size_bytes=self.size_bytes,
            config=self.config,
            pulled_at_ms=self.pulled_at_ms,
        )


class Index(msgspec.Struct, frozen=True):
    images: dict[str, Record] = {}
    version: int = 1


class LayersGone(ImageFault):
    """Another process removed layers between their check and the image's commit: fetch them again."""

    retryable = True


class Disk:
    """One process's view. All methods block; those that change something take the lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)  # set-user-id programs of images are nobody's on the host
        for name in ("layers", "holders", "tmp"):
            (root / name).mkdir(exist_ok=True)
        self._cached: tuple[tuple[int, int, int], Index] | None = None
        self._temp, self._temp_lock = self._own_temp()
        self._count = 0

    # Work in progress

    def _own_temp(self) -> tuple[Path, TextIOWrapper]:
        """A directory whose lock lives as long as this object: `sweep` of others spares it."""
        with self._locked():
            path = self.root / "tmp" / f"{os.getpid()}-{os.urandom(4).hex()}"
            path.mkdir()
            lock = (path / "lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            return path, lock

    def new_temp(self) -> Path:
        """A name for a new directory on the same file system; whoever takes it removes it."""
        self._count += 1
        return self._temp / str(self._count)

    def sweep(self) -> None:
        """Remove what killed processes left, and layers that no image has named for an hour."""
        with self._locked():
            garbage = [path for path in (self.root / "tmp").iterdir() if path != self._temp and _is_dead(path)]
            garbage += self._detach(self._orphans(time.time() - _ORPHANS_KEPT_S))
        for path in garbage:
            remove_tree(path)

    def _orphans(self, older_than_s: float) -> list[str]:
        named = {name for record in self.index().images.values() for name in record.layers}
        layers = [path for path in (self.root / "layers").iterdir() if path.name not in named]
        return sorted(path.name for path in layers if path.stat().st_mtime < older_than_s)

    def _detach(self, names: Sequence[str]) -> list[Path]:
        """Take layers away at once; their files are removed later, without the lock."""
        gone = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                gone.append((self.root / "layers" / name).rename(self.new_temp()))
        return gone

    # Layers

    def layer_path(self, name: str) -> Path:
        return self.root / "layers" / name

    def files_path(self, name: str) -> Path:
        return self.layer_path(name) / FILES

    def layer(self, name: str) -> Layer | None:
        """What is known about an unpacked layer; None when it is not here."""
        try:
            return msgspec.json.decode((self.layer_path(name) / ABOUT).read_bytes(), type=Layer)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def commit_layer(self, temp: Path, name: str) -> None:
        """The unpacked directory becomes the layer, unless another process was first."""
        with self._locked():
            try:
                temp.rename(self.layer_path(name))
            except OSError:
                if self.layer(name) is None:
                    raise
            else:
                sync_directory(self.root / "layers")
                return
        remove_tree(temp)

    # The index

    def index(self) -> Index:
        """The index as it is now; decoded again only when it has changed."""
        path = self.root / "index.json"
        try:
            found = path.stat()
        except FileNotFoundError:
            return Index()
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._cached is None or self._cached[0] != version:
            self._cached = (version, _decode_index(path))
        return self._cached[1]

    def commit_image(self, record: Record) -> Record:
        """Add the image or its new names; its tags are taken from other images. Raises LayersGone."""
        with self._locked():
            missing = [name for name in record.layers if self.layer(name) is None]
            if missing:
                raise LayersGone(f"layers of {record.id} were removed meanwhile: {', '.join(missing)}")
            images = {key: _without_tags(old, record.tags) for key, old in self.index().images.items()}
            old = images.get(record.id)
            if old is not None:
                record = msgspec.structs.replace(
                    record,
                    tags=tuple(sorted({*old.tags, *record.tags})),
                    digests=tuple(sorted({*old.digests, *record.digests})),
                )
            self._write_index(Index({**images, record.id: record}))
            return record

    def remove_name(self, image_id: str, name: str) -> None:
        """Drop a tag or digest (`name` == the id: all of them), with the last one the image. Raises InUse."""
        with self._locked():
            images = dict(self.index().images)
            record = images.pop(image_id, None)
            if record is None:
                return
            tags = () if name == image_id else tuple(tag for tag in record.tags if tag != name)
            if tags:
                digests = tuple(digest for digest in record.digests if digest != name)
                self._write_index(
                    Index({**images, image_id: msgspec.structs.replace(record, tags=tags, digests=digests)})
                )
                return
            self._check_free(record)
            self._write_index(Index(images))
            kept = {layer for other in images.values() for layer in other.layers}
            gone = self._detach([layer for layer in record.layers if layer not in kept])
        for path in gone:
            remove_tree(path)

    def _write_index(self, index: Index) -> None:
        temp = self.new_temp()
        with temp.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(index), indent=1))
            file.flush()
            os.fsync(file.fileno())
        temp.rename(self.root / "index.json")
        sync_directory(self.root)

    # Holders

    def _holders(self, image_id: str) -> Path:
        return self.root / "holders" / image_id.replace(":", "-")

    def hold(self, record_id: str, holder: str) -> Record | None:
        """The image, kept until `release`; None when it is not here."""
        with self._locked():
            record = self.index().images.get(record_id)
            if record is not None:
                holders = self._holders(record_id)
                holders.mkdir(exist_ok=True)
                (holders / _file_name(holder)).touch()
            return record

    def release(self, image_id: str, holder: str) -> None:
        with self._locked(), contextlib.suppress(OSError):
            holders = self._holders(image_id)
            (holders / _file_name(holder)).unlink(missing_ok=True)
            holders.rmdir()

    def _check_free(self, record: Record) -> None:
        holders = self._holders(record.id)
        if holders.exists() and (held := sorted(path.name[2:] for path in holders.iterdir())):
            raise InUse(
                f"image {record.id} is in use by {len(held)} container(s), {held[0]} the first: stop them first"
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _decode_index(path: Path) -> Index:
    """Never an empty index for a damaged one: layers that running containers use would become garbage."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Index)
    except msgspec.DecodeError as error:
        raise Damaged(
            f"the index of the image store is damaged ({error}): when no container runs, remove {path.parent} and pull"
            " the images again"
        ) from error


def layer_name(diff_id: str) -> str:
    """`sha256:ab...` as a directory's name: without what overlayfs' mount options give a meaning to."""
    return diff_id.replace(":", "-")


def _file_name(holder: str) -> str:
    return "h-" + quote(holder, safe="")


def _without_tags(record: Record, tags: Sequence[str]) -> Record:
    if not set(tags) & set(record.tags):
        return record
    return msgspec.structs.replace(record, tags=tuple(tag for tag in record.tags if tag not in tags))


def _is_dead(path: Path) -> bool:
    """Whether nobody holds the lock of a directory under `tmp/`."""
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
