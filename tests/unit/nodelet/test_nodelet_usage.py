"""Rates from counters, and what the node tells of itself and its containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.api.errors import Unavailable
from actors.nodelet.meter import Meter, Reading
from actors.nodelet.usage import UsageDesk, read_machine
from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStats, ContainerStatus
from actors.plugins.runtime.stats import parse_entry

SECOND = 1_000_000_000


def test_the_first_reading_tells_the_average_since_the_start() -> None:
    usage = Meter().read({"a": Reading(20_000, 5 * SECOND, 77)}, {"a": 10_000})["a"]
    assert (usage.window_ms, usage.cpu_nanos, usage.memory_bytes) == (10_000, SECOND // 2, 77)


def test_nothing_is_told_of_a_counter_whose_beginning_nobody_knows() -> None:
    meter = Meter()
    assert meter.read({"node": Reading(1_000, 5)}, {}) == {}
    assert meter.read({"node": Reading(3_000, 2 * SECOND + 5)}, {})["node"].cpu_nanos == SECOND


def test_frequent_questions_do_not_shorten_the_window() -> None:
    meter = Meter()
    meter.read({"a": Reading(0, 0)}, {})
    for second in range(1, 30):
        usage = meter.read({"a": Reading(1_000 * second, second * SECOND // 4)}, {})["a"]
        assert usage.cpu_nanos == SECOND // 4
        assert usage.window_ms >= min(1_000 * second, 10_000)
        assert usage.window_ms <= 20_000


def test_a_clock_or_a_counter_that_was_set_back_begins_anew() -> None:
    meter = Meter()
    meter.read({"a": Reading(50_000, 9 * SECOND)}, {})
    assert meter.read({"a": Reading(10_000, 10 * SECOND)}, {}) == {}
    assert meter.read({"a": Reading(20_000, 0)}, {}) == {}
    assert meter.read({"a": Reading(30_000, SECOND)}, {})["a"].cpu_nanos == SECOND // 10


def test_what_is_gone_is_forgotten() -> None:
    meter = Meter()
    meter.read({"a": Reading(1_000, 0)}, {})
    meter.read({}, {})
    assert meter.read({"a": Reading(2_000, SECOND)}, {}) == {}


PROC_STAT = "cpu  100 10 40 5000 7 1 2 3 50 0\ncpu0 100 10 40 5000 7 1 2 3 50 0\n"
MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    400 kB\nHugePages_Total: 0\n"


def _machine(root: Path, stat: str = PROC_STAT) -> Path:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text(stat)
    (root / "proc/meminfo").write_text(MEMINFO)
    return root


def test_a_machine_is_busy_with_all_but_idling_and_waiting_for_disks(tmp_path: Path) -> None:
    reading = read_machine(5, _machine(tmp_path))
    assert (reading.cpu_ns, reading.memory_bytes) == (156 * SECOND // 100, 600 * 1024)


class _Runtime:
    """Of one container that is always at 30 % of a CPU, and one that nobody knows the pod of."""

    def __init__(self) -> None:
        self.now = 100_000
        self.fails = False

    async def list_container_stats(self) -> list[ContainerStats]:
        if self.fails:
            raise PluginError("runtime", "list_container_stats", "RuntimeError", "the launcher is away")
        names = ("mine", "stray")
        return [ContainerStats(id=n, at_ms=self.now, cpu_ns=self.now * 300_000, memory_bytes=9) for n in names]


def _running() -> Iterator[tuple[str, ContainerStatus]]:
    spec = ContainerSpec(id="mine", sandbox_id="s", name="main", image="i")
    yield "pod-uid", ContainerStatus(spec=spec, state=ContainerState.RUNNING, started_at_ms=1)
    waiting = ContainerSpec(id="unread", sandbox_id="s", name="side", image="i")
    yield "pod-uid", ContainerStatus(spec=waiting, state=ContainerState.RUNNING, started_at_ms=1)


async def test_containers_are_told_of_by_pod_once_the_node_itself_has_a_rate(tmp_path: Path) -> None:
    runtime, root = _Runtime(), _machine(tmp_path)
    desk = UsageDesk(runtime, _running, lambda: runtime.now, root)  # type: ignore[arg-type]  # what it uses of it
    with pytest.raises(Unavailable, match="just begun"):
        await desk.read()
    runtime.now += 10_000
    _machine(tmp_path, PROC_STAT.replace("100 10", "600 10"))
    told = await desk.read()
    assert told.node.cpu_nanos == SECOND // 2
    assert [(one.pod_uid, one.name, one.usage.cpu_nanos) for one in told.containers] == [
        ("pod-uid", "main", 3 * SECOND // 10)
    ]
    runtime.fails = True
    with pytest.raises(Unavailable, match="the launcher is away"):
        await desk.read()


def test_an_entry_of_a_flat_keyed_file() -> None:
    assert parse_entry("usage_usec_total 5\nusage_usec 12\n", "usage_usec") == 12
    with pytest.raises(ValueError, match="no inactive_file"):
        parse_entry("", "inactive_file")
