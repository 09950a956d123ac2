"""Anything at all as credentials: bearer tokens, tokens cut and spliced, certificate requests, client certificates.

Whoever is not known is 401, never a user, never a 5xx.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_server import RunningGateway
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line import Line

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
NODES = "/api/v1/nodes"
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


@pytest.fixture(scope="module")
def stranger(served: RunningGateway) -> Line:
    """Without a certificate."""
    return Line(served, certificate="")


@pytest.fixture(scope="module")
def token(served: RunningGateway) -> str:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    body = json.dumps({"spec": {"expirationSeconds": 3600}}).encode()
    return str(json.loads(served.request("POST", path, body)[2])["status"]["token"])


def _as(stranger: Line, authorization: str) -> int:
    return stranger.ask("GET", NODES, headers={"Authorization": authorization})


@FUZZ
@given(scheme=st.sampled_from(["Bearer ", "bearer ", "Basic ", "Negotiate ", "", "Bearer"]), text=HEADER)
def test_tokens_of_anything(stranger: Line, scheme: str, text: str) -> None:
    assert _as(stranger, scheme + text) == 401


@FUZZ
@given(header=st.sampled_from(["Impersonate-User", "Impersonate-Group", "Impersonate-Uid"]), text=HEADER)
def test_anybody_to_impersonate(line: Line, header: str, text: str) -> None:
    named = {} if header == "Impersonate-User" else {"Impersonate-User": "someone"}
    assert line.ask("GET", NODES, headers={**named, header: text}) in (200, 400, 403)


def test_the_token_that_is_spoilt_below_is_good(stranger: Line, token: str) -> None:
    assert _as(stranger, f"Bearer {token}") == 403, "who it is is known, what it may is another question"


@FUZZ
@given(at=st.integers(0, 2), position=st.integers(0), with_=st.sampled_from(["", "A", "=", ".", "é", " ", "%", "AA"]))
def test_spoilt_tokens(stranger: Line, token: str, at: int, position: int, with_: str) -> None:
    """One character of a part of a token is cut out or replaced."""
    parts = token.split(".")
    cut = position % len(parts[at])
    spoilt = parts[at][:cut] + with_ + parts[at][cut + 1 :]
    parts[at] = spoilt
    same = _bytes(spoilt) is not None and _bytes(spoilt) == _bytes(token.split(".")[at])
    code = _as(stranger, "Bearer " + ".".join(parts))
    assert code == 401 or same, "the signature covers every bit"


def _bytes(part: str) -> bytes | None:
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return None


@FUZZ
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "jku", "x5c", "crit"]), st.text(max_size=8) | st.none()
    ),
    claims=st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "kubernetes.io"]),
        st.text(max_size=8) | st.integers() | st.floats() | st.none() | st.lists(st.integers(), max_size=2),
    ),
    signature=st.binary(max_size=70),
)
def test_made_up_tokens(
    stranger: Line, token: str, header: dict[str, object], claims: object, signature: bytes
) -> None:
    """Also with the right key's name and no algorithm."""
    known = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    for made in (header, {**known, "alg": "none"}, {**known, "alg": "HS256"}, {**known, **header}):
        parts = [json.dumps(made).encode(), json.dumps(claims).encode(), signature]
        text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        assert _as(stranger, f"Bearer {text}") == 401


@FUZZ
@given(
    head=st.sampled_from(["-----BEGIN CERTIFICATE REQUEST-----\n", "-----BEGIN CERTIFICATE-----\n", ""]),
    middle=st.binary(max_size=80),
    tail=st.sampled_from(["\n-----END CERTIFICATE REQUEST-----\n", "", "\n-----END CERTIFICATE-----"]),
    raw=st.booleans(),
)
def test_certificate_requests_of_anything(line: Line, head: str, middle: bytes, tail: str, raw: bool) -> None:
    text = head.encode() + (middle if raw else base64.b64encode(middle)) + tail.encode()
    spec = {
        "request": base64.b64encode(text).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    body = json.dumps({"metadata": {"generateName": "fuzz-"}, "spec": spec}).encode()
    assert line.ask("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", body) == 422


@pytest.fixture(scope="module")
def line(served: RunningGateway) -> Line:
    return Line(served)


def _certificate(folder: Path, subject: str, issuer: str, days: int) -> tuple[Path, Path]:
    """Self-made, whatever its issuer is called."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)

    def name(text: str) -> x509.Name:
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]
        return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = x509.CertificateBuilder(
        issuer_name=name(issuer), subject_name=name(subject), public_key=key.public_key(), serial_number=7,
        not_valid_before=now - timedelta(days=2), not_valid_after=now + timedelta(days=days),
    ).sign(key, hashes.SHA256())  # fmt: skip
    paths = folder / "crt", folder / "key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_encryption = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_encryption))
    return paths


@pytest.mark.parametrize("days", [1, -1])
@pytest.mark.parametrize("issuer", ["admin", "raypod-ca", "someone"])
def test_certificates_of_somebody_else_open_nothing(
    served: RunningGateway, tmp_path: Path, issuer: str, days: int
) -> None:
    """The handshake, or its first use, ends; the gateway goes on."""
    context = served.ssl_context("")
    context.load_cert_chain(*_certificate(tmp_path, "admin", issuer, days))
    heard = b""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        plain = socket.create_connection(("127.0.0.1", served.gateway.port), timeout=10)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = connection.recv(1000)
    assert heard == b"", "not even what anybody may read"
    assert served.request("GET", NODES)[0] == 200
