"""Where the hierarchies are, and what is written into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.plugins.runtime.launcher import cgroup_v2
from actors.plugins.runtime.launcher.cgroup_layout import Layout, parse_layout
from actors.plugins.runtime.launcher.cgroup_values import (
    derive_quota_us,
    derive_shares,
    derive_v1_values,
    derive_v2_values,
    derive_weight,
    parse_oom_kills,
)

HYBRID = """\
22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
25 22 0:5 / /sys rw - sysfs sysfs rw
30 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 25 0:30 / /sys/fs/cgroup/memory rw shared:5 master:2 - cgroup cgroup rw,memory
32 25 0:31 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
33 25 0:32 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
34 25 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 25 0:34 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
36 25 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
"""
PURE_V2 = "25 22 0:5 / /sys rw - sysfs sysfs rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
RESOURCES = {"cpu_request_millis": 250, "cpu_limit_millis": 1500, "memory_limit_bytes": 1 << 30, "pids_max": 64}


def test_hybrid() -> None:
    layout = parse_layout(HYBRID)
    assert not layout.pure_v2
    assert layout.v1 == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
        "devices": "/sys/fs/cgroup/devices",
        "pids": "/sys/fs/cgroup/pids",
    }
    assert layout.names["/sys/fs/cgroup/cpu,cpuacct"] == "cpu,cpuacct"
    assert (layout.unified, layout.systemd) == ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
    assert layout.mount_points()[-1] == layout.unified
    assert layout.freezer not in layout.mount_points()


def test_v1_alone_needs_the_freezer_to_kill() -> None:
    layout = parse_layout("".join(line + "\n" for line in HYBRID.splitlines() if "cgroup2" not in line))
    assert (layout.pure_v2, layout.unified) == (False, "")
    assert layout.mount_points()[-1] == "/sys/fs/cgroup/freezer"


def test_v2_alone() -> None:
    layout = parse_layout(PURE_V2)
    assert (layout.pure_v2, layout.unified, layout.mount_points()) == (True, "/sys/fs/cgroup", ["/sys/fs/cgroup"])


@pytest.mark.parametrize("text", ["", HYBRID.replace("rw,memory", "rw,hugetlb")])
def test_a_host_without_what_we_need(text: str) -> None:
    with pytest.raises(ValueError, match="memory"):
        parse_layout(text)


@pytest.mark.parametrize(
    ("millis", "shares", "weight"),
    [(0, 2, 1), (1, 2, 1), (100, 102, 4), (1000, 1024, 39), (256_000, 262_144, 10_000), (10**9, 262_144, 10_000)],
)
def test_requests_become_shares_and_weights_as_in_kubernetes(millis: int, shares: int, weight: int) -> None:
    assert derive_shares(millis) == shares
    assert derive_weight(shares) == weight


def test_quota_has_the_kernels_minimum() -> None:
    assert [derive_quota_us(millis) for millis in (1, 10, 250, 1500)] == [1000, 1000, 25_000, 150_000]


def test_v1_values() -> None:
    values = {name: value for _, name, value, _ in derive_v1_values(RESOURCES)}
    assert values == {
        "cpu.shares": "256",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
        "memory.limit_in_bytes": str(1 << 30),
        "memory.memsw.limit_in_bytes": str(1 << 30),
        "pids.max": "64",
    }


def test_v2_values() -> None:
    values = {name: value for _, name, value, _ in derive_v2_values(RESOURCES)}
    assert values == {
        "cpu.weight": "10",
        "cpu.max": "150000 100000",
        "memory.max": str(1 << 30),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
    }


def test_no_limits_write_no_limits() -> None:
    nothing = dict.fromkeys(RESOURCES, 0)
    assert [name for _, name, _, _ in derive_v1_values(nothing)] == ["cpu.shares"]
    assert [name for _, name, _, _ in derive_v2_values(nothing)] == ["cpu.weight"]


def test_oom_kills() -> None:
    assert parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == 3
    assert parse_oom_kills("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 1\n") == 1
    assert parse_oom_kills("") == 0


def test_delegation_enables_what_is_offered(tmp_path: Path) -> None:
    layout = Layout()
    layout.unified = str(tmp_path)
    (tmp_path / "base").mkdir()
    for folder in (tmp_path, tmp_path / "base"):
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory\n")
        (folder / "cgroup.subtree_control").write_text("")
    cgroup_v2.delegate(layout, "base")
    assert (tmp_path / "base" / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_a_limit_without_its_controller_is_an_error_that_names_it(tmp_path: Path) -> None:
    layout = Layout()
    layout.unified = str(tmp_path)
    with pytest.raises(OSError, match="no controller 'cpu'"):
        cgroup_v2.write_limits(layout, "group", RESOURCES)
