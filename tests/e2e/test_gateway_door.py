"""Who gets in, over real TLS: certificates, their lack, and those of another cluster; kubeconfigs, restarts, the port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography.x509.oid import ExtendedKeyUsageOID
from gateway_server import RunningGateway, served

from actors.gateway import pki
from actors.gateway.config import GatewayConfig
from actors.gateway.fake import FakeCluster, FakeNodes
from actors.gateway.server import Gateway, GatewayError
from actors.store.local import LocalStore

__all__ = ["served"]


def _issue(served: RunningGateway, name: str, group: str) -> str:
    folder = served.home / "pki"
    pair = pki.Pair(folder / f"{name}.crt", folder / f"{name}.key")
    authority = pki._Authority(pki.pki_at(served.home).ca, datetime.now(UTC))
    authority.issue(pair, name, group, (), ExtendedKeyUsageOID.CLIENT_AUTH)
    return name


def test_without_a_certificate_only_version_and_health_are_open(served: RunningGateway) -> None:
    for path in ("/version", "/healthz", "/livez", "/readyz", "/readyz/etcd"):
        assert served.request("GET", path, certificate="")[0] == 200, path
    for path in ("/api", "/apis", "/api/v1/pods", "/openapi/v3", "/", "/raypod/v1/status", "/nowhere"):
        code, _, body = served.request("GET", path, certificate="")
        assert (code, json.loads(body)["message"], json.loads(body)["reason"]) == (401, "Unauthorized", "Unauthorized")


def test_somebody_who_is_not_master_is_forbidden_in_kubernetes_words(served: RunningGateway) -> None:
    name = _issue(served, "nobody", "")
    code, _, body = served.request("GET", "/api/v1/namespaces/default/configmaps", certificate=name)
    told = 'configmaps is forbidden: User "nobody" cannot list resource "configmaps" in API group "" in the namespace "default"'
    assert (code, json.loads(body)["message"]) == (403, told)
    assert json.loads(body)["details"] == {"kind": "configmaps"}
    code, _, body = served.request("DELETE", "/apis/apps/v1/namespaces/x/deployments/y", b"", certificate=name)
    told = (
        'deployments.apps "y" is forbidden: User "nobody" cannot delete resource "deployments" '
        'in API group "apps" in the namespace "x"'
    )
    assert (code, json.loads(body)["message"]) == (403, told)
    assert served.request("GET", "/api", certificate=name)[0] == 200
    review = b'{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}'
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    code, _, body = served.request("POST", path, review, certificate=name)
    assert (code, json.loads(body)["status"]) == (201, {"allowed": False})


def test_certificates_of_another_cluster_fail_in_tls(served: RunningGateway, tmp_path: Path) -> None:
    other = pki.ensure(tmp_path, ("127.0.0.1",), datetime.now(UTC))
    context = ssl.create_default_context(cafile=str(other.ca.certificate))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        with socket.create_connection(("127.0.0.1", served.gateway.port), 10) as raw:
            context.wrap_socket(raw, server_hostname="127.0.0.1")
    context = served.ssl_context(certificate="")
    context.load_cert_chain(other.admin.certificate, other.admin.key)
    assert _ask_version(served, context) == b""


def _ask_version(served: RunningGateway, context: ssl.SSLContext) -> bytes:
    """Under TLS 1.3 a refused certificate shows at the first read: as an alert, or as the end."""
    with contextlib.suppress(ssl.SSLError), socket.create_connection(("127.0.0.1", served.gateway.port), 10) as raw:
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            return wrapped.recv(100)
    return b""


def test_kubectl_names_the_problem_with_a_kubeconfig_of_another_cluster(served: RunningGateway, tmp_path: Path) -> None:
    other = RunningGateway(tmp_path)
    try:
        mine = yaml.safe_load(served.gateway.kubeconfig.read_text())
        theirs = yaml.safe_load(other.gateway.kubeconfig.read_text())
        assert mine["current-context"] != theirs["current-context"]
        theirs["clusters"][0]["cluster"]["server"] = served.gateway.url
        mixed = tmp_path / "mixed"
        mixed.write_text(yaml.safe_dump(theirs))
        refused = served.kubectl("get", "pods", "--kubeconfig", str(mixed), fails=True).err
    finally:
        other.stop()
    assert "certificate signed by unknown authority" in refused


def test_kubeconfig_is_private_and_complete(served: RunningGateway) -> None:
    path = served.gateway.kubeconfig
    assert path.stat().st_mode & 0o777 == 0o600
    assert (served.home / "pki").stat().st_mode & 0o777 == 0o700
    assert (served.home / "pki/ca.key").stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(path.read_text())
    assert content["contexts"][0]["context"]["namespace"] == "default"
    assert "certificate-authority-data" in content["clusters"][0]["cluster"]


async def test_a_restart_keeps_certificates_and_kubeconfig(tmp_path: Path) -> None:
    config = GatewayConfig(host="127.0.0.1", port=0, home=str(tmp_path))
    first = Gateway(config, LocalStore(), FakeNodes(), FakeCluster())
    await first.start()
    before = {path: path.read_bytes() for path in (tmp_path / "pki").rglob("*") if path.is_file()}
    same = GatewayConfig(host="127.0.0.1", port=first.port, home=str(tmp_path))
    written = first.kubeconfig.read_bytes()
    await first.stop()
    second = Gateway(same, LocalStore(), FakeNodes(), FakeCluster())
    await second.start()
    after = {path: path.read_bytes() for path in (tmp_path / "pki").rglob("*") if path.is_file()}
    await second.stop()
    assert (before, written) == (after, second.kubeconfig.read_bytes())


async def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = GatewayConfig(host="127.0.0.1", port=port, home=str(tmp_path))
        told = f"port {port} is taken by another program: stop it, or set gateway.port"
        with pytest.raises(GatewayError, match=told):
            await Gateway(config, LocalStore(), FakeNodes(), FakeCluster()).start()


async def test_a_broken_ca_says_what_to_do(tmp_path: Path) -> None:
    pki.ensure(tmp_path, (), datetime.now(UTC))
    (tmp_path / "pki/ca.key").write_text("garbage")
    config = GatewayConfig(host="127.0.0.1", port=0, home=str(tmp_path))
    with pytest.raises(pki.PkiError, match="is not a readable private key: restore it, or move"):
        await Gateway(config, LocalStore(), FakeNodes(), FakeCluster()).start()
    shutil.rmtree(tmp_path / "pki")


async def test_stop_ends_open_watches(tmp_path: Path) -> None:
    config = GatewayConfig(host="127.0.0.1", port=0, home=str(tmp_path))
    gateway = Gateway(config, LocalStore(), FakeNodes(), FakeCluster())
    await gateway.start()
    context = ssl.create_default_context(cafile=str(tmp_path / "pki/ca.crt"))
    context.load_cert_chain(tmp_path / "pki/admin.crt", tmp_path / "pki/admin.key")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)
    writer.write(b"GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    async with asyncio.timeout(10):
        await gateway.stop()
    writer.close()
