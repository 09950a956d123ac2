"""`raypod down` where the node's launcher dies at each start: it ends itself what is left, and says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from whole_cluster import WholeCluster, home_of_its_own, wait_for

from actors.plugins.runtime.spawn import format_settings

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]


def launchers(node: Path) -> list[int]:
    settings, found = format_settings(str(node)).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if settings in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_launcher_that_crash_loops() -> None:
    with home_of_its_own() as home:
        cluster = WholeCluster(home, node="broken")
        cluster.up()
        assert cluster.raypod("run", "host", "--name", "on", "--detach", "--", "sleep", "1000").code == 0
        wait_for("the pod runs", lambda: "Running" in cluster.raypod("ps").out)
        node = home / "nodes" / "broken"
        for state in (node / "run" / "containers").glob("*/state.json"):
            state.write_text('{"id": 7}')
        for pid in launchers(node):
            os.kill(pid, signal.SIGKILL)
        said = cluster.down()
        assert (said.code, said.out) == (0, "raypod is down\n"), said
        assert "the launcher of node broken did not answer, so its containers were ended without it: killed" in said.err
        assert cluster.remains() == []
        cluster.up()
        assert cluster.raypod("run", "host", "--", "echo", "well again").out.strip().endswith("well again")
        again = cluster.down()
        assert (again.code, cluster.remains()) == (0, [])
        assert "without it" not in again.err
