"""kubectl debug: ephemeral containers in a pod that runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from whole_cluster import BIN, WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "looked-into"


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    spec = {
        "terminationGracePeriodSeconds": 0,
        "initContainers": [{"name": "first", "image": "host", "command": ["sh", "-c", "echo from first"]}],
        "containers": [{"name": "main", "image": "host", "command": ["sleep", "98765.25"]}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    yield POD
    whole.kubectl("delete", "pod", POD)


def _status(whole: WholeCluster, name: str) -> Any:
    statuses = whole.get("pod", POD)["status"].get("ephemeralContainerStatuses") or ()
    return next((status for status in statuses if status["name"] == name), None)


def test_a_container_that_sees_the_processes_of_another(whole: WholeCluster, pod: str) -> None:
    """As a user types it; the input goes to the shell in the ephemeral container."""
    words = ["debug", "-i", pod, "--image=host", "--target=main", "-c", "looking", "--", "sh"]
    said = subprocess.run(
        [BIN / "kubectl", *words], env=whole.environment | {"KUBECONFIG": str(whole.kubeconfig)}, text=True,
        input="sleep 1; tr '\\0' ' ' < /proc/1/cmdline; echo; exit 9\n", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert "sleep 98765.25" in said.stdout, said
    wait_for("it is told to have ended", lambda: (_status(whole, "looking") or {}).get("state", {}).get("terminated"))
    status = _status(whole, "looking")
    assert (status["state"]["terminated"]["exitCode"], status["restartCount"], status["ready"]) == (9, 0, False)
    assert whole.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "sleep 98765.25" in whole.kubectl("logs", pod, "-c", "looking").out


def test_a_terminal_exec_and_attach_in_it(whole: WholeCluster, pod: str) -> None:
    whole.kubectl("debug", pod, "--image=host", "-c", "staying", "--attach=false", "--", "sleep", "1000")
    wait_for("it runs", lambda: (_status(whole, "staying") or {}).get("state", {}).get("running"))
    assert whole.kubectl("exec", pod, "-c", "staying", "--", "cat", "/proc/1/cmdline").out == "sleep\x001000\x00"
    words = f"{BIN}/kubectl debug -it {pod} --image=host -c typed -- sh -c 'read word; tty; echo got $word'"
    with subprocess.Popen(
        ["script", "-qec", words, "/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=whole.environment | {"KUBECONFIG": str(whole.kubeconfig), "PATH": os.environ["PATH"]},
    ) as running:  # fmt: skip
        assert running.stdin is not None
        wait_for("it runs", lambda: (_status(whole, "typed") or {}).get("state", {}).get("running"))
        running.stdin.write("yes\n")
        running.stdin.flush()
        out, _ = running.communicate(timeout=60)
    assert "got yes" in out


def test_logs_of_init_and_ephemeral_containers(whole: WholeCluster, pod: str) -> None:
    assert whole.kubectl("logs", pod, "-c", "first").out == "from first\n"
    whole.kubectl(
        "debug", pod, "--image=host", "-c", "told", "--attach=false", "--", "sh", "-c", "echo a; echo b; echo c"
    )
    wait_for("it has ended", lambda: (_status(whole, "told") or {}).get("state", {}).get("terminated"))
    assert whole.kubectl("logs", pod, "-c", "told", "--tail=2").out == "b\nc\n"
    assert whole.kubectl("logs", pod, "-c", "told", "-f").out == "a\nb\nc\n"
    assert len(whole.kubectl("logs", pod, "-c", "told", "--timestamps", "--limit-bytes=10").out) == 10
    assert "previous terminated" in whole.kubectl("logs", pod, "-c", "told", "-p", check=False).err
    assert "looked-into" in whole.kubectl("logs", pod, "--all-containers", "--prefix").out


def test_a_target_that_is_not_there_and_the_end_of_the_pod(whole: WholeCluster, pod: str) -> None:
    patch = {
        "spec": {
            "ephemeralContainers": [
                {"name": "lost", "image": "host", "targetContainerName": "main", "command": ["/nothing"]}
            ]
        }
    }
    whole.kubectl("patch", "pod", pod, "--subresource=ephemeralcontainers", "-p", json.dumps(patch))
    wait_for("it has failed", lambda: (_status(whole, "lost") or {}).get("state", {}).get("terminated"))
    assert _status(whole, "lost")["state"]["terminated"]["exitCode"] == 127
    assert whole.get("pod", pod)["status"]["phase"] == "Running"
    assert whole.kubectl("get", "pod", pod).rows[1][1:3] == ["1/1", "Running"]
