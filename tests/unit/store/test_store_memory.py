"""The simulated disk: whatever a crash tears off the last write, the rest is whole."""

from __future__ import annotations

from store_support import NOW, new_engine

from actors.reconcile.actions import Create
from actors.reconcile.watch import Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.engine import Engine
from actors.store.ids import SeededIds


def new_map(name: str) -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})


def names(engine: Engine) -> list[str]:
    return [stored.key.name for stored in engine.list(Selection(("configmaps",))).items]


def test_a_batch_is_there_whole_or_not_at_all() -> None:
    engine = new_engine()
    engine.commit([new_map("a")], NOW)
    before = len(engine.backend.disk)  # type: ignore[attr-defined]
    engine.commit([new_map("b"), new_map("c")], NOW)
    disk = bytes(engine.backend.disk)  # type: ignore[attr-defined]
    for lost in range(1, len(disk) - before + 1):
        assert names(Engine(MemoryBackend(disk[: len(disk) - lost]), SeededIds(2))) == ["a"]
    assert names(Engine(MemoryBackend(disk), SeededIds(2))) == ["a", "b", "c"]


def test_a_damaged_last_frame_is_discarded_and_written_over() -> None:
    engine = new_engine()
    engine.commit([new_map("a")], NOW)
    disk = bytearray(engine.backend.disk)  # type: ignore[attr-defined]
    disk[-1] ^= 0xFF
    again = Engine(MemoryBackend(bytes(disk)), SeededIds(2))
    assert names(again) == []
    again.commit([new_map("b")], NOW)
    assert names(Engine(MemoryBackend(bytes(again.backend.disk)), SeededIds(3))) == ["b"]  # type: ignore[attr-defined]
