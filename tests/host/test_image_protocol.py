"""Pulls against a registry that asks for tokens, redirects, breaks off and lies."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from image_server import ImageServer, serve
from registry_fixture import digest_of, make_layer

from actors.plugins.errors import PluginError
from actors.plugins.image.config import ImagesConfig, RegistryConfig
from actors.plugins.image.port import Auth, Image
from actors.plugins.image.store import ImageStore

pytestmark = pytest.mark.root

NOISE = bytes(range(256)) * 4000


def make_store(root: Path, **config: object) -> ImageStore:
    return ImageStore(root / "images", ImagesConfig(**{"backoff_first_ms": 20, **config}), lambda: 1)  # type: ignore[arg-type]


async def refused(store: ImageStore, reference: str, auth: Auth | None = None) -> PluginError:
    with pytest.raises(PluginError) as caught:
        await store.pull_image(reference, auth)
    assert nothing_left(store)
    return caught.value


def nothing_left(store: ImageStore) -> bool:
    """No layer and no work in progress of a pull that failed."""
    root = store._disk.root
    return not [*(root / "layers").iterdir()] and not [p for p in root.glob("tmp/*/*") if p.name != "lock"]


async def read(store: ImageStore, image: Image, path: str) -> bytes:
    for layer in (await store.rootfs(image.id, "test")).layers:
        if (Path(layer) / path).exists():
            return (Path(layer) / path).read_bytes()
    raise FileNotFoundError(path)


@pytest.fixture
async def server() -> AsyncIterator[ImageServer]:
    async with serve() as server:
        yield server


class TestTokens:
    async def test_a_user_and_password_buy_one_token_for_all_layers(self, server: ImageServer, tmp_path: Path) -> None:
        server.user = ("ann", "secret")
        reference = server.add("train", "1", [{f"f{n}": b"x"} for n in range(5)])
        await make_store(tmp_path).pull_image(reference, Auth("ann", "secret"))
        assert server.tokens_issued == 1

    async def test_the_configuration_has_credentials_too(self, server: ImageServer, tmp_path: Path) -> None:
        server.user = ("ann", "secret")
        (tmp_path / "password").write_text("secret\n")
        settings = RegistryConfig(username="ann", password_file=str(tmp_path / "password"))
        store = make_store(tmp_path, registries={server.host_port: settings})
        await store.pull_image(server.add("train", "1", [{"f": b"x"}]))

    async def test_an_identity_token_is_exchanged(self, server: ImageServer, tmp_path: Path) -> None:
        server.refresh_token = "identity"
        await make_store(tmp_path).pull_image(server.add("train", "1", [{"f": b"x"}]), Auth(identity_token="identity"))

    @pytest.mark.parametrize("auth", [None, Auth("ann", "wrong")])
    async def test_without_the_right_ones_it_says_where_to_give_them(
        self, server: ImageServer, tmp_path: Path, auth: Auth | None
    ) -> None:
        server.user = ("ann", "secret")
        error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": b"x"}]), auth)
        assert (error.reason, error.retryable) == ("ErrImagePull", False)
        assert "credentials" in error.message or "imagePullSecrets" in error.message

    async def test_credentials_in_the_realm_itself_are_not_used(self, server: ImageServer, tmp_path: Path) -> None:
        server.user, server.realm = ("ann", "secret"), f"http://bob:other@{server.host_port}/token"
        reference = server.add("train", "1", [{"f": b"x"}])
        await make_store(tmp_path).pull_image(reference, Auth("ann", "secret"))

    @pytest.mark.parametrize("realm", ["", "/token", "http://192.0.2.1/token", "file:///etc/passwd", "http://[", "::"])
    async def test_a_realm_that_is_no_place_for_credentials(
        self, server: ImageServer, tmp_path: Path, realm: str
    ) -> None:
        server.user, server.realm = ("ann", "secret"), realm
        error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": b"x"}]), Auth("ann", "secret"))
        assert not error.retryable

    async def test_a_missing_password_file_is_named(self, server: ImageServer, tmp_path: Path) -> None:
        server.user = ("ann", "secret")
        settings = RegistryConfig(username="ann", password_file="/nowhere/password")
        store = make_store(tmp_path, registries={server.host_port: settings})
        error = await refused(store, server.add("train", "1", [{"f": b"x"}]))
        assert "/nowhere/password" in error.message


class TestRedirects:
    async def test_another_host_gets_the_request_without_the_authorization(
        self, server: ImageServer, tmp_path: Path
    ) -> None:
        async with serve() as storage:
            server.user = ("ann", "secret")
            reference = server.add("train", "1", [{"f": NOISE}])
            storage.blobs, server.redirect_blobs_to = server.blobs, f"http://{storage.host_port}"
            image = await make_store(tmp_path).pull_image(reference, Auth("ann", "secret"))
            assert image.size_bytes == len(NOISE)
            assert len(storage.requests) == 2
            assert all("Authorization" not in headers for _, _, headers in storage.requests)

    async def test_a_circle_ends(self, server: ImageServer, tmp_path: Path) -> None:
        reference = server.add("train", "1", [{"f": b"x"}])
        server.redirect_blobs_to = f"http://{server.host_port}"
        assert "redirects" in (await refused(make_store(tmp_path), reference)).message

    @pytest.mark.parametrize("target", ["http://192.0.2.1", "file:///etc/passwd", "ftp://192.0.2.1"])
    async def test_plain_http_to_elsewhere_and_other_schemes(
        self, server: ImageServer, tmp_path: Path, target: str
    ) -> None:
        reference = server.add("train", "1", [{"f": b"x"}])
        server.redirect_blobs_to = target
        error = await refused(make_store(tmp_path), reference)
        assert (not error.retryable and "192.0.2.1" in error.message) or "file:" in error.message


class TestBrokenConnections:
    @pytest.mark.parametrize("ignore_ranges", [False, True])
    async def test_a_blob_goes_on_where_it_broke(
        self, server: ImageServer, tmp_path: Path, ignore_ranges: bool
    ) -> None:
        tar = make_layer({"f": NOISE * 8})
        server.break_after_bytes, server.ignore_ranges = [10**9, 1, 10_000, 20_000, 10_000], ignore_ranges
        store = make_store(tmp_path)
        image = await store.pull_image(server.add("train", "1", [tar]))
        assert await read(store, image, "f") == NOISE * 8
        blobs = [headers.get("Range") for _, path, headers in server.requests if "/blobs/" in path]
        assert len(blobs) == 6 and len([wanted for wanted in blobs if wanted]) == 4

    async def test_it_gives_up_when_nothing_comes_any_more(self, server: ImageServer, tmp_path: Path) -> None:
        server.break_after_bytes = [10**9, 1000, *[0] * 50]
        error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": NOISE}]))
        assert (error.reason, error.retryable) == ("RegistryUnavailable", True)

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_a_busy_registry_is_asked_again(self, server: ImageServer, tmp_path: Path, status: int) -> None:
        reference = server.add("train", "1", [{"f": b"x"}])
        server.statuses = [status, 200, status, status, 200]
        await make_store(tmp_path).pull_image(reference)

    async def test_a_registry_that_is_not_there(self, tmp_path: Path) -> None:
        error = await refused(make_store(tmp_path), "127.0.0.1:1/train:1")
        assert (error.reason, error.retryable) == ("RegistryUnavailable", True)
        assert "127.0.0.1:1" in error.message

    async def test_a_registry_that_stalls(self, tmp_path: Path) -> None:
        async def stall(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        listener = await asyncio.start_server(stall, "127.0.0.1", 0)
        try:
            port = listener.sockets[0].getsockname()[1]
            error = await refused(make_store(tmp_path, stall_timeout_ms=100), f"127.0.0.1:{port}/train:1")
            assert (error.reason, error.message) == ("RegistryUnavailable", f"127.0.0.1:{port} does not answer")
        finally:
            listener.close()


class TestLies:
    async def test_a_blob_with_another_digest_names_both(self, server: ImageServer, tmp_path: Path) -> None:
        wrong = "sha256:" + "1" * 64
        tar = make_layer({"f": NOISE})
        error = await refused(make_store(tmp_path), server.add("train", "1", [tar], digests=[wrong]))
        assert wrong in error.message and digest_of(gzip.compress(tar, 1)) in error.message
        assert not error.retryable

    async def test_a_layer_that_unpacks_to_something_else_names_both(self, server: ImageServer, tmp_path: Path) -> None:
        wrong = "sha256:" + "1" * 64
        tar = make_layer({"f": NOISE})
        error = await refused(make_store(tmp_path), server.add("train", "1", [tar], diff_ids=[wrong]))
        assert wrong in error.message and digest_of(tar) in error.message

    @pytest.mark.parametrize("size", [1, 10**6])
    async def test_a_blob_of_another_size(self, server: ImageServer, tmp_path: Path, size: int) -> None:
        error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": b"x"}], size=size))
        assert not error.retryable and str(size) in error.message

    async def test_a_manifest_with_another_digest(self, server: ImageServer, tmp_path: Path) -> None:
        server.add("train", "1", [{"f": b"x"}])
        wrong = "sha256:" + "1" * 64
        server.manifests[f"train/{wrong}"] = server.manifests["train/1"]
        error = await refused(make_store(tmp_path), f"{server.host_port}/train@{wrong}")
        assert wrong in error.message and not error.retryable

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            (b"", "has no"),
            (b"<html>", "malformed"),
            (b"[]", "malformed"),
            (b"[" * 100_000, "malformed"),
            (b'{"schemaVersion":2,"config":{"digest":"sha256:../../etc","size":1},"layers":[]}', "digest"),
            (b'{"schemaVersion":2,"config":{"digest":"sha256:%s","size":-1},"layers":[]}' % (b"0" * 64), "negative"),
            (b'{"schemaVersion":1,"fsLayers":[]}', "schema 1"),
            (b'{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}', "at once"),
            (b'{"schemaVersion":2,"manifests":[]}', "no variant"),
            (b" " * (5 << 20), "larger"),
        ],
        ids=lambda value: value[:40] if isinstance(value, str) else "",
    )
    async def test_documents(self, server: ImageServer, tmp_path: Path, document: bytes, says: str) -> None:
        server.add_document("train", "1", document)
        error = await refused(make_store(tmp_path), f"{server.host_port}/train:1")
        assert says in error.message and not error.retryable

    async def test_an_index_that_names_itself_ends(self, server: ImageServer, tmp_path: Path) -> None:
        inner: object = {"digest": "sha256:" + "0" * 64, "size": 1}
        for depth in range(6):
            body = {"schemaVersion": 2, "manifests": [inner]}
            server.add_document("train", str(depth), body)
            document = server.manifests[f"train/{depth}"][0]
            inner = {"digest": digest_of(document), "size": len(document)}
        assert "nested" in (await refused(make_store(tmp_path), f"{server.host_port}/train:5")).message

    async def test_more_layers_than_allowed(self, server: ImageServer, tmp_path: Path) -> None:
        reference = server.add("train", "1", [{f"f{n}": b"x"} for n in range(5)])
        assert "5 layers" in (await refused(make_store(tmp_path, layers_max=4), reference)).message

    async def test_an_image_for_another_machine(self, server: ImageServer, tmp_path: Path) -> None:
        error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": b"x"}], architecture="s390x"))
        assert "linux/s390x" in error.message

    @pytest.mark.parametrize(
        ("limits", "says"), [({"layer_bytes_max": 50_000}, "50000 bytes"), ({"layer_entries_max": 3}, "3 entries")]
    )
    async def test_bombs(self, server: ImageServer, tmp_path: Path, limits: dict[str, int], says: str) -> None:
        reference = server.add("train", "1", [{"a": bytes(100_000), "b": b"", "c": b"", "d": b""}])
        error = await refused(make_store(tmp_path, **limits), reference)
        assert says in error.message and not error.retryable


class TestTls:
    async def test_a_ca_of_ones_own(self, tmp_path: Path) -> None:
        context = _make_certificate(tmp_path)
        async with serve(context) as server:
            reference = server.add("train", "1", [{"f": b"x"}])
            settings = RegistryConfig(ca_file=str(tmp_path / "cert.pem"))
            await make_store(tmp_path, registries={server.host_port: settings}).pull_image(reference)

    async def test_an_unknown_ca_says_where_to_name_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        context = _make_certificate(tmp_path)
        monkeypatch.setattr("actors.plugins.image.transport.is_loopback", lambda _host: False)
        async with serve(context) as server:
            error = await refused(make_store(tmp_path), server.add("train", "1", [{"f": b"x"}]))
        assert "ca_file" in error.message and not error.retryable

    async def test_plain_http_elsewhere_says_what_allows_it(
        self, server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("actors.plugins.image.transport.is_loopback", lambda _host: False)
        reference = server.add("train", "1", [{"f": b"x"}])
        error = await refused(make_store(tmp_path), reference)
        assert f"images.registries.'{server.host_port}'.insecure_http: true" in error.message
        assert not error.retryable
        settings = RegistryConfig(insecure_http=True)
        await make_store(tmp_path / "2", registries={server.host_port: settings}).pull_image(reference)


def _make_certificate(tmp: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    (tmp / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp / "cert.pem", tmp / "key.pem")
    return context
