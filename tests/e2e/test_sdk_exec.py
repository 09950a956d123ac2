"""exec from Python and by the raypod command, in runs that really run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_cluster import WholeCluster

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def run(whole: WholeCluster) -> Iterator[raypod.Run]:
    run = whole.cluster.run(
        "executed-in",
        image="host",
        command=["sh", "-c", "echo $JOB_COMPLETION_INDEX > /root/me; sleep 1000"],
        replicas=2,
    )
    run.wait_started(60)
    yield run
    run.delete()


def test_what_it_said_and_its_exit_code(run: raypod.Run) -> None:
    result = run.exec(["sh", "-c", "cat /root/me; echo bad >&2; exit 7"], replica=1)
    assert (result.exit_code, result.stdout, result.stderr) == (7, b"1\n", b"bad\n")
    text = bytes(range(256)) * 20_000
    assert run.exec(["cat"], input=text).stdout == text
    assert run.exec(["cat"]).stdout == b""


def test_refusals(run: raypod.Run) -> None:
    with pytest.raises(raypod.RaypodError, match="no-such-command"):
        run.exec(["no-such-command"])
    with pytest.raises(raypod.NotFound, match="no replica 5"):
        run.exec(["true"], replica=5)
    with pytest.raises(TimeoutError):
        run.exec(["sleep", "76543.5"], timeout=1.0)
    assert subprocess.call(["pgrep", "-f", "^sleep 76543.5"], stdout=subprocess.DEVNULL) == 1


def test_a_run_that_has_ended(whole: WholeCluster) -> None:
    over = whole.cluster.run("over-already", image="host", command=["true"])
    over.wait(60)
    with pytest.raises(raypod.NotFound, match="does not run"):
        over.exec(["true"])
    over.delete()


def test_the_command(whole: WholeCluster, run: raypod.Run) -> None:
    said = whole.raypod("exec", run.name, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (said.out, said.err, said.code) == ("out\n", "err\n", 3)
    assert "nobody" in whole.raypod("exec", "nobody", "--", "ls").complaint
    assert "no terminal" in whole.raypod("exec", "-t", run.name, "--", "ls").complaint


def test_input_and_a_terminal(whole: WholeCluster, run: raypod.Run) -> None:
    raypod_ = str(Path(sys.executable).parent / "raypod")
    counted = subprocess.run(
        [raypod_, "exec", "-i", run.name, "--", "wc", "-l"], env=whole.environment, input="a\nb\n", text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (counted.stdout, counted.returncode) == ("2\n", 0), counted.stderr
    words = f"stty rows 31 cols 97; {raypod_} exec -t {run.name} -- sh -c 'sleep 0.5; tty; stty size; exit 5'"
    shown = subprocess.run(
        ["script", "-qec", words, "/dev/null"], env=whole.environment | {"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "/dev/pts/" in shown.stdout
    assert "31 97" in shown.stdout
    assert shown.returncode == 5
