"""Every way in which an admission webhook can fail: refused where it fails closed, passed where it fails open."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_server import RunningGateway, served
from remote_server import (
    Authority,
    patch,
    reviewing,
    serving,
    webhook,
)
from webhook_support import MAPS, authority, clean, config_map, install, post, url_client

__all__ = ["authority", "clean", "served"]
pytestmark = pytest.mark.usefixtures("clean")


def failing(served: RunningGateway, client: dict[str, Any], why: str, **fields: Any) -> None:
    """Refused with `why` where it fails closed, passed where it fails open."""
    install(served, "Validating", webhook("broken.example.com", client, **fields), name="closed")
    code, _, status = post(served, MAPS, config_map("failing"))
    prefix = 'Internal error occurred: failed calling webhook "broken.example.com": '
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"].startswith(prefix)
    assert why in status["message"]
    assert status["details"]["causes"][0]["message"] in status["message"]
    served.kubectl("delete", "validatingwebhookconfiguration", "closed")
    install(
        served, "Validating", webhook("broken.example.com", client, failurePolicy="Ignore", **fields), name="opened"
    )
    assert post(served, MAPS, config_map(f"open-{time.monotonic_ns()}"))[0] == 201


def test_nobody_listens(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        client = url_client(server, authority)
    failing(served, client, f"dial tcp 127.0.0.1:{server.port}: connect: connection refused")


def test_a_certificate_of_another_authority(served: RunningGateway, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "somebody-else")
    with serving(other.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        failing(served, url_client(server, authority), "x509: certificate signed by unknown authority")
        assert server.requests == []


def test_a_certificate_for_another_name(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("10.9.8.7"), reviewing(lambda request: {})) as server:
        failing(served, url_client(server, authority), "x509: certificate is not valid for")


def test_a_server_that_hangs(served: RunningGateway, authority: Authority) -> None:
    def hang(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        time.sleep(3)
        return 200, b""

    with serving(authority.issue("127.0.0.1"), hang) as server:
        started = time.monotonic()
        failing(served, url_client(server, authority), "context deadline exceeded", timeoutSeconds=1)
        assert time.monotonic() - started < 3.5
        assert server.requests[0][1] == "/?timeout=1s"


def test_an_answer_without_end(served: RunningGateway, authority: Authority) -> None:
    def flood(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return 200, b"[" * (17 * 1024 * 1024)

    with serving(authority.issue("127.0.0.1"), flood) as server:
        failing(served, url_client(server, authority), "the answer is larger than 16777216 bytes")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"{", "received invalid webhook response: couldn't get version/kind; json parse error"),
        (b"[" * 5000, "received invalid webhook response: "),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', "webhook response was absent"),
        (
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}',
            "expected response.uid=",
        ),
    ],
)
def test_answers_that_are_none(served: RunningGateway, authority: Authority, answer: bytes, why: str) -> None:
    with serving(authority.issue("127.0.0.1"), lambda *request: (200, answer)) as server:
        failing(served, url_client(server, authority), why)


def test_an_answer_of_another_kind(served: RunningGateway, authority: Authority) -> None:
    def other(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        uid = json.loads(body)["request"]["uid"]
        return 200, json.dumps({"response": {"uid": uid, "allowed": True}}).encode()

    with serving(authority.issue("127.0.0.1"), other) as server:
        why = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind="
        failing(served, url_client(server, authority), why)


def test_a_server_that_fails(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), lambda *request: (500, b"oops")) as server:
        why = 'an error on the server ("oops") has prevented the request from succeeding'
        failing(served, url_client(server, authority), why)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (patch({"op": "remove", "path": "/nothing/here"}), "Internal error occurred: "),
        ({"patch": "!!", "patchType": "JSONPatch"}, "received undecodable patch in webhook response"),
        ({"patch": "e30=", "patchType": "JSONPatch"}, "received undecodable patch in webhook response"),
        ({"patch": "W10=", "patchType": "Merge"}, 'unsupported patch type "Merge"'),
        ({"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
    ],
)
def test_bad_patches(served: RunningGateway, authority: Authority, said: dict[str, Any], why: str) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: said)) as server:
        install(served, "Mutating", webhook("patch.example.com", url_client(server, authority)))
        code, _, status = post(served, MAPS, config_map("badly"))
        assert (code, status["reason"]) == (500, "InternalError")
        assert why in status["message"]


def test_a_patch_that_makes_an_invalid_object(served: RunningGateway, authority: Authority) -> None:
    spoil = patch({"op": "add", "path": "/metadata/labels", "value": {"not a label": "x"}})
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: spoil)) as server:
        install(served, "Mutating", webhook("patch.example.com", url_client(server, authority)))
        code, _, status = post(served, MAPS, config_map("spoilt"))
        assert (code, status["reason"]) == (422, "Invalid")
        assert "metadata.labels" in status["message"]
