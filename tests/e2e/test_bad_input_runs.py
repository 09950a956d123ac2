"""Runs that cannot be, and containers that misbehave: answered in a sentence, and nobody else is harmed."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_cluster import WholeCluster, wait_for

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


@pytest.fixture(autouse=True)
def healthy_afterwards(whole: WholeCluster) -> Iterator[None]:
    """Whatever a test does, the cluster is in health after it, and nothing had to be started again."""
    yield
    status = whole.cluster.status()
    assert status["healthy"], status
    assert [actor["name"] for actor in status["actors"] if actor["restarts"]] == []


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "host", "--name", "UPPER", "--", "true"],
        ["run", "host", "--name", "../../etc/passwd", "--", "true"],
        ["run", "host", "--name", "a\nb", "--", "true"],
        ["run", "host", "--name", "x" * 5000, "--", "true"],
        ["run", "host", "--replicas", "0", "--", "true"],
        ["run", "host", "--replicas", "1000000000", "--", "true"],
        ["run", "host", "--cpus", "-1", "--", "true"],
        ["run", "host", "--cpus", "inf", "--", "true"],
        ["run", "host", "--cpus", "nan", "--", "true"],
        ["run", "host", "--memory", "lots", "--", "true"],
        ["run", "host", "--memory", "9" * 40, "--", "true"],
        ["run", "host", "--gpus", "-1", "--", "true"],
        ["run", "host", "-v", "relative:/x", "--", "true"],
        ["run", "host", "-v", "/x", "--", "true"],
        ["run", "host", "-e", "=x", "--", "true"],
        ["run", "", "--", "true"],
        ["run", "two words", "--", "true"],
        ["run", "UPPER/case", "--", "true"],
        ["logs", ""],
        ["logs", "../../x"],
        ["logs", "no-such-run"],
        ["stop", "no-such-run"],
        ["stop", "a/b?c=d"],
        ["image", "ls", "--node", "no-such-node"],
        ["image", "ls", "--node", "../x"],
        ["image", "pull", "two words"],
        ["image", "rm", "no-such-image"],
        ["image", "rm", "host"],
    ],
    ids=lambda words: " ".join(words)[:40].replace("\n", " "),
)
def test_is_refused_in_a_sentence(whole: WholeCluster, words: list[str]) -> None:
    told = whole.raypod(*words).complaint
    assert 10 < len(told) < 300


def test_more_than_there_is_stays_pending_and_says_why(whole: WholeCluster) -> None:
    wants = {"gpus": {"gpus": 3}, "cpu": {"cpus": 1e6}, "memory": {"memory": "900Ti"}}
    runs = {what: whole.cluster.run(image="host", command=["true"], **ask) for what, ask in wants.items()}  # type: ignore[arg-type]
    expected = {
        "gpus": "Insufficient nvidia.com/gpu (asked 3",
        "cpu": "Insufficient cpu",
        "memory": "Insufficient memory",
    }
    for what, run in runs.items():
        told = wait_for("a reason", lambda run=run: run.status.message)
        assert (expected[what] in told, run.status.phase) == (True, "Pending"), told
        pod = whole.pods(f"raypod.io/run={run.name}")[0]
        condition = next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
        assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", told)
        assert f"FailedScheduling: {told}" in whole.events(pod["metadata"]["name"])
        assert expected[what] in whole.raypod("status").out
        run.delete()
        run.wait_deleted(30)


def test_out_of_memory_is_137_and_said(whole: WholeCluster) -> None:
    run = whole.cluster.run(
        image="host", command=["python3", "-c", "x = bytearray(1 << 30); print(len(x))"], memory="64Mi"
    )
    status = run.wait(60)
    assert (status.phase, status.exit_codes) == ("Failed", (137,))
    assert status.message == "replica 0 exited with code 137: OOMKilled"
    state = whole.pods(f"raypod.io/run={run.name}")[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


def test_more_replicas_than_the_node_takes_at_once_all_end_well(whole: WholeCluster) -> None:
    run = whole.cluster.run(image="host", command=["true"], replicas=130)
    status = run.wait(90)
    assert (status.phase, set(status.exit_codes)) == ("Succeeded", {0})
    half_way = whole.cluster.run(image="host", command=["sleep", "100"], replicas=130, grace_seconds=0)
    wait_for("many of them run", lambda: half_way.status.active > 20)
    for ending in (half_way, run):
        ending.delete()
        ending.wait_deleted(60)
    assert whole.raypod("run", "host", "--", "echo", "fine").out == "fine\n"


def test_a_fork_bomb_hits_its_limit_and_nobody_else(whole: WholeCluster) -> None:
    script = "import os, time\nn = 0\ntry:\n    while n < 100000:\n        if not os.fork():\n            time.sleep(60)\n        n += 1\n"
    script += "except OSError as error:\n    print('stopped', n, error.errno, flush=True)\n    os._exit(5)\n"
    run = whole.cluster.run(image="host", command=["python3", "-c", script])
    status = run.wait(90)
    assert status.exit_codes == (5,)
    found = re.fullmatch(r"stopped (\d+) 11", next(iter(run.logs())))
    assert found
    assert 100 < int(found[1]) < 1100, "the configured limit"


def test_one_that_ignores_sigterm_is_killed_after_its_grace(whole: WholeCluster) -> None:
    script = "trap 'echo not me' TERM; echo ready; while :; do sleep 0.1; done"
    run = whole.cluster.run(image="host", command=sh(script), grace_seconds=2)
    lines = run.logs(follow=True)
    assert next(lines) == "ready"
    began = time.monotonic()
    run.delete()
    run.wait_deleted(30)
    assert 1.5 < time.monotonic() - began < 15
    assert "not me" in list(lines)


def test_200_mb_of_log_do_no_harm_and_the_last_line_comes(whole: WholeCluster) -> None:
    script = "import sys\nline = 'x' * 990\nfor i in range(200000): sys.stdout.write('%09d%s\\n' % (i, line))\nprint('the last line')"
    run = whole.cluster.run(image="host", command=["python3", "-uc", script.replace("-uc", "-c")])
    count, last = 0, ""
    for line in run.logs(follow=True):
        count, last = count + 1, line
    assert last == "the last line"
    assert run.wait(30).exit_codes == (0,)
    folder = next((whole.node_root / "logs").glob(f"default_{run.name}-0-*"))
    sizes = [file.stat().st_size for file in folder.glob("*/*")]
    assert (len(sizes) <= 5, max(sizes) <= 11 << 20) == (True, True), sizes
    assert count > 10_000
    assert list(run.logs())[-1] == "the last line"


def test_a_line_without_an_end_and_bytes_that_are_no_text(whole: WholeCluster) -> None:
    script = "import os\nos.write(1, b'\\xff\\xfe\\x00 bytes\\n' + b'y' * 300000 + b'\\n\\n\\r\\n' + b'end')"
    run = whole.cluster.run(image="host", command=["python3", "-c", script])
    assert run.wait(60).phase == "Succeeded"
    lines = list(run.logs())
    assert lines[0] == "\ufffd\ufffd\x00 bytes"
    assert lines[1:] == ["y" * 300_000, "", "\r", "end"]
    assert whole.raypod("logs", run.name).code == 0


def test_an_environment_of_a_megabyte(whole: WholeCluster) -> None:
    big = {f"BIG{i}": "x" * 100_000 for i in range(10)}
    run = whole.cluster.run(image="host", command=sh("echo ${#BIG0} ${#BIG9}"), env=big)
    assert run.wait(60).phase == "Succeeded"
    assert list(run.logs()) == ["100000 100000"]
    run.delete()
    with pytest.raises(raypod.ApiError, match=r"(?i)too large|limit|at most"):
        whole.cluster.run(image="host", command=["true"], env={"BIG": "x" * (2 << 20)})
    one = whole.cluster.run(image="host", command=["true"], env={"BIG": "x" * 200_000})
    assert one.wait(60).phase == "Failed"
    assert "argument list too long" in one.status.message.lower()


def test_a_host_port_is_had_by_one(whole: WholeCluster) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("port-a", "port-b"):
        whole.kubectl("create", "-f", "-", stdin=json.dumps(_with_port(name, port)))
    phases = wait_for("one runs", lambda: _phases(whole), 30)
    assert sorted(phases) == ["Pending", "Running"]
    waiting = f"port-{'ab'[phases.index('Pending')]}"
    told = wait_for("a reason", lambda: whole.events(waiting))
    assert (
        told[0]
        == "FailedScheduling: 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )
    whole.kubectl("delete", "pod", "port-a", "port-b")


def _phases(whole: WholeCluster) -> list[str]:
    phases = [pod["status"]["phase"] for pod in whole.pods("ports=yes")]
    return phases if "Running" in phases else []


def _with_port(name: str, port: int) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "host",
        "command": ["sleep", "100"],
        "ports": [{"containerPort": 80, "hostPort": port}],
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"ports": "yes"}}, "spec": spec}


def test_volumes_that_cannot_be(whole: WholeCluster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/etc")
    run = whole.cluster.run(image="host", command=["cat", "/data"], volumes={"/data": f"{tmp_path}/file"})
    assert (run.wait(30).exit_codes, list(run.logs())) == ((0,), ["x"])
    under_a_file = whole.cluster.run(image="host", command=["true"], volumes={"/data": f"{tmp_path}/file/below"})
    told = wait_for("a reason", lambda: under_a_file.status.message)
    assert "file" in told
    assert "Traceback" not in told
    under_a_file.delete()


def test_a_second_ctrl_c_does_not_wait(whole: WholeCluster) -> None:
    script = "trap '' TERM; echo ready; sleep 1000 & while :; do wait; done"
    with whole.started("raypod", "run", "host", "--name", "twice-stopped", "--", "sh", "-c", script) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGINT)
        assert run.stderr.readline() + run.stderr.readline() == (
            "\nraypod: stopping twice-stopped; Ctrl-C once more does not wait for it\n"
        )
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 130
        assert "twice-stopped goes on stopping" in run.stderr.read()
    assert "twice-stopped" not in whole.raypod("ps").out
    whole.kubectl("delete", "pod", "-l", "raypod.io/run=twice-stopped", "--grace-period=0", "--force")
