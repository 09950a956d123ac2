"""kill -9 of the store, again and again, while clients write and watch: nothing acknowledged is lost, nothing is
carried out twice, revisions only grow, watchers see every change once. `--kills N` sets how often.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import store_processes

from actors.api.codec import decode
from actors.reconcile.watch import Selection
from actors.store.backend.sqlite import SqliteBackend
from actors.store.engine import Engine
from actors.store.ids import RandomIds

WRITERS, KILLS_DEFAULT = 3, 25
_processes = multiprocessing.get_context("forkserver")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills", default=KILLS_DEFAULT))


@contextmanager
def started(target: Any, *arguments: str) -> Iterator[Any]:
    process = _processes.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join(10)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.timeout(3600)
def test_kill_nine_loses_nothing(kills: int, tmp_path: Path) -> None:
    _processes.set_forkserver_preload(["store_processes", "actors.store.actor"])
    log, socket, stop = str(tmp_path / "log.db"), str(tmp_path / "s"), tmp_path / "stop"
    watched = {"": tmp_path / "watch-all", "configmaps": tmp_path / "watch-maps"}
    written = [tmp_path / f"written-{n}" for n in range(WRITERS)]
    clients = [
        _processes.Process(target=store_processes.write, args=(socket, f"w{n}", str(path), str(stop)))
        for n, path in enumerate(written)
    ] + [
        _processes.Process(target=store_processes.watch, args=(socket, resource, str(path), str(stop)))
        for resource, path in watched.items()
    ]
    draw = random.Random(kills)
    for client in clients:
        client.start()
    try:
        for _ in range(kills):
            with started(store_processes.serve, log, socket):
                time.sleep(draw.choice([draw.uniform(0, 0.05), draw.uniform(0.05, 0.3), draw.uniform(0.2, 0.4)]))
        with started(store_processes.serve, log, socket):
            time.sleep(1)
            stop.touch()
            for client in clients:
                client.join(60)
                assert client.exitcode == 0, "a client did not come to its end"
    finally:
        for client in clients:
            if client.is_alive():
                client.kill()
                client.join(10)
    check(Engine(SqliteBackend(log), RandomIds()), written, watched)


def check(engine: Engine, written: list[Path], watched: dict[str, Path]) -> None:
    told = [line for path in written for line in lines_of(path)]
    assert len(told) > 100, "the clients hardly wrote"
    check_acknowledged(engine, told)
    check_revisions(told)
    for resource, path in watched.items():
        check_watch(engine, resource, lines_of(path))


def check_acknowledged(engine: Engine, told: list[dict[str, Any]]) -> None:
    """Every acknowledged write is there, and once."""
    deployments = [decode(stored) for stored in engine.list(Selection(("deployments.apps",))).items]
    maps = [decode(stored) for stored in engine.list(Selection(("configmaps",))).items]
    appended = [
        op for d in deployments for op in d["spec"]["template"]["spec"]["containers"][0]["args"] if op != "first"
    ]
    labelled = [obj["metadata"]["labels"]["op"] for obj in maps]
    assert sorted(appended) == sorted(line["op"] for line in told if line["kind"] == "append")
    assert sorted(labelled) == sorted(line["op"] for line in told if line["kind"] == "create")
    assert sorted(d["metadata"]["name"] for d in deployments) == sorted(labelled)


def check_revisions(told: list[dict[str, Any]]) -> None:
    """No revision was given twice."""
    revisions = [revision for line in told for revision in line["revisions"]]
    assert len(revisions) == len(set(revisions))


def check_watch(engine: Engine, resource: str, lines: list[dict[str, Any]]) -> None:
    """Every change once, in order; what the watcher then knows is what is there."""
    first, *events, last = lines
    seen = [event["revision"] for event in events]
    assert all(a < b for a, b in zip([first["revision"], *seen], seen, strict=False)), (
        "a change seen twice, or too late"
    )
    if not resource:
        assert seen == list(range(first["revision"] + 1, engine.revision + 1)), "a gap"
        assert last["end"] == engine.revision
    known: dict[str, int] = dict(first["list"])
    for event in events:
        if event["type"] == "DELETED":
            del known[event["key"]]
        else:
            known[event["key"]] = event["revision"]
    page = engine.list(Selection((resource,) if resource else ()))
    assert known == {str(stored.key): stored.revision for stored in page.items}
