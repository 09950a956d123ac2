"""What is SQLite's own: durability settings, one writer, damage and newer versions told in a sentence."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from store_support import NOW

from actors.api.key import Key
from actors.reconcile.actions import Delete
from actors.reconcile.watch import Selection
from actors.store.backend import sqlite
from actors.store.backend.port import BackendError
from actors.store.backend.sqlite import SqliteBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds


def test_a_commit_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    backend = SqliteBackend(str(tmp_path / "log.db"))
    assert backend._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert backend._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert not backend._db.in_transaction
    backend.close()


def test_commits_write_over_a_log_of_its_full_size_and_survive_a_crash(tmp_path: Path) -> None:
    """What SQLite finds behind the last commit, zeros or an older round, is not read."""
    engine = Engine(SqliteBackend(str(tmp_path / "log.db")), SeededIds(1))
    size = (tmp_path / "log.db-wal").stat().st_size
    engine.commit(bootstrap_writes(), NOW)
    assert (tmp_path / "log.db-wal").stat().st_size == size >= 4000 * 4096
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("log.db", "log.db-wal"):
        shutil.copy(tmp_path / name, crashed / name)
    found = SqliteBackend(str(crashed / "log.db"))
    assert found.load() == engine.backend.load()
    found.close()
    engine.backend.close()


def test_there_is_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "log.db")
    first = SqliteBackend(path)
    monkeypatch.setattr(sqlite, "_LOCK_WAIT_SECONDS", 0.05)
    with pytest.raises(BackendError, match="locked"):
        SqliteBackend(path)
    first.close()
    SqliteBackend(path).close()


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot open"):
        SqliteBackend(str(tmp_path / "none" / "log.db"))


def test_a_file_that_is_no_log_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(BackendError, match="not a database"):
        SqliteBackend(str(path))


def test_a_newer_version_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "log.db")
    SqliteBackend(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BackendError, match="schema version 99"):
        SqliteBackend(path)


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    engine = Engine(SqliteBackend(str(path)), SeededIds(1))
    engine.commit(bootstrap_writes(), NOW)
    engine.backend.close()
    content = bytearray(path.read_bytes())
    content[8192 + 100 : 8192 * 3] = b"\xff" * (8192 * 2 - 100)
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"damaged|malformed"):
        SqliteBackend(str(path))


def test_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """A log of schema version 1, with a horizon, as it was written then."""
    path = str(tmp_path / "log.db")
    engine = Engine(SqliteBackend(path), SeededIds(1), StoreConfig(retention_minutes=1))
    engine.commit(bootstrap_writes(), NOW)
    engine.commit([Delete(key=Key("services", "default", "kubernetes"))], NOW + 500)
    engine.compact(NOW + 600_000)
    before = (engine.list(Selection()), engine.revision)
    engine.backend.close()
    with sqlite3.connect(path) as db:
        for column in ("record.user", "record.manager", "mark.horizon_at"):
            db.execute("ALTER TABLE {} DROP COLUMN {}".format(*column.split(".")))
        db.execute("PRAGMA user_version = 1")
    db.close()
    again = Engine(SqliteBackend(path), SeededIds(2))
    assert (again.list(Selection()), again.revision) == before
    again.commit([Delete(key=Key("serviceaccounts", "default", "default"), user="ada")], NOW + 700_000)
    again.backend.close()
    assert Engine(SqliteBackend(path), SeededIds(3)).revision == before[1] + 1
