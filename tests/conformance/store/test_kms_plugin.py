"""The provider kms v2 against a plugin on a real Unix socket: seeds, rotation, a plugin that is away or answers badly."""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.api.key import Key
from actors.reconcile.actions import Create, Patch
from actors.store.backend.port import BackendError
from actors.store.backend.sqlite import SqliteBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.engine import Engine
from actors.store.ids import SeededIds
from actors.store.sealing.backend import SealedBackend, open_sealed
from actors.store.sealing.ciphers import EncryptionError
from actors.store.sealing.configuration import Provider, Sealing
from actors.store.sealing.kms import messages
from actors.store.sealing.kms.client import KmsClient
from actors.store.sealing.kms.envelope import KmsCipher

NOW = 1_700_000_000_000
PREFIX = b"k8s:enc:kms:v2:test:"
NEEDLE = "aHVudGVyMg=="
ABOUT = b"/registry/secrets/default/s"


class Plugin:
    """A key management service: keys by id, of which `current` seals. `answers` are given in place of its own."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"unix://{folder}/kms.sock"
        self.keys = {"key-1": os.urandom(32)}
        self.current = "key-1"
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Any] = {}
        self._server: grpc.Server | None = None

    def start(self) -> None:
        verbs = {"Status": self.status, "Encrypt": self.encrypt, "Decrypt": self.decrypt}
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(name, verb),
                request_deserializer=getattr(messages, f"{name}Request").FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, verb in verbs.items()
        }
        self._server = grpc.server(ThreadPoolExecutor(2))
        service = grpc.method_handlers_generic_handler("v2.KeyManagementService", handlers)
        self._server.add_generic_rpc_handlers((service,))
        assert self._server.add_insecure_port(self.endpoint)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait(5)
            self._server = None

    def _answering(self, name: str, verb: Callable[[Any], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.asked[name] += 1
            assert name == "Status" or request.uid
            try:
                return self.answers.get(name) or verb(request)
            except KeyError as error:
                context.abort(grpc.StatusCode.NOT_FOUND, f"there is no key {error}")

        return answer

    def status(self, request: Any) -> Any:
        return messages.StatusResponse(version="v2", healthz="ok", key_id=self.current)

    def encrypt(self, request: Any) -> Any:
        nonce, current = os.urandom(12), self.current
        text = nonce + AESGCM(self.keys[current]).encrypt(nonce, request.plaintext, None)
        return messages.EncryptResponse(
            ciphertext=text, key_id=current, annotations={"plugin.example.com": b"\x00\xff"}
        )

    def decrypt(self, request: Any) -> Any:
        assert dict(request.annotations) == {"plugin.example.com": b"\x00\xff"}
        text = request.ciphertext
        return messages.DecryptResponse(plaintext=AESGCM(self.keys[request.key_id]).decrypt(text[:12], text[12:], None))


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    with tempfile.TemporaryDirectory(prefix="kms-", dir="/tmp") as folder:
        made = Plugin(Path(folder))
        made.start()
        yield made
        made.stop()


def configure(folder: Path, plugin: Plugin, *others: dict[str, Any], first: bool = True) -> str:
    kms = {"kms": {"apiVersion": "v2", "name": "test", "endpoint": plugin.endpoint, "timeout": "500ms"}}
    rules = [{"resources": ["secrets"], "providers": [kms, *others] if first else [*others, kms]}]
    tree = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": rules}
    (folder / "encryption.yaml").write_text(yaml.safe_dump(tree))
    return str(folder / "encryption.yaml")


def start(folder: Path, encryption: str) -> Engine:
    engine = Engine(open_sealed(folder / "log.db", encryption, ""), SeededIds("s"))
    engine.commit(bootstrap_writes(), NOW)
    return engine


def write(engine: Engine, name: str, value: str = NEEDLE) -> None:
    secret = {"metadata": {"name": name}, "data": {"password": value}}
    (reply,) = engine.commit([Create(resource="secrets", namespace="default", object=secret)], NOW)
    assert reply.error is None, reply.error


def read(engine: Engine, name: str) -> bytes:
    return engine.get(Key("secrets", "default", name)).body


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("log.db*"))


def cipher_of(plugin: Plugin, poll_seconds: float = 60) -> KmsCipher:
    return KmsCipher(KmsClient("test", plugin.endpoint, 0.5), poll_seconds)


def test_nothing_is_readable_and_the_plugin_is_asked_for_seeds_and_not_for_texts(
    tmp_path: Path, plugin: Plugin
) -> None:
    encryption = configure(tmp_path, plugin)
    engine = start(tmp_path, encryption)
    for number in range(20):
        write(engine, f"s{number}")
    assert (plugin.asked["Encrypt"], plugin.asked["Decrypt"]) == (1, 0)
    found = on_disk(tmp_path)
    assert NEEDLE.encode() not in found and PREFIX in found
    engine.backend.close()
    for number in range(2):
        engine = start(tmp_path, encryption)
        assert NEEDLE.encode() in read(engine, "s19")
        write(engine, f"again-{number}")
        engine.backend.close()
    assert (plugin.asked["Encrypt"], plugin.asked["Decrypt"]) == (3, 1 + 2), "each start has a seed of its own"
    assert not [key for key in plugin.keys.values() if key in on_disk(tmp_path)]


def test_another_key_of_the_service_is_taken_up_while_it_runs_and_the_old_one_may_go(
    tmp_path: Path, plugin: Plugin
) -> None:
    sealing = Sealing([(("secrets",), (Provider(PREFIX, cipher_of(plugin, 0.05)),))], "encryption.yaml")
    engine = Engine(SealedBackend(SqliteBackend(str(tmp_path / "log.db")), sealing), SeededIds("s"))
    engine.commit(bootstrap_writes(), NOW)
    write(engine, "before")
    plugin.keys["key-2"], plugin.current = os.urandom(32), "key-2"
    deadline = time.monotonic() + 10
    while plugin.asked["Encrypt"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    write(engine, "after")
    assert b"key-1" in on_disk(tmp_path) and b"key-2" in on_disk(tmp_path)
    engine.backend.close()
    encryption = configure(tmp_path, plugin)
    start(tmp_path, encryption).backend.close()
    assert b"key-1" not in on_disk(tmp_path), "the next start has rewritten what the old key sealed"
    del plugin.keys["key-1"]
    engine = start(tmp_path, encryption)
    assert NEEDLE.encode() in read(engine, "before") and NEEDLE.encode() in read(engine, "after")


def test_a_plugin_that_is_away_is_told_at_the_start_and_holds_up_nothing_later(tmp_path: Path, plugin: Plugin) -> None:
    encryption = configure(tmp_path, plugin)
    plugin.stop()
    with pytest.raises(BackendError, match=r'the KMS plugin "test" at unix://.* cannot be used: Status: '):
        start(tmp_path, encryption)
    plugin.start()
    engine = start(tmp_path, encryption)
    plugin.stop()
    write(engine, "meanwhile")
    (reply,) = engine.commit([Patch(key=Key("secrets", "default", "meanwhile"), patch={"data": {"x": "eA=="}})], NOW)
    assert reply.error is None and NEEDLE.encode() not in on_disk(tmp_path)
    engine.backend.close()
    plugin.start()
    assert b'"x":"eA=="' in read(start(tmp_path, encryption), "meanwhile")


def test_from_a_key_in_the_file_to_the_service_and_back(tmp_path: Path, plugin: Plugin) -> None:
    key = {"aesgcm": {"keys": [{"name": "k", "secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}}
    engine = start(tmp_path, configure(tmp_path, plugin, key, first=False))
    write(engine, "s")
    engine.backend.close()
    assert b"enc:aesgcm:" in on_disk(tmp_path) and not plugin.asked, "who does not seal is not asked"
    for first, gone in ((True, b"enc:aesgcm:"), (False, b"enc:kms:")):
        engine = start(tmp_path, configure(tmp_path, plugin, key, first=first))
        assert NEEDLE.encode() in read(engine, "s")
        engine.backend.close()
        assert gone not in on_disk(tmp_path)


def test_what_is_stored_is_what_kubernetes_stores(plugin: Plugin) -> None:
    """Taken apart by hand: HKDF-Expand of the seed with the first 32 bytes, then a nonce, then AES-GCM."""
    cipher = cipher_of(plugin)
    found = messages.EncryptedObject.FromString(cipher.seal(b'{"metadata":{}}', ABOUT))
    assert (found.keyID, found.encryptedDEKSourceType) == ("key-1", 1)
    text = found.encryptedDEKSource
    seed = AESGCM(plugin.keys["key-1"]).decrypt(text[:12], text[12:], None)
    info, nonce, data = found.encryptedData[:32], found.encryptedData[32:44], found.encryptedData[44:]
    key = hmac.new(seed, info + b"\x01", hashlib.sha256).digest()
    assert AESGCM(key).decrypt(nonce, data, ABOUT) == b'{"metadata":{}}'
    assert cipher.seal(b"x", ABOUT) != cipher.seal(b"x", ABOUT)


def test_what_an_older_kubernetes_has_stored_is_read_and_no_longer_current(plugin: Plugin) -> None:
    key = os.urandom(32)
    sealed_key = plugin.encrypt(messages.EncryptRequest(plaintext=key))
    data = b"\x07" * 12 + AESGCM(key).encrypt(b"\x07" * 12, b"text", ABOUT)
    old = messages.EncryptedObject(
        encryptedData=data,
        keyID="key-1",
        encryptedDEKSource=sealed_key.ciphertext,
        annotations=dict(sealed_key.annotations),
    ).SerializeToString()
    cipher = cipher_of(plugin)
    assert cipher.unseal(old, ABOUT) == b"text" and not cipher.is_current(old)


def test_a_row_in_anothers_place_a_changed_one_and_one_of_a_lost_key(tmp_path: Path, plugin: Plugin) -> None:
    sealing = Sealing([(("secrets",), (Provider(PREFIX, cipher_of(plugin)),))], "encryption.yaml")
    mine, other = Key("secrets", "default", "s"), Key("secrets", "default", "other")
    sealed = sealing.seal(mine, b"text")
    assert sealing.unseal(mine, sealed) == b"text"
    for key, body in ((other, sealed), (mine, sealed[:-1] + bytes([sealed[-1] ^ 1])), (mine, PREFIX + b"\xff\xff")):
        with pytest.raises(EncryptionError, match='cannot be decrypted with the key "test"'):
            sealing.unseal(key, body)
    del plugin.keys["key-1"]
    fresh = Sealing([(("secrets",), (Provider(PREFIX, cipher_of(plugin)),))], "encryption.yaml")
    with pytest.raises(EncryptionError, match=r"Decrypt: there is no key 'key-1' \(NOT_FOUND\)"):
        fresh.unseal(mine, sealed)


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("Status", messages.StatusResponse(version="v1", healthz="ok", key_id="k"), "version 'v1', and not v2"),
        ("Status", messages.StatusResponse(version="v2", healthz="sealed", key_id="k"), "'sealed', and not ok"),
        ("Status", messages.StatusResponse(version="v2", healthz="ok"), "names its key with 0 bytes"),
        ("Encrypt", messages.EncryptResponse(key_id="k"), "a ciphertext of 0 bytes"),
        ("Encrypt", messages.EncryptResponse(ciphertext=b"x" * 1025, key_id="k"), "a ciphertext of 1025 bytes"),
        ("Encrypt", messages.EncryptResponse(ciphertext=b"x"), "names its key with 0 bytes"),
        ("Encrypt", messages.EncryptResponse(ciphertext=b"x", key_id="k" * 1025), "names its key with 1025 bytes"),
        (
            "Encrypt",
            messages.EncryptResponse(ciphertext=b"x", key_id="k", annotations={"a": b""}),
            "no fully qualified",
        ),
        (
            "Encrypt",
            messages.EncryptResponse(ciphertext=b"x", key_id="k", annotations={"a.b": b"x" * (1 << 15)}),
            "annotations of more than 32768 bytes",
        ),
    ],
)
def test_answers_that_do_not_fit_are_told(tmp_path: Path, plugin: Plugin, method: str, answer: Any, told: str) -> None:
    plugin.answers[method] = answer
    with pytest.raises(BackendError, match=told):
        start(tmp_path, configure(tmp_path, plugin))
