"""kubectl exec and cp, and the official Python client's stream(), against containers that really run."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.stream import stream
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "executed"


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "main", "image": "host", "command": ["sleep", "1000"], "env": [{"name": "MINE", "value": "yes"}]},
            {"name": "side", "image": "host", "command": ["sleep", "1000"]},
        ],
    }
    whole.kubectl(
        "apply", "-f", "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}),
    )  # fmt: skip
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    yield POD
    whole.kubectl("delete", "pod", POD)


def test_output_and_the_exit_code(whole: WholeCluster, pod: str) -> None:
    said = whole.kubectl("exec", pod, "-c", "main", "--", "sh", "-c", "echo $MINE; echo bad >&2; exit 7", check=False)
    assert (said.out, said.code) == ("yes\n", 7)
    assert said.err == "bad\ncommand terminated with exit code 7\n"
    assert whole.kubectl("exec", pod, "-c", "side", "--", "sh", "-c", "echo [$MINE]").out == "[]\n"


def test_input_and_its_end(whole: WholeCluster, pod: str) -> None:
    text = "".join(f"line {n}\n" for n in range(20_000))
    assert whole.kubectl("exec", "-i", pod, "--", "wc", "-l", stdin=text).out == "20000\n"
    assert whole.kubectl("exec", "-i", pod, "--", "cat", stdin=text).out == text


def test_refusals(whole: WholeCluster, pod: str) -> None:
    missing = whole.kubectl("exec", pod, "--", "no-such-command", check=False)
    assert missing.code == 1
    assert 'error executing command in container: exec: "no-such-command"' in missing.err
    other = whole.kubectl("exec", pod, "-c", "other", "--", "ls", check=False)
    assert "container other is not valid for pod" in other.err or "container other not found" in other.err
    nobody = whole.kubectl("exec", "nobody", "--", "ls", check=False)
    assert nobody.err == 'Error from server (NotFound): pods "nobody" not found\n'
    plain = whole.kubectl(
        "get", "--raw", f"/api/v1/namespaces/default/pods/{pod}/exec?command=ls&stdout=1", check=False
    )
    assert "container name must be specified" in plain.err
    path = f"/api/v1/namespaces/default/pods/{pod}/exec?command=ls&stdout=1&container=main"
    assert "Upgrade request required" in whole.kubectl("get", "--raw", path, check=False).err


def test_copies_both_ways(whole: WholeCluster, pod: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(8 << 20))
    whole.kubectl("cp", str(tmp_path / "big"), f"{pod}:/root/big", "-c", "main")
    whole.kubectl("cp", f"{pod}:/root/big", str(tmp_path / "back"), "-c", "main")
    assert filecmp.cmp(tmp_path / "big", tmp_path / "back", shallow=False)


def test_a_terminal(whole: WholeCluster, pod: str) -> None:
    """kubectl is given a terminal of its own by script(1)."""
    command = "tty && stty size && exit 5"
    done = subprocess.run(
        ["script", "-qec", f"kubectl exec -it {pod} -c main -- sh -c '{command}'", "/dev/null"],
        env=whole.environment | {"KUBECONFIG": str(whole.kubeconfig), "PATH": _path()}, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    assert "/dev/pts/0" in done.stdout
    assert done.returncode == 5 or "exit code 5" in done.stdout


def _path() -> str:
    import sys

    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_a_client_that_goes_takes_its_command_along(whole: WholeCluster, pod: str) -> None:
    with whole.started("kubectl", "exec", pod, "-c", "main", "--", "sleep", "98765.5"):
        wait_for("it runs", lambda: _running("98765.5"))
    wait_for("it is gone", lambda: not _running("98765.5"))


def _running(word: str) -> bool:
    found = subprocess.run(["pgrep", "-f", f"^sleep {word}"], capture_output=True, text=True, check=False)
    return found.returncode == 0


def test_a_client_that_does_not_read_holds_the_command_up(whole: WholeCluster, pod: str) -> None:
    with whole.started("kubectl", "exec", pod, "-c", "main", "--", "sh", "-c", "yes > /dev/stdout & echo $!; wait"):
        time.sleep(2.0)
        first = _cpu_of("yes")
        time.sleep(1.0)
        assert _cpu_of("yes") - first < 0.5, "it waits"


def _cpu_of(name: str) -> float:
    done = subprocess.run(["pgrep", "-x", name], capture_output=True, text=True, check=False)
    ticks = 0
    for pid in done.stdout.split():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def api(whole: WholeCluster) -> Any:
    config.load_kube_config(str(whole.kubeconfig))
    return client.CoreV1Api()


def test_the_python_client(api: Any, pod: str) -> None:
    exec_ = api.connect_get_namespaced_pod_exec
    where = {"container": "main", "stderr": True, "stdout": True, "tty": False}
    script = ["sh", "-c", "echo out; echo err >&2"]
    assert stream(exec_, pod, "default", command=script, stdin=False, **where) == "out\nerr\n"
    session = stream(exec_, pod, "default", command=["sh"], stdin=True, _preload_content=False, **where)
    session.write_stdin("echo one\n")
    assert session.readline_stdout(timeout=20) == "one"
    session.write_stdin("exit 4\n")
    session.run_forever(timeout=20)
    assert session.returncode == 4
    session.close()


def test_who_may_only_get_may_not_execute(whole: WholeCluster, pod: str) -> None:
    """GET is how a WebSocket is opened, and no way around `create`."""
    name = "exec-reader"
    whole.kubectl("create", "serviceaccount", name)
    whole.kubectl("create", "role", name, "--verb=get", "--resource=pods,pods/exec")
    whole.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount=default:{name}")
    token = whole.kubectl("create", "token", name).out.strip()
    as_reader = ["exec", pod, "-c", "main", "--as", f"system:serviceaccount:default:{name}", "--", "true"]
    said = wait_for("the role is seen", lambda: _refused(whole, as_reader))
    assert 'cannot create resource "pods/exec"' in said
    assert token
    patch = '[{"op":"replace","path":"/rules/0/verbs","value":["get","create"]}]'
    whole.kubectl("patch", "role", name, "--type=json", "-p", patch)
    wait_for("the new role is seen", lambda: whole.kubectl(*as_reader, check=False).code == 0)
    whole.kubectl("delete", f"role/{name}", f"rolebinding/{name}", f"serviceaccount/{name}")


def _refused(whole: WholeCluster, words: list[str]) -> str:
    err = whole.kubectl(*words, check=False).err
    return err if "pods/exec" in err else ""
