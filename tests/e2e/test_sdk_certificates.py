"""A kubeconfig whose client certificate the server does not take: told at once, and told from a server that restarts."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from gateway_server import RunningGateway, served

from actors.gateway.pki import pki_at
from raypod.api import ApiClient
from raypod.errors import ClusterUnreachable
from raypod.kubeconfig import Endpoint, read_endpoint

__all__ = ["served"]

REFUSED = "refuses this kubeconfig's client certificate: .* `raypod kubeconfig` prints the path of the current one"


@pytest.fixture(scope="module")
def stranger(served: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    """Of `served`, but with a certificate of another cluster."""
    other = RunningGateway(tmp_path_factory.mktemp("other"))
    theirs = read_endpoint(other.gateway.kubeconfig)
    other.stop()
    ours = read_endpoint(served.gateway.kubeconfig)
    return msgspec.structs.replace(ours, certificate=theirs.certificate, key=theirs.key)


async def _version(endpoint: Endpoint) -> object:
    api = ApiClient(endpoint)
    try:
        return await api.get("/version")
    finally:
        await api.close()


async def _first_line(endpoint: Endpoint) -> bytes:
    api = ApiClient(endpoint)
    try:
        return await anext(api.lines("/version"))
    finally:
        await api.close()


@pytest.mark.parametrize("ask", [_version, _first_line])
def test_the_gateway_closes_the_connection(stranger: Endpoint, ask) -> None:
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable, match=REFUSED):
        asyncio.run(ask(stranger))
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_server_that_sends_an_alert(served: RunningGateway, stranger: Endpoint, version: ssl.TLSVersion) -> None:
    """In TLS 1.3 it comes when the client believes the handshake to be over; nobody is served without a certificate."""
    context = _server_context(served.home)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    with _listener() as listener:
        threading.Thread(target=_refuse_all, args=(listener, context), daemon=True).start()
        endpoint = msgspec.structs.replace(stranger, server=f"https://127.0.0.1:{listener.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ClusterUnreachable, match=REFUSED):
            asyncio.run(_version(endpoint))
        assert time.monotonic() - began < 1


def test_a_server_that_restarts_is_waited_for(served: RunningGateway) -> None:
    """For 1.5 s whoever connects is hung up upon; then it answers, also with connections that were made before."""
    port, opens_at = int(served.gateway.url.rpartition(":")[2]), time.monotonic() + 1.5
    with _listener() as listener:
        threading.Thread(target=_forward_from, args=(listener, port, opens_at), daemon=True).start()
        ours = read_endpoint(served.gateway.kubeconfig)
        endpoint = msgspec.structs.replace(ours, server=f"https://127.0.0.1:{listener.getsockname()[1]}")
        assert "gitVersion" in str(asyncio.run(_version(endpoint)))
        assert time.monotonic() > opens_at


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def _server_context(home: Path) -> ssl.SSLContext:
    certificates = pki_at(home)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.load_verify_locations(certificates.ca.certificate)
    return context


def _refuse_all(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            connection = listener.accept()[0]
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1)


def _forward_from(listener: socket.socket, port: int, opens_at: float) -> None:
    with suppress(OSError):
        while True:
            connection = listener.accept()[0]
            if time.monotonic() < opens_at:
                connection.close()
                continue
            target = socket.create_connection(("127.0.0.1", port))
            for source, sink in ((connection, target), (target, connection)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
