"""kubectl port-forward and the Python client's, to a server that runs in a pod and listens on its loopback only."""

from __future__ import annotations

import concurrent.futures
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.stream import portforward
from whole_cluster import WholeCluster

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "served"
_SERVER = """
import http.server, socketserver, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = bytes(int(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Counting(socketserver.BaseRequestHandler):
    def handle(self):
        total = 0
        while data := self.request.recv(65536): total += len(data)
        self.request.sendall(str(total).encode())
class Both(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 100
threading.Thread(target=Both(("127.0.0.1", 8081), Counting).serve_forever).start()
Both(("127.0.0.1", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    whole.kubectl("run", POD, "--image=host", "--restart=Never", "--command", "--", "python3", "-c", _SERVER)
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    yield POD
    whole.kubectl("delete", "pod", POD, "--grace-period=0", "--force")


@pytest.fixture
def ports(whole: WholeCluster, pod: str) -> Iterator[dict[int, int]]:
    """Local ports by the pod's."""
    with whole.started("kubectl", "port-forward", f"pod/{pod}", ":8080", ":8081", ":9") as running:
        assert running.stdout is not None
        found = {}
        while len(found) < 3:
            match = re.match(r"Forwarding from 127.0.0.1:(\d+) -> (\d+)", running.stdout.readline())
            if match:
                found[int(match[2])] = int(match[1])
        _wait_listening(found[8080])
        yield found


def _wait_listening(port: int) -> None:
    for _ in range(100):
        try:
            if _fetch(port, 1) == 1:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the pod does not listen")


def _fetch(port: int, size: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{size}", timeout=30) as answer:
        return len(answer.read())


def test_many_connections_over_one(ports: dict[int, int]) -> None:
    sizes = [0, 1, 1000, 100_000, 3_000_000] * 6
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert list(pool.map(lambda size: _fetch(ports[8080], size), sizes)) == sizes


def test_the_end_of_what_is_said_goes_through(ports: dict[int, int]) -> None:
    """The server answers only then."""
    with socket.create_connection(("127.0.0.1", ports[8081]), timeout=30) as line:
        line.sendall(bytes(5_000_000))
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b"5000000"


def test_nobody_listens(whole: WholeCluster, pod: str) -> None:
    with whole.started("kubectl", "port-forward", f"pod/{pod}", ":9") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        match = re.match(r"Forwarding from 127.0.0.1:(\d+)", running.stdout.readline())
        assert match
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=30) as line:
            assert line.recv(1) == b""
        told = running.stderr.readline()
        assert re.search(rf"error forwarding port 9 to pod {POD}, uid [0-9a-f-]+: .*connection refused", told), told


def test_the_python_client(whole: WholeCluster, pod: str, ports: dict[int, int]) -> None:
    config.load_kube_config(str(whole.kubeconfig))
    api: Any = client.CoreV1Api()
    forwarded = portforward(api.connect_get_namespaced_pod_portforward, pod, "default", ports="8080,9")
    line = forwarded.socket(8080)
    line.setblocking(True)
    line.sendall(b"GET /1000 HTTP/1.0\r\n\r\n")
    text = b""
    while data := line.recv(65536):
        text += data
    assert text.startswith(b"HTTP/1.0 200 OK")
    assert len(text.partition(b"\r\n\r\n")[2]) == 1000
    assert forwarded.error(8080) is None
    assert "connection refused" in forwarded.error(9)


def test_refusals(whole: WholeCluster, pod: str) -> None:
    path = f"/api/v1/namespaces/default/pods/{pod}/portforward"
    assert "Upgrade request required" in whole.kubectl("get", "--raw", path, check=False).err
    gone = whole.kubectl("port-forward", "pod/nobody", ":80", check=False)
    assert 'pods "nobody" not found' in gone.err
