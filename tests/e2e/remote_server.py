"""HTTPS servers as users run them beside a cluster: a CA of their own, and a handler that answers each request.

`reviewing` makes a handler of admission webhooks, `Authority` issues the certificates; wrong ones too.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Reply = tuple[int, bytes]
Handler = Callable[[str, str, dict[str, str], bytes], Reply]
_DAY = timedelta(days=1)


def own_address() -> str:
    """One of this machine's that is no loopback address: endpoints of Services may not have those."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback one")
        return str(probe.getsockname()[0])


class Authority:
    """A CA; `bundle` is what goes into a caBundle."""

    def __init__(self, folder: Path, name: str = "webhook-ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._key).issuer_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def bundle(self) -> str:
        return base64.b64encode(self.pem).decode()

    def issue(self, *names: str) -> Path:
        """A file with the certificate and key of a server of these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
        sans = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = _builder(subject, key).issuer_name(self._name).add_extension(sans, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path = self._folder / f"{names[0]}-{certificate.serial_number}.pem"
        form = serialization.PrivateFormat.PKCS8
        text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + text)
        return path


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(now - _DAY).not_valid_after(now + _DAY)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class RemoteServer:
    """Listens on a loopback port until `stop`. `requests` holds what came: method, path, headers, body."""

    def __init__(self, certificate: Path, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._server = ThreadingHTTPServer(("0.0.0.0", 0), _handler_class(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.context = context
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def reviews(self) -> list[dict[str, Any]]:
        """The bodies that came, as JSON."""
        return [json.loads(body) for *_, body in self.requests]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler_class(server: RemoteServer) -> type[BaseHTTPRequestHandler]:
    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append((self.command, self.path, headers, body))
            code, answer = server.handler(self.command, self.path, headers, body)
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *args: object) -> None: ...

    return _Handler


@contextmanager
def serving(certificate: Path, handler: Handler) -> Iterator[RemoteServer]:
    server = RemoteServer(certificate, handler)
    try:
        yield server
    finally:
        server.stop()


def reviewing(decide: Callable[[dict[str, Any]], dict[str, Any]]) -> Handler:
    """Of a function from an AdmissionRequest to the fields of its response (`allowed` is true where it is left out)."""

    def handle(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        review = json.loads(body)
        response = {"uid": review["request"]["uid"], "allowed": True, **decide(review["request"])}
        return 200, json.dumps(
            {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
        ).encode()

    return handle


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"patch": base64.b64encode(json.dumps(operations).encode()).decode(), "patchType": "JSONPatch"}


def webhook(
    name: str, client: dict[str, Any], resources: tuple[str, ...] = ("configmaps",), **fields: Any
) -> dict[str, Any]:
    """Asked about creations and changes of `resources`, of every group."""
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": list(resources)}
    hook = {"name": name, "clientConfig": client, "rules": [rule], "sideEffects": "None"}
    return {**hook, "admissionReviewVersions": ["v1"], **fields}


def configuration(kind: str, name: str, *webhooks: dict[str, Any]) -> dict[str, Any]:
    """`kind`: Mutating or Validating."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }
