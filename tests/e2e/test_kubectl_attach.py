"""kubectl attach and kubectl run -it: containers with an input and a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
_RUN = ("--image=host", "--restart=Never", "--rm", "--quiet", "--command", "--")


def test_run_with_input_to_its_end(whole: WholeCluster) -> None:
    """stdinOnce: the end of ours is the end of the container's, and its exit code is kubectl's."""
    said = whole.kubectl("run", "counted", "-i", *_RUN, "sh", "-c", "wc -l; exit 3", stdin="a\nb\nc\n", check=False)
    assert (said.out.split()[0], said.code) == ("3", 3), said
    assert whole.kubectl("get", "pod", "counted", check=False).code == 1


def test_run_in_a_terminal(whole: WholeCluster) -> None:
    """kubectl is given a terminal by script(1), and we type when the shell asks."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = f"kubectl run typed -it {' '.join(_RUN)} sh -c 'stty -echo; printf ready?; read word; tty; echo got $word; exit 5'"
    with subprocess.Popen(
        ["script", "-qec", words, "/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=whole.environment | {"KUBECONFIG": str(whole.kubeconfig), "PATH": path},
    ) as running:  # fmt: skip
        assert running.stdin is not None
        wait_for("it runs", lambda: whole.kubectl("get", "pod", "typed", check=False).out.count("Running"))
        running.stdin.write("yes\n")
        running.stdin.flush()
        out, _ = running.communicate(timeout=60)
    assert "/dev/pts/0" in out
    assert "got yes" in out
    assert running.returncode == 5, out


def _make(whole: WholeCluster, name: str, script: str, **fields: object) -> None:
    container = {"name": "main", "image": "host", "command": ["sh", "-c", script], **fields}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=40s")


def test_attach_sees_what_is_said_from_now_on(whole: WholeCluster) -> None:
    _make(whole, "talking", "while :; do echo out; echo err >&2; sleep 0.2; done")
    with whole.started("kubectl", "attach", "talking") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "out\n"
        assert "err\n" in (running.stderr.readline(), running.stderr.readline(), running.stderr.readline())
    assert whole.get("pod", "talking")["status"]["containerStatuses"][0]["restartCount"] == 0
    whole.kubectl("delete", "pod", "talking")


def test_attach_again_to_an_input_that_stays_open(whole: WholeCluster) -> None:
    _make(whole, "listening", "while read line; do echo heard $line; done", stdin=True)
    for word in ("one", "two"):
        process = subprocess.run(
            ["timeout", "3", str(Path(sys.executable).parent / "kubectl"), "attach", "-i", "listening"],
            env=whole.environment | {"KUBECONFIG": str(whole.kubeconfig)}, input=f"{word}\n", text=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert f"heard {word}" in process.stdout
    assert whole.kubectl("logs", "listening").out == "heard one\nheard two\n"
    whole.kubectl("delete", "pod", "listening")


def test_attach_where_nothing_runs(whole: WholeCluster) -> None:
    whole.kubectl("run", "over", "--image=host", "--restart=Never", "--command", "--", "true")
    wait_for("it is over", lambda: whole.get("pod", "over")["status"]["phase"] == "Succeeded")
    said = whole.kubectl("attach", "over", check=False)
    assert said.code == 1
    assert "completed pod" in said.err or "container not found" in said.err
    whole.kubectl("delete", "pod", "over")
