"""The log in one SQLite file: WAL, synchronous=FULL, one transaction and so one fsync per batch.

A transaction is there whole or not at all, also after kill -9 and power loss; the file is locked for as long as it is
open, so there is one writer. Revisions are never reused: the highest is kept when compaction drops its record.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from actors.api.key import Key, Stored
from actors.store.backend.frames import decode_answer, encode_replies
from actors.store.backend.port import BackendError
from actors.store.record import Answer, Batch, Compaction, Record, Recovered

SCHEMA_VERSION = 2
_LOCK_WAIT_SECONDS = 10.0
_WAL_PAGES = 4000
#: What the write-ahead log grows to until it begins anew: pages and their heads.
_WAL_BYTES = _WAL_PAGES * (4096 + 24)
_ZEROS = bytes(1 << 20)
_SCHEMA = """
CREATE TABLE record (
  revision INTEGER PRIMARY KEY, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  created_revision INTEGER NOT NULL, uid TEXT NOT NULL, removed INTEGER NOT NULL, at INTEGER NOT NULL,
  body BLOB NOT NULL, user TEXT NOT NULL, manager TEXT NOT NULL
) STRICT;
CREATE TABLE answer (
  key TEXT PRIMARY KEY, revision INTEGER NOT NULL, at INTEGER NOT NULL, replies BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (
  id INTEGER PRIMARY KEY CHECK (id = 0), horizon INTEGER NOT NULL, revision INTEGER NOT NULL,
  horizon_at INTEGER NOT NULL
) STRICT;
INSERT INTO mark VALUES (0, 0, 0, 0);
"""
#: From each older version to the next.
_UPGRADES = {
    1: """
ALTER TABLE record ADD COLUMN user TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN manager TEXT NOT NULL DEFAULT '';
ALTER TABLE mark ADD COLUMN horizon_at INTEGER NOT NULL DEFAULT 0;
UPDATE mark SET horizon_at = coalesce((SELECT min(at) FROM record WHERE revision >= horizon),
  CAST(strftime('%s', 'now') AS INTEGER) * 1000);
""",
}


class SqliteBackend:
    """Calls may come from any thread, one at a time."""

    def __init__(self, path: str) -> None:
        """Raises BackendError: no such directory, another process has it open, damaged, of a newer version."""
        self.path = path
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        with _told(f"cannot open {self.path}"):
            db = sqlite3.connect(self.path, timeout=_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _prepare(db)
            except BaseException:
                db.close()
                raise
        self._grow_wal()
        _sync_directory(os.path.dirname(os.path.abspath(self.path)))
        return db

    def _grow_wal(self) -> None:
        """To the size that it will have: a commit then writes over blocks that the file has, which is quicker to make
        durable than a file that grows. SQLite reads no further than the last commit. Only a matter of speed."""
        with suppress(OSError), open(f"{self.path}-wal", "r+b") as file:
            while (missing := _WAL_BYTES - file.seek(0, os.SEEK_END)) > 0:
                file.write(_ZEROS[:missing])
            os.fsync(file.fileno())

    def load(self) -> Recovered:
        with _told(f"cannot read {self.path}"):
            records = tuple(_read_records(self._db))
            recorded = {record.revision: record.stored for record in records}
            answers = tuple(_read_answers(self._db, recorded))
            mark = self._db.execute("SELECT horizon, horizon_at, revision FROM mark").fetchone()
        return Recovered(records, answers, mark[0], mark[1], max([mark[2], *recorded]))

    def append(self, batch: Batch) -> None:
        with _told(f"cannot write {self.path}"), _transaction(self._db):
            self._insert(batch)

    def rewrite(self, recovered: Recovered) -> None:
        """Then the file is made anew and the write-ahead log cut off, for freed pages keep what was in them."""
        with _told(f"cannot rewrite {self.path}"):
            with _transaction(self._db):
                self._db.execute("DELETE FROM record")
                self._db.execute("DELETE FROM answer")
                self._insert(Batch(recovered.records, recovered.answers))
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._grow_wal()

    def _insert(self, batch: Batch) -> None:
        self._db.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_record_row, batch.records)
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)",
            ((a.key, a.revision, a.at, encode_replies(a, batch.records)) for a in batch.answers),
        )

    def compact(self, compaction: Compaction) -> None:
        with _told(f"cannot write {self.path}"), _transaction(self._db):
            self._db.execute(
                "UPDATE mark SET horizon = ?, horizon_at = ?, revision = ?",
                (compaction.horizon, compaction.horizon_at, compaction.revision),
            )
            self._db.executemany(
                "DELETE FROM record WHERE revision = ?", ((revision,) for revision in compaction.dropped_revisions)
            )
            self._db.executemany("DELETE FROM answer WHERE key = ?", ((key,) for key in compaction.dropped_answers))

    def close(self) -> None:
        self._db.close()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """SQLite's errors as the port's."""
    try:
        yield
    except sqlite3.Error as error:
        raise BackendError(f"{what}: {error}") from error


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _prepare(db: sqlite3.Connection) -> None:
    """Lock, durability, schema. Exclusive locking also keeps the WAL index out of shared memory."""
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    db.execute("BEGIN EXCLUSIVE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        db.execute("ROLLBACK")
        raise BackendError(f"the log is of schema version {version}, this raypod reads up to {SCHEMA_VERSION}")
    for script in [_SCHEMA] if version == 0 else [_UPGRADES[old] for old in range(version, SCHEMA_VERSION)]:
        for statement in script.split(";\n"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
    damage = [row[0] for row in db.execute("PRAGMA quick_check(3)")]
    if damage != ["ok"]:
        raise BackendError(f"the log is damaged: {'; '.join(damage)}: restore it from a backup")


def _sync_directory(path: str) -> None:
    """The names of new files are durable too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _record_row(record: Record) -> tuple[object, ...]:
    stored = record.stored
    envelope = (stored.revision, *stored.key, stored.created_revision, stored.uid)
    return (*envelope, record.removed, record.at, stored.body, record.user, record.manager)


def _read_records(db: sqlite3.Connection) -> Iterator[Record]:
    for revision, resource, namespace, name, created, uid, removed, at, body, user, manager in db.execute(
        "SELECT * FROM record ORDER BY revision"
    ):
        stored = Stored(Key(resource, namespace, name), revision, created, uid, body)
        yield Record(stored, bool(removed), at, user, manager)


def _read_answers(db: sqlite3.Connection, recorded: dict[int, Stored]) -> Iterator[Answer]:
    for key, revision, at, replies in db.execute("SELECT * FROM answer ORDER BY at, revision, key"):
        answer = decode_answer(key, replies, revision, at, recorded)
        if answer is not None:
            yield answer
