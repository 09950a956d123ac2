"""Debian's kubectl 1.20, the oldest client: plain SPDY, OpenAPI 2 in protobuf, fields that have gone since."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_cluster import TICKING, WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
KUBECTL = str(Path(__file__).parents[2] / ".venv-kubectl/usr/bin/kubectl")
POD = "old-friend"
_SERVER = "import http.server; http.server.ThreadingHTTPServer(('127.0.0.1', 8080), http.server.SimpleHTTPRequestHandler).serve_forever()"


def _environment(whole: WholeCluster) -> dict[str, str]:
    return whole.environment | {"KUBECONFIG": str(whole.kubeconfig)}


def old(whole: WholeCluster, *words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    said = subprocess.run(
        [KUBECTL, *words], env=_environment(whole), input=stdin, text=True, capture_output=True, timeout=60, check=False,
        cwd=whole.home,
    )  # fmt: skip
    assert said.returncode == code, said
    return said


def _start(whole: WholeCluster, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KUBECTL, *words], env=_environment(whole), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    assert '"v1.20' in old(whole, "version", "--client", "-o", "json").stdout
    old(whole, "run", POD, "--image=host", "--restart=Never", "--command", "--", "python3", "-c", _SERVER)
    old(whole, "wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    yield POD
    old(whole, "delete", "pod", POD, "--grace-period=1")


def test_create_get_apply_delete(whole: WholeCluster, pod: str) -> None:
    rows = [line.split() for line in old(whole, "get", "pods", pod, "-o", "wide").stdout.splitlines()]
    assert (rows[0][:3], rows[1][1:3]) == (["NAME", "READY", "STATUS"], ["1/1", "Running"])
    old(whole, "create", "configmap", "old-map", "--from-literal=a=1")
    assert json.loads(old(whole, "get", "cm", "old-map", "-o", "json").stdout)["data"] == {"a": "1"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old-map"}, "data": {"a": "2"}}
    old(whole, "apply", "-f", "-", stdin=json.dumps(manifest))
    assert "bogus" in old(whole, "apply", "-f", "-", stdin=json.dumps(manifest | {"bogus": 1}), code=1).stderr
    assert old(whole, "get", "cm", "old-map", "-o", "jsonpath={.data.a}").stdout == "2"
    old(whole, "create", "deployment", "old-web", "--image=host", "--replicas=2", "--", "sleep", "1000")
    old(whole, "rollout", "status", "deployment/old-web", "--timeout=60s")
    old(whole, "scale", "deployment/old-web", "--replicas=1")
    assert "Name:" in old(whole, "describe", "deployment/old-web").stdout
    old(whole, "delete", "deployment/old-web", "cm/old-map")
    assert "NotFound" in old(whole, "get", "cm", "old-map", code=1).stderr


def test_logs(whole: WholeCluster) -> None:
    old(whole, "run", "old-talker", "--image=host", "--restart=Never", "--command", "--", "sh", "-c", TICKING)
    wait_for("it talks", lambda: "tick 3" in old(whole, "logs", "old-talker").stdout)
    with _start(whole, "logs", "-f", "--tail=1", "old-talker") as follower:
        assert follower.stdout is not None
        first = int(follower.stdout.readline().split()[1])
        assert follower.stdout.readline() == f"tick {first + 1}\n"
        follower.send_signal(signal.SIGINT)
    old(whole, "delete", "pod", "old-talker", "--grace-period=1")


def test_exec(whole: WholeCluster, pod: str) -> None:
    said = old(whole, "exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7", code=7)
    assert (said.stdout, said.stderr.splitlines()[0]) == ("out\n", "err")
    large = "x" * 3_000_000
    assert old(whole, "exec", "-i", pod, "--", "wc", "-c", stdin=large).stdout == "3000000\n"
    assert old(whole, "exec", pod, "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' y").stdout == "y" * 3_000_000
    assert "not found" in old(whole, "exec", pod, "--", "no-such-command", code=1).stderr
    words = f"stty rows 29 cols 91; {KUBECTL} exec -it {pod} -- sh -c 'sleep 0.5; stty size; exit 5'"
    shown = subprocess.run(
        ["script", "-qec", words, "/dev/null"], env=_environment(whole) | {"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ("29 91" in shown.stdout, shown.returncode) == (True, 5), shown


def test_attach_and_run(whole: WholeCluster) -> None:
    run = ("--image=host", "--restart=Never", "--rm", "--quiet", "--command", "--")
    said = old(whole, "run", "old-count", "-i", *run, "sh", "-c", "wc -l; exit 3", stdin="a\nb\n", code=3)
    assert said.stdout.split()[0] == "2"
    old(whole, "run", "old-attached", "--image=host", "--restart=Never", "--command", "--", "sh", "-c", TICKING)
    old(whole, "wait", "--for=condition=Ready", "pod/old-attached", "--timeout=40s")
    with _start(whole, "attach", "old-attached") as attached:
        assert attached.stdout is not None
        assert "tick" in attached.stdout.readline() + attached.stdout.readline()
        attached.send_signal(signal.SIGINT)
    old(whole, "delete", "pod", "old-attached", "--grace-period=1")


def test_cp(whole: WholeCluster, pod: str, tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(os.urandom(5_000_000))
    old(whole, "cp", str(tmp_path / "tree"), f"{pod}:/root/copied")
    old(whole, "cp", f"{pod}:/root/copied", str(tmp_path / "back"))
    assert (tmp_path / "back/deep/file").read_bytes() == (tmp_path / "tree/deep/file").read_bytes()


def test_port_forward(whole: WholeCluster, pod: str) -> None:
    with _start(whole, "port-forward", f"pod/{pod}", ":8080", ":9") as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(3)]
        ports = {match[2]: match[1] for line in lines if (match := re.search(r"127.0.0.1:(\d+) -> (\d+)", line))}

        def fetch(_: int) -> int:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports['8080']}/etc/hostname", timeout=30) as answer:
                return int(answer.status)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(fetch, range(40))) == {200}
        running.send_signal(signal.SIGINT)


def test_the_rest_of_what_users_type(whole: WholeCluster, pod: str) -> None:
    old(whole, "label", "pod", pod, "age=old")
    old(whole, "annotate", "pod", pod, "why=because")
    old(whole, "patch", "pod", pod, "-p", '{"metadata":{"labels":{"age":"older"}}}')
    assert pod in old(whole, "get", "pods", "-l", "age=older", "-A").stdout
    assert "KIND:     Pod" in old(whole, "explain", "pod.spec").stdout
    assert old(whole, "auth", "can-i", "create", "pods").stdout == "yes\n"
    assert "pods" in old(whole, "api-resources").stdout
    old(whole, "top", "nodes")
