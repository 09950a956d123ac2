"""Every protocol that clients may speak: the WebSocket ones by hand, plain SPDY by kubectl when it is told to."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
import yaml
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "spoken-to"
PATH = f"/api/v1/namespaces/default/pods/{POD}"
_SERVER = "import http.server; print('remote execution test', flush=True); http.server.test(http.server.SimpleHTTPRequestHandler, port=8080, bind='127.0.0.1')"
#: What makes kubectl speak SPDY as its older versions do.
_SPDY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    whole.kubectl("run", POD, "--image=host", "--restart=Never", "--command", "--", "python3", "-c", _SERVER)
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    yield POD
    whole.kubectl("delete", "pod", POD, "--grace-period=0", "--force")


def _open(whole: WholeCluster, path: str, *protocols: str) -> websocket.WebSocket:
    tree = yaml.safe_load(whole.kubeconfig.read_text())
    cluster, user = tree["clusters"][0]["cluster"], tree["users"][0]["user"]
    pair, authority = whole.home / "ws-client.pem", whole.home / "ws-ca.pem"
    pair.write_bytes(
        base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
    )
    authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    options = {"ca_certs": str(authority), "certfile": str(pair), "cert_reqs": ssl.CERT_REQUIRED}
    url = cluster["server"].replace("https://", "wss://") + path
    return websocket.create_connection(url, sslopt=options, subprotocols=list(protocols) or None, timeout=30)


def _messages(line: websocket.WebSocket) -> list[Any]:
    found = []
    while True:
        try:
            opcode, data = line.recv_data()
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return found
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return found
        found.append(data)


_RUN = f"{PATH}/exec?command=sh&command=-c&command=echo+out;+echo+err+>%262;+exit+3&stdout=1&stderr=1"


@pytest.mark.parametrize("protocol", ["", "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"])
def test_exec_in_binary(whole: WholeCluster, pod: str, protocol: str) -> None:
    found = _messages(_open(whole, _RUN, *filter(None, [protocol])))
    said = {channel: b"".join(m[1:] for m in found if m[0] == channel) for channel in (1, 2, 3)}
    assert found[0] == b"\x01", "an empty message comes first"
    assert (said[1], said[2]) == (b"out\n", b"err\n")
    if protocol.startswith("v"):
        assert json.loads(said[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    else:
        assert b"exit code 3" in said[3]


@pytest.mark.parametrize("protocol", ["base64.channel.k8s.io", "v4.base64.channel.k8s.io"])
def test_exec_in_base64(whole: WholeCluster, pod: str, protocol: str) -> None:
    found = _messages(_open(whole, _RUN, protocol))
    assert b"".join(base64.b64decode(m[1:]) for m in found if m[:1] == b"1") == b"out\n"


def test_the_end_of_the_input_in_the_fifth_protocol(whole: WholeCluster, pod: str) -> None:
    line = _open(whole, f"{PATH}/exec?command=wc&command=-c&stdin=1&stdout=1", "v5.channel.k8s.io")
    line.send_binary(b"\x00" + b"x" * 300_000)
    line.send_binary(b"\xff\x00")
    assert b"".join(m[1:] for m in _messages(line) if m[0] == 1) == b"300000\n"


def test_a_protocol_that_nobody_knows(whole: WholeCluster, pod: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        _open(whole, _RUN, "v9.channel.k8s.io")


@pytest.mark.parametrize("protocol", ["", "binary.k8s.io"])
def test_a_log(whole: WholeCluster, pod: str, protocol: str) -> None:
    found = _messages(_open(whole, f"{PATH}/log?container={POD}", *filter(None, [protocol])))
    assert b"remote execution test\n" in b"".join(found)


def test_a_log_in_base64(whole: WholeCluster, pod: str) -> None:
    found = _messages(_open(whole, f"{PATH}/log", "base64.binary.k8s.io"))
    assert b"remote execution test\n" in b"".join(map(base64.b64decode, found))


def test_a_watch(whole: WholeCluster) -> None:
    """Each event is a message."""
    line = _open(whole, "/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name=watched-over-ws")
    whole.kubectl("create", "configmap", "watched-over-ws")
    whole.kubectl("delete", "configmap", "watched-over-ws")
    kinds = [json.loads(line.recv())["type"] for _ in range(2)]
    assert kinds == ["ADDED", "DELETED"]
    line.close()


def _spdy(whole: WholeCluster, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "kubectl"), *words], env=_environment(whole), input=stdin, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def _environment(whole: WholeCluster) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return whole.environment | _SPDY | {"KUBECONFIG": str(whole.kubeconfig), "PATH": path}


def test_exec_over_spdy(whole: WholeCluster, pod: str) -> None:
    done = _spdy(whole, "exec", "-v=8", POD, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.returncode) == ("out\n", 7)
    assert "err\n" in done.stderr
    assert "X-Stream-Protocol-Version: v4.channel.k8s.io" in done.stderr, "it was SPDY"
    text = "".join(f"line {n}\n" for n in range(50_000))
    assert _spdy(whole, "exec", "-i", POD, "--", "cat", stdin=text).stdout == text
    missing = _spdy(whole, "exec", POD, "--", "no-such-command")
    assert 'error executing command in container: exec: "no-such-command"' in missing.stderr


def test_a_terminal_over_spdy(whole: WholeCluster, pod: str) -> None:
    words = f"stty rows 33 cols 99; kubectl exec -it {POD} -- sh -c 'sleep 0.5; stty size; exit 5'"
    done = subprocess.run(
        ["script", "-qec", words, "/dev/null"], env=_environment(whole), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    assert "33 99" in done.stdout
    assert done.returncode == 5


def test_port_forward_over_spdy(whole: WholeCluster, pod: str) -> None:
    command = [str(Path(sys.executable).parent / "kubectl"), "port-forward", f"pod/{POD}", ":8080"]
    with subprocess.Popen(command, env=_environment(whole), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        match = re.match(r"Forwarding from 127.0.0.1:(\d+)", running.stdout.readline())
        assert match
        try:
            for _ in range(5):
                with urllib.request.urlopen(f"http://127.0.0.1:{match[1]}/etc/hostname", timeout=30) as answer:
                    assert answer.status == 200
        finally:
            running.kill()


def test_a_client_that_goes_over_spdy_takes_its_command_along(whole: WholeCluster, pod: str) -> None:
    command = [str(Path(sys.executable).parent / "kubectl"), "exec", POD, "--", "sleep", "87654.5"]
    with subprocess.Popen(command, env=_environment(whole)) as running:
        try:
            wait_for("it runs", lambda: not _search("87654.5"))
        finally:
            running.kill()
    wait_for("it is gone", lambda: _search("87654.5"))


def _search(word: str) -> int:
    return subprocess.call(["pgrep", "-f", f"^sleep {word}"], stdout=subprocess.DEVNULL)
