"""Pod and service proxy, to a server that tells what it was asked: methods, bodies, paths, redirects, upgrades."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "mirror"
BASE = "/api/v1/namespaces/default"
_SERVER = """
import http.server, json, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size); self.rfile.readline()
            self.rfile.readline()
        if self.headers.get("Upgrade") == "echo":
            self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n")
            while data := self.connection.recv(1000): self.wfile.write(data.upper())
            self.close_connection = True
        elif self.path.startswith("/moved"):
            self.send_response(302); self.send_header("Location", "/there?x=1"); self.send_header("Content-Length", "0"); self.end_headers()
        elif self.path.startswith("/page"):
            self.reply(b'<a href="/there">go</a>', "text/html")
        elif self.path.startswith("/slow"):
            self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
            for n in range(3):
                self.wfile.write(b"2\\r\\n%d\\n\\r\\n" % n); self.wfile.flush(); time.sleep(0.7)
            self.wfile.write(b"0\\r\\n\\r\\n")
        elif self.path.startswith("/break"):
            self.send_response(200); self.send_header("Content-Length", "100"); self.end_headers()
            self.wfile.write(b"half"); self.wfile.flush(); self.close_connection = True
        else:
            told = {"method": self.command, "path": self.path, "headers": dict(self.headers), "size": len(body)}
            self.reply(json.dumps(told).encode(), "application/json", 418 if "teapot" in self.path else 200)
    def reply(self, body, kind, code=200):
        self.send_response(code); self.send_header("Content-Type", kind); self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Own", "kept"); self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


class Raw:
    """Requests as the administrator, answered as they come."""

    def __init__(self, whole: WholeCluster) -> None:
        tree = yaml.safe_load(whole.kubeconfig.read_text())
        cluster, user = tree["clusters"][0]["cluster"], tree["users"][0]["user"]
        self.host = cluster["server"].removeprefix("https://")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        pair = whole.home / "raw-client.pem"
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
        )
        self.context.load_cert_chain(pair)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, context=self.context, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        line = self.connect()
        line.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = line.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        line.close()
        return found


@pytest.fixture(scope="module")
def raw(whole: WholeCluster) -> Iterator[Raw]:
    container = {
        "name": "main", "image": "host", "command": ["python3", "-c", _SERVER], "ports": [{"containerPort": 8080}]
    }  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }  # fmt: skip
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    whole.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=40s")
    raw = Raw(whole)
    wait_for("it listens", lambda: raw.ask("GET", f"{BASE}/pods/{POD}/proxy/")[0] == 200)
    yield raw
    whole.kubectl("delete", "pod", POD)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_arrives(raw: Raw, method: str) -> None:
    body = b"x" * 100_000 if method in ("POST", "PUT", "PATCH") else None
    code, headers, text = raw.ask(method, f"{BASE}/pods/{POD}:8080/proxy/a%2Fb/../c//d?q=1&q=%20", body)
    told = json.loads(text)
    assert (code, told["method"], told["path"]) == (200, method, "/a%2Fb/../c//d?q=1&q=%20")
    assert told["size"] == (len(body) if body else 0)
    assert headers["X-Own"] == "kept"


def test_head_and_codes(raw: Raw) -> None:
    code, headers, text = raw.ask("HEAD", f"{BASE}/pods/{POD}/proxy/teapot")
    assert (code, text) == (418, b"")
    assert int(headers["Content-Length"]) > 10


def test_a_body_of_unknown_length_is_streamed(raw: Raw) -> None:
    pieces = (b"y" * 10_000 for _ in range(300))
    _, _, text = raw.ask("POST", f"{BASE}/pods/{POD}/proxy/", pieces)
    assert json.loads(text)["size"] == 3_000_000


def test_what_the_target_learns(raw: Raw) -> None:
    secrets = {"Authorization": "Bearer abc", "Impersonate_User": "x", "Cookie": "a=b"}
    _, _, text = raw.ask("GET", f"{BASE}/pods/{POD}/proxy/x", None, Cookie=secrets["Cookie"])
    headers = json.loads(text)["headers"]
    assert headers["Cookie"] == "a=b"
    assert headers["X-Forwarded-Uri"] == f"{BASE}/pods/{POD}/proxy/x"
    assert "X-Forwarded-For" in headers
    assert headers["Host"].endswith(":8080")


def test_the_root_redirects_and_every_path_leads_back(raw: Raw) -> None:
    prefix = f"{BASE}/pods/{POD}/proxy"
    code, headers, _ = raw.ask("GET", f"{prefix}?x=1")
    assert (code, headers["Location"]) == (301, f"{prefix}/?x=1")
    code, headers, _ = raw.ask("GET", f"{prefix}/moved")
    assert (code, headers["Location"]) == (302, f"{prefix}/there?x=1")
    _, _, page = raw.ask("GET", f"{prefix}/page", None, Accept="text/html", Accept_Encoding="gzip")
    assert page == f'<a href="{prefix}/there">go</a>'.encode()


def test_an_answer_is_streamed_as_it_comes(raw: Raw) -> None:
    line = raw.connect()
    line.request("GET", f"{BASE}/pods/{POD}/proxy/slow")
    answer = line.getresponse()
    began = time.monotonic()
    assert answer.readline() == b"0\n"
    assert time.monotonic() - began < 0.6
    assert answer.read() == b"1\n2\n"


def test_an_answer_that_breaks_off_does_not_look_whole(raw: Raw) -> None:
    line = raw.connect()
    line.request("GET", f"{BASE}/pods/{POD}/proxy/break")
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
        line.getresponse().read()


def test_another_protocol_goes_through(raw: Raw) -> None:
    line = raw.connect()
    line.request("GET", f"{BASE}/pods/{POD}/proxy/", headers={"Connection": "Upgrade", "Upgrade": "echo"})
    sock = line.sock
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    for word in (b"one", b"two"):
        sock.sendall(word)
        assert sock.recv(100) == word.upper()
    line.close()


def test_refusals(raw: Raw, whole: WholeCluster) -> None:
    def message(path: str) -> tuple[int, str]:
        code, _, text = raw.ask("GET", f"{BASE}{path}")
        return code, json.loads(text)["message"]

    code, words = message(f"/pods/{POD}:9/proxy/")
    assert (code, "error trying to reach service: dial tcp" in words) == (503, True)
    assert message("/pods/nobody/proxy/") == (404, 'pods "nobody" not found')
    assert message("/pods/a:b:c:d/proxy/") == (400, 'invalid pod request "a:b:c:d"')
    assert message(f"/pods/{POD}:x/proxy/")[0] == 400
    assert message("/services/nobody/proxy/") == (404, 'services "nobody" not found')
    code, _, text = raw.ask("GET", f"/api/v1/nodes/{whole.node}:22/proxy/")
    assert code in (400, 503), text


def test_a_service_by_number_and_by_name(raw: Raw, whole: WholeCluster) -> None:
    whole.kubectl("create", "service", "clusterip", POD, "--tcp=80:8080")
    path = f"{BASE}/services/{POD}"
    assert "no endpoints available for service" in json.loads(raw.ask("GET", f"{path}:80/proxy/")[2])["message"]
    assert "no service port 81 found" in json.loads(raw.ask("GET", f"{path}:81/proxy/")[2])["message"]
    ip = whole.get("pod", POD)["status"]["podIP"]
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": POD, "labels": {"kubernetes.io/service-name": POD}},
        "ports": [{"name": "80-8080", "port": 8080}],
        "endpoints": [
            {"addresses": ["10.255.255.1"], "conditions": {"ready": False}},
            {"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": POD}},
        ],
    }  # fmt: skip
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(slice_))
    for name in (f"{POD}:80", f"{POD}:80-8080", f"http:{POD}:80"):
        code, _, text = raw.ask("GET", f"{BASE}/services/{name}/proxy/x")
        assert (code, json.loads(text)["path"]) == (200, "/x"), text
    whole.kubectl("delete", f"service/{POD}", f"endpointslice/{POD}")


def test_kubectl_get_raw(raw: Raw, whole: WholeCluster) -> None:
    assert whole.kubectl("get", "--raw", f"{BASE}/pods/{POD}/proxy/x").json["path"] == "/x"


def test_who_may_read_pods_may_not_talk_to_them(raw: Raw, whole: WholeCluster) -> None:
    said = whole.kubectl(
        "get", "--raw", f"{BASE}/pods/{POD}/proxy/x", "--as=somebody", "--as-group=system:authenticated", check=False
    )
    assert 'cannot get resource "pods/proxy"' in said.err
    assert Path(whole.kubeconfig).exists()
