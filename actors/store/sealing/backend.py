"""A backend behind which bodies are sealed: on the disk, in its write-ahead log, in history and in kept answers.

What is not sealed as it would be today (another key, or none yet) is rewritten when the log is loaded, all of it at
once: so keys are rotated by putting the new one first and starting again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply
from actors.store.backend.port import Backend, BackendError
from actors.store.backend.sqlite import SqliteBackend
from actors.store.record import Answer, Batch, Compaction, Record, Recovered
from actors.store.sealing.ciphers import EncryptionError
from actors.store.sealing.configuration import Sealing, make_configuration, read_sealing

_LOG = logging.getLogger(__name__)
#: Under the home: made where there is none and the configuration names no other.
DEFAULT_FILE = "encryption.yaml"
#: In place of a file's name: everything is stored as it is.
OFF = "off"

_Change = Callable[[Key, bytes], bytes]
T = TypeVar("T", Batch, Recovered)


def open_sealed(path: Path, encryption_file: str, home: str) -> Backend:
    """The log at `path`, sealed as `encryption_file` says; "": as the file under `home` does, which is made if need be,
    and without a home not at all. Raises BackendError."""
    if encryption_file == OFF or not (encryption_file or home):
        return SealedBackend(SqliteBackend(str(path)), Sealing(()))
    file = Path(encryption_file or home) / ("" if encryption_file else DEFAULT_FILE)
    try:
        if not encryption_file and not file.exists():
            _write_private(file, make_configuration())
        return SealedBackend(SqliteBackend(str(path)), read_sealing(file))
    except OSError as error:
        raise BackendError(f"cannot make the encryption configuration {file}: {error.strerror}") from error
    except EncryptionError as error:
        raise BackendError(str(error)) from error


class SealedBackend:
    """Backend over another one."""

    def __init__(self, inner: Backend, sealing: Sealing) -> None:
        self._inner, self._sealing = inner, sealing

    def load(self) -> Recovered:
        """Raises BackendError, also for what no key of the configuration opens."""
        recovered = self._inner.load()
        try:
            self._sealing.open()
            opened = _changed(recovered, self._sealing.unseal)
        except EncryptionError as error:
            self._inner.close()  # so that the next try is told the same, and not that the file is locked
            raise BackendError(str(error)) from error
        if not all(self._sealing.is_current(s.key, s.body) for s in _all_of(recovered)):
            _LOG.info("the log is rewritten as the encryption configuration has it now")
            self._inner.rewrite(_changed(opened, self._sealing.seal))
        return opened

    def append(self, batch: Batch) -> None:
        if any(self._sealing.covers(stored.key.resource) for stored in _all_of(batch)):
            batch = _changed(batch, self._sealing.seal)
        self._inner.append(batch)

    def rewrite(self, recovered: Recovered) -> None:
        self._inner.rewrite(_changed(recovered, self._sealing.seal))

    def compact(self, compaction: Compaction) -> None:
        self._inner.compact(compaction)

    def close(self) -> None:
        self._sealing.close()
        self._inner.close()


def _all_of(log: Batch | Recovered) -> list[Stored]:
    told = (reply.stored for answer in log.answers for reply in answer.replies)
    return [*(record.stored for record in log.records), *(stored for stored in told if stored is not None)]


def _changed(log: T, change: _Change) -> T:
    """With the body of every object changed. What was one object, in a record and in an answer, still is."""
    known: dict[int, Stored] = {}

    def changed(stored: Stored) -> Stored:
        found = known.get(id(stored))
        if found is None:
            body = change(stored.key, stored.body)
            found = stored if body is stored.body else msgspec.structs.replace(stored, body=body)
            known[id(stored)] = found
        return found

    def told(reply: Reply) -> Reply:
        return reply if reply.stored is None else msgspec.structs.replace(reply, stored=changed(reply.stored))

    records: tuple[Record, ...] = tuple(msgspec.structs.replace(r, stored=changed(r.stored)) for r in log.records)
    answers: tuple[Answer, ...] = tuple(
        msgspec.structs.replace(answer, replies=tuple(map(told, answer.replies))) for answer in log.answers
    )
    return msgspec.structs.replace(log, records=records, answers=answers)


def _write_private(path: Path, text: str) -> None:
    """Whole, durable, the owner's alone."""
    staged = path.with_name(f".{path.name}")
    staged.unlink(missing_ok=True)
    staged.touch(mode=0o600)
    staged.write_text(text)
    staged.rename(path)
