"""Clients that mean harm, or are broken: each gets an answer or is cut off; none gets a 500, a traceback or our memory."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_server import RunningGateway

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("gateway")
    running = RunningGateway(home, request_head_seconds=1, body_seconds=1, write_stall_seconds=1, connections_max=50)
    yield running
    running.stop()
    assert running.gateway.app.failures == 0


def _connect(served: RunningGateway) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", served.gateway.port), 10)
    return served.ssl_context().wrap_socket(raw, server_hostname="127.0.0.1")


def _raw(served: RunningGateway, request: bytes) -> bytes:
    """All that the server says until it closes or has answered once."""
    with _connect(served) as connection:
        connection.sendall(request)
        connection.settimeout(10)
        try:
            return connection.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut short": b"{",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "not utf-8": b'{"metadata":{"name":"\xff\xfe"}}',
    "lone surrogate": b'{"metadata":{"name":"\\ud800"}}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "deep known": b'{"metadata":{"annotations":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}}",
    "huge number": b'{"metadata":{"name":"x","generation":' + b"9" * 5_000 + b"}}",
    "huge exponent": b'{"metadata":{"name":"x","generation":1e999}}',
    "metadata a list": b'{"metadata":[]}',
    "metadata text": b'{"metadata":"x"}',
    "name a number": b'{"metadata":{"name":1}}',
    "spec a list": b'{"metadata":{"name":"x"},"spec":[]}',
    "spec null": b'{"metadata":{"name":"x"},"spec":null}',
    "containers null": b'{"metadata":{"name":"x"},"spec":{"containers":[null]}}',
    "no containers": b'{"metadata":{"name":"x"},"spec":{}}',
    "name traverses": b'{"metadata":{"name":"../../etc/passwd"},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "name with nul": b'{"metadata":{"name":"a\\u0000b"},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "wrong kind": b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}',
    "wrong namespace": b'{"metadata":{"name":"x","namespace":"other"},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "negative grace": b'{"metadata":{"name":"x"},"spec":{"terminationGracePeriodSeconds":-1,"containers":[{"name":"a","image":"b"}]}}',
    "labels wrong": b'{"metadata":{"name":"x","labels":{"a":{"b":1}}},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "owner wrong": b'{"metadata":{"name":"x","ownerReferences":[1]},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "long name": b'{"metadata":{"name":"' + b"x" * 10_000 + b'"},"spec":{"containers":[{"name":"a","image":"b"}]}}',
    "quantity": b'{"metadata":{"name":"x"},"spec":{"containers":[{"name":"a","image":"b","resources":{"limits":{"cpu":"1e999999999"}}}]}}',
}


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_broken_bodies(served: RunningGateway, name: str, method: str) -> None:
    path = PODS if method == "POST" else f"{PODS}/x"
    code, headers, body = served.request(method, path, BODIES[name], {"Content-Type": "application/json"})
    status = json.loads(body)
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
    assert code in (400, 404, 422), status
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "media",
    [
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json;charset=utf-8",
        "text/html",
        ";;;=",
        "x" * 1000,
    ],
)
@pytest.mark.parametrize(
    "name", ["cut short", "null", "not utf-8", "deep lists", "deep known", "metadata a list", "spec a list"]
)
def test_broken_patches(served: RunningGateway, media: str, name: str) -> None:
    served.request("POST", MAPS, b'{"metadata":{"name":"target"}}')
    for method, path in (("PATCH", f"{MAPS}/target?fieldManager=x"), ("POST", PODS)):
        code, _, body = served.request(method, path, BODIES[name], {"Content-Type": media})
        assert code in (200, 400, 415, 422), body
        if code != 200:
            assert json.loads(body)["kind"] == "Status"


def test_yaml_bombs(served: RunningGateway) -> None:
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((c, c) + (c - 1,) * 6) for c in range(98, 118)
    )
    for text in (
        bomb,
        b"!!python/object/apply:os.system [ls]",
        b"- : :\n\t",
        b"{" * 10_000,
        b"--- a\n--- b\n",
        b"? {}\n: 1",
    ):
        code, _, body = served.request("POST", MAPS, text, {"Content-Type": "application/yaml"})
        assert (code, json.loads(body)["reason"]) == (400, "BadRequest"), text[:50]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"k8s\0",
        b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"k8s\0\x0a\xff\xff\xff\x7f",
        b"k8s\0\x0a\x04\x0a\x02v1",
        b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x7f",
        b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x0a\x80",
        b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x08\x01",
        b"k8s\0\x0a\x0a\x0a\x02v1\x12\x04Nope\x12\x00",
        b"k8s\0" + b"\x0b" * 1000,
    ],
)
def test_broken_protobuf(served: RunningGateway, text: bytes) -> None:
    media = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    code, _, body = served.request("POST", PODS, text, media)
    assert code in (400, 422), body
    assert served.request("DELETE", f"{PODS}/x", text, media)[0] in (400, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/pods/..%2f..%2fetc%2fpasswd",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/../../secret",
        "/api/v1/namespaces/default/pods/a%00b",
        "/api/v1/namespaces/default/pods/%ff%fe",
        "/api/v1/namespaces/default/pods/a/b/c/d/e",
        "/api/v1/namespaces/default/pods/x/exec",
        "/api/v1/namespaces/default/pods/x/nope",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/pods/x",
        "/api/v2/pods",
        "/apis/nope/v1/things",
        "/raypod/v1/nope",
        "/raypod/v1/nodes/..%2f/images",
        "/openapi/v3/../../etc",
        "//////api//v1//nope",
        "/" + "a/" * 5000,
        "/" + "%41" * 3000,
    ],
)
def test_odd_paths(served: RunningGateway, path: str) -> None:
    code, _, body = served.request("GET", path)
    assert (code in (400, 404, 405), json.loads(body)["kind"]) == (True, "Status")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("labelSelector=" + "a=b," * 900 + "c", 200),
        ("labelSelector=" + "a=b," * 10_000 + "c", 400),
        ("fieldSelector=" + "metadata.name!=b," * 2_000, 400),
        ("labelSelector=" + "(" * 10_000, 400),
        ("labelSelector=%3D", 400),
        ("labelSelector=a+in+(b", 400),
        ("fieldSelector=nope%3D1", 400),
        ("fieldSelector=" + "," * 5_000, 200),
        ("limit=-5", 200),
        ("limit=999999999999999999999999", 400),
        ("limit=x", 400),
        ("continue=nope", 400),
        ("continue=" + "A" * 4000, 400),
        ("resourceVersion=x", 400),
        ("resourceVersion=-1", 400),
        ("resourceVersion=99999999", 504),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=Nope&resourceVersion=1", 422),
        ("sendInitialEvents=true", 422),
        ("watch=true&sendInitialEvents=true", 422),
        ("watch=true&fieldSelector=nope%3D1&resourceVersion=1", 400),
        ("watch=true&timeoutSeconds=x", 400),
        ("%ff%fe=1", 400),
        ("&".join(f"a{i}=1" for i in range(5000)), 400),
    ],
)
def test_odd_queries(served: RunningGateway, query: str, code: int) -> None:
    got, _, body = served.request("GET", f"{PODS}?{query}")
    assert (got, json.loads(body)["kind"]) == (code, "PodList" if code == 200 else "Status"), body


def test_methods_that_nothing_answers(served: RunningGateway) -> None:
    for method in ("OPTIONS", "TRACE", "PROPFIND", "PATCH", "PUT"):
        assert served.request(method, PODS)[0] in (405, 415), method
    assert served.request("POST", f"{PODS}/x", b"{}")[0] == 405
    assert served.request("POST", "/api/v1/pods", b"{}")[0] == 405
    assert served.request("DELETE", "/api/v1/namespaces")[0] == 405
    assert served.request("POST", "/version", b"{}")[0] == 405


def test_bodies_that_are_too_large(served: RunningGateway) -> None:
    large = json.dumps({"metadata": {"name": "large"}, "data": {"a": "x" * (3 * 1024 * 1024)}}).encode()
    code, _, body = served.request("POST", MAPS, large)
    assert (code, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")
    answer = _raw(
        served,
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % MAPS.encode()
        + b"100000\r\n"
        + b"x" * 0x100000
        + b"\r\n",
    )
    assert b" 500 " not in answer


def test_a_gzip_bomb(served: RunningGateway) -> None:
    bomb = gzip.compress(b"x" * 50_000_000)
    code, _, _ = served.request("POST", MAPS, bomb, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    assert code in (400, 413)


@pytest.mark.parametrize(
    "request_text",
    [
        b"\r\n\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /version HTTP/1.1\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET /version HTTP/1.1\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"POST /api/v1/pods HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/pods HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01" + b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http(served: RunningGateway, request_text: bytes) -> None:
    answer = _raw(served, request_text)
    assert b"Traceback" not in answer and b" 500 " not in answer
    assert served.request("GET", "/livez")[0] == 200


def _is_cut_off(connection: socket.socket, within_seconds: float) -> bool:
    connection.settimeout(within_seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_slow_heads_bodies_and_handshakes_are_cut_off(served: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", served.gateway.port), 10) as silent, _connect(served) as head:
        with _connect(served) as body:
            head.sendall(b"GET /version HTTP/1.1\r\nHost:")
            body.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" % MAPS.encode())
            body.settimeout(5)
            assert b" 400 " in body.recv(4096)
        assert _is_cut_off(head, 5)
        assert _is_cut_off(silent, 5)


def _is_served(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(15) == b"HTTP/1.1 200 OK"
    except OSError:
        return False


def test_too_many_connections_are_refused_and_forgotten(served: RunningGateway) -> None:
    held: list[ssl.SSLSocket] = []
    try:
        for _ in range(70):
            with contextlib.suppress(OSError):
                held.append(_connect(served))
        assert 10 < sum(_is_served(connection) for connection in held) <= 50
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            assert served.request("GET", "/livez")[0] == 200
            return
        time.sleep(0.2)
    pytest.fail("the gateway does not answer any more")


def test_too_many_connections_without_tls_are_refused(served: RunningGateway) -> None:
    """Of each the state of TLS is a third of a megabyte."""
    held = [socket.create_connection(("127.0.0.1", served.gateway.port), 10) for _ in range(70)]
    try:
        time.sleep(0.5)
        assert 15 <= sum(_is_cut_off(connection, 0.01) for connection in held) <= 25
    finally:
        for connection in held:
            connection.close()
    time.sleep(1)  # what was not agreed upon in time is forgotten
    assert served.request("GET", "/livez")[0] == 200


def test_what_is_asked_for_in_vain_fills_no_metrics(served: RunningGateway) -> None:
    def ask(number: int) -> None:
        for certificate in ("", "admin"):
            assert served.request("GET", f"{PODS}/x/vain{number}", certificate=certificate)[0] in (401, 404)

    ask(0)
    before = served.request("GET", "/metrics")[2]
    for number in range(1, 4):
        ask(number)
    after = served.request("GET", "/metrics")[2]
    assert b"vain" not in after and after.count(b"\n") - before.count(b"\n") < 60  # those of /metrics itself


@pytest.mark.parametrize(
    "spec",
    [
        {"resourceAttributes": [1]},
        {"resourceAttributes": {"fieldSelector": {"requirements": 5}}},
        {"resourceAttributes": {"fieldSelector": {"requirements": [{"key": "a", "operator": "In", "values": 5}]}}},
        {"resourceAttributes": {"labelSelector": {"requirements": [1]}}},
        {"nonResourceAttributes": 5},
        [],
        5,
    ],
)
@pytest.mark.parametrize("resource", ["selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews"])
def test_broken_reviews(served: RunningGateway, resource: str, spec: object) -> None:
    body = json.dumps({"spec": spec}).encode()
    code, _, answer = served.request("POST", f"/apis/authorization.k8s.io/v1/{resource}", body)
    assert (code, json.loads(answer)["reason"]) == (400, "BadRequest")


def test_watchers_that_do_not_read_are_cut_off(served: RunningGateway) -> None:
    with _connect(served) as watching:
        watching.sendall(b"GET %b?watch=true HTTP/1.1\r\nHost: x\r\n\r\n" % MAPS.encode())
        assert b"200 OK" in watching.recv(1024)
        value = "x" * 1_000_000
        for i in range(20):
            body = json.dumps({"metadata": {"name": f"big-{i}"}, "data": {"a": value}}).encode()
            assert served.request("POST", MAPS, body)[0] == 201
        deadline = time.monotonic() + 15
        while served.gateway.app.backend.fanout.feed_count and time.monotonic() < deadline:
            time.sleep(0.1)
        assert served.gateway.app.backend.fanout.feed_count == 0
    served.request("DELETE", MAPS)


def test_watchers_that_hang_up_are_forgotten(served: RunningGateway) -> None:
    connections = [_connect(served) for _ in range(10)]
    for connection in connections:
        connection.sendall(b"GET %b?watch=true&resourceVersion=1 HTTP/1.1\r\nHost: x\r\n\r\n" % PODS.encode())
    time.sleep(0.5)
    assert served.gateway.app.backend.fanout.feed_count == 1
    for connection in connections[:5]:
        connection.close()
    for connection in connections[5:]:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    deadline = time.monotonic() + 10
    while served.gateway.app.backend.fanout.feed_count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert served.gateway.app.backend.fanout.feed_count == 0


def test_pipelined_requests_are_answered_in_order(served: RunningGateway) -> None:
    with _connect(served) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        seen = b""
        connection.settimeout(10)
        while seen.count(b"HTTP/1.1 200 OK") < 5:
            chunk = connection.recv(65536)
            assert chunk
            seen += chunk


def test_expect_continue(served: RunningGateway) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", served.gateway.port, context=served.ssl_context())
    connection.putrequest("POST", MAPS)
    body = b'{"metadata":{"name":"expected"}}'
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(body)
    assert connection.getresponse().status == 201
    connection.close()


def test_home_is_untouched_by_all_this(served: RunningGateway) -> None:
    names = {path.name for path in Path(served.home).iterdir()}
    assert names <= {"pki", "kubeconfig", ".kube"}
