"""Encryption at rest: nothing of a Secret is readable on the disk, keys rotate, wrong keys are told."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch
from actors.store.backend.port import BackendError
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds
from actors.store.sealing.backend import OFF, open_sealed
from actors.store.sealing.ciphers import SecretBox
from actors.store.sealing.configuration import EncryptionError, read_sealing

_KMS = "{apiVersion: v2, name: n, endpoint: %s}"
NEEDLES = [base64.b64encode(text).decode() for text in (b"first-hunter2", b"then-hunter3", b"annotated")]
SECRET = Key("secrets", "default", "s")
NOW = 1_700_000_000_000


def provider(name: str, *keys: str, size: int = 32) -> dict[str, Any]:
    if name == "identity":
        return {"identity": {}}
    rows = [{"name": key, "secret": base64.b64encode(key.encode().ljust(size, b"."))[:].decode()} for key in keys]
    return {name: {"keys": rows}}


def configure(folder: Path, *providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)) -> str:
    path = folder / "encryption.yaml"
    rules = [{"resources": list(resources), "providers": list(providers)}]
    tree = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": rules}
    path.write_text(yaml.safe_dump(tree))
    return str(path)


def start(folder: Path, encryption: str) -> Engine:
    engine = Engine(open_sealed(folder / "log.db", encryption, ""), SeededIds("s"), StoreConfig())
    engine.commit(bootstrap_writes(), NOW)
    return engine


def write_secret(engine: Engine) -> None:
    """Made, changed, asked for again with the same key, tried, and one that is gone."""
    first, then, noted = NEEDLES
    secret = {"metadata": {"name": "s"}, "data": {"password": first}}
    gone = {"metadata": {"name": "gone", "annotations": {"note": noted}}}
    made = Create(resource="secrets", namespace="default", object=secret)
    assert all(r.error is None for r in engine.commit([made], NOW, "once"))
    for name in ("again", "and-again"):
        patch = Patch(key=SECRET, patch={"data": {"password": then}})
        assert all(r.error is None for r in engine.commit([patch], NOW + 1, name))
    engine.commit([Patch(key=SECRET, patch={"data": {"other": first}}, dry_run=True)], NOW + 2, "dry")
    engine.commit([Create(resource="secrets", namespace="default", object=gone)], NOW + 3)
    engine.commit([Delete(key=Key("secrets", "default", "gone"))], NOW + 4)


def on_disk(folder: Path) -> bytes:
    """All files of the log: the database, what is ahead of it, whatever else there may be."""
    files = list(folder.glob("log.db*"))
    assert files
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize(
    "providers",
    [
        (provider("aesgcm", "k1"),),
        (provider("aescbc", "k1", size=16), provider("identity")),
        (provider("secretbox", "k1"), provider("aescbc", "k2")),
    ],
)
def test_no_value_of_a_secret_is_on_the_disk_and_all_come_back(tmp_path: Path, providers: Any) -> None:
    encryption = configure(tmp_path, *providers)
    engine = start(tmp_path, encryption)
    write_secret(engine)
    body, changes = engine.get(SECRET).body, engine.log.revision
    found = on_disk(tmp_path)
    assert not [needle for needle in NEEDLES if needle.encode() in found]
    assert b"k8s:enc:" in found and b'"name":"kube-system"' in found, "what is not named is as it was"
    engine.backend.close()
    again = start(tmp_path, encryption)
    assert (again.get(SECRET).body, again.log.revision) == (body, changes)
    assert NEEDLES[0].encode() in again.get(SECRET, again.get(SECRET).created_revision).body, "history, too"
    replies = again.commit([Patch(key=SECRET, patch={"data": {"password": "eA=="}})], NOW + 9, "again")
    assert replies[0].stored is not None and NEEDLES[1].encode() in replies[0].stored.body, "answers, too"


def test_a_log_in_plain_text_is_rewritten_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    engine = start(tmp_path, OFF)
    write_secret(engine)
    assert all(needle.encode() in on_disk(tmp_path) for needle in NEEDLES)
    engine.backend.close()
    engine = start(tmp_path, configure(tmp_path, provider("aesgcm", "k1"), provider("identity")))
    assert not [needle for needle in NEEDLES if needle.encode() in on_disk(tmp_path)]
    assert NEEDLES[1].encode() in engine.get(SECRET).body


def test_keys_are_rotated_by_putting_the_new_one_first(tmp_path: Path) -> None:
    engine = start(tmp_path, configure(tmp_path, provider("aesgcm", "old")))
    write_secret(engine)
    engine.backend.close()
    engine = start(tmp_path, configure(tmp_path, provider("aesgcm", "new", "old")))
    assert b":old:" not in on_disk(tmp_path) and b":new:" in on_disk(tmp_path)
    engine.backend.close()
    engine = start(tmp_path, configure(tmp_path, provider("aesgcm", "new")))
    assert NEEDLES[1].encode() in engine.get(SECRET).body
    engine.backend.close()
    engine = start(tmp_path, configure(tmp_path, provider("identity"), provider("aesgcm", "new")))
    assert NEEDLES[1].encode() in on_disk(tmp_path), "and decrypted for good, when that is what is asked for"


@pytest.mark.parametrize("cipher", ["aesgcm", "aescbc", "secretbox"])
def test_a_wrong_key_is_told_at_the_start(tmp_path: Path, cipher: str) -> None:
    engine = start(tmp_path, configure(tmp_path, provider(cipher, "k1")))
    write_secret(engine)
    engine.backend.close()
    with pytest.raises(BackendError, match=r'secrets default/s was encrypted with the key "k1" .*does not have'):
        start(tmp_path, configure(tmp_path, provider(cipher, "k2")))
    wrong = provider(cipher, "k1")
    wrong[cipher]["keys"][0]["secret"] = base64.b64encode(b"x" * 32).decode()
    with pytest.raises(BackendError, match=r'cannot be decrypted with the key "k1"'):
        start(tmp_path, configure(tmp_path, wrong))
    start(tmp_path, configure(tmp_path, provider(cipher, "k1")))


def test_plain_text_is_not_taken_where_identity_is_not_named(tmp_path: Path) -> None:
    engine = start(tmp_path, OFF)
    write_secret(engine)
    engine.backend.close()
    with pytest.raises(BackendError, match="stored in plain text"):
        start(tmp_path, configure(tmp_path, provider("aesgcm", "k1")))


def test_a_row_in_anothers_place_is_not_taken(tmp_path: Path) -> None:
    """aesgcm binds what it seals to the object that it is of."""
    sealing = read_sealing(Path(configure(tmp_path, provider("aesgcm", "k1"))))
    sealed = sealing.seal(SECRET, b"text")
    with pytest.raises(EncryptionError, match="the row was changed"):
        sealing.unseal(Key("secrets", "default", "other"), sealed)


@pytest.mark.parametrize(
    ("resources", "covered", "not_covered"),
    [
        (("secrets",), "secrets", "configmaps"),
        (("secrets", "configmaps"), "configmaps", "pods"),
        (("deployments.apps",), "deployments.apps", "replicasets.apps"),
        (("*.apps",), "replicasets.apps", "secrets"),
        (("*.",), "secrets", "deployments.apps"),
        (("*.*",), "widgets.example.com", None),
    ],
)
def test_resources_are_named_as_kubernetes_names_them(
    tmp_path: Path, resources: tuple[str, ...], covered: str, not_covered: str | None
) -> None:
    sealing = read_sealing(Path(configure(tmp_path, provider("aesgcm", "k1"), resources=resources)))
    assert sealing.covers(covered)
    assert not_covered is None or not sealing.covers(not_covered)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("apiVersion: v1\nkind: Pod", "must be an EncryptionConfiguration"),
        ("resources: [{resources: [secrets], providers: []}]", "needs resources and providers"),
        ("resources: [{resources: [secrets], providers: [{vault: {}}]}]", "vault is not supported"),
        (
            "resources: [{resources: [secrets], providers: [{kms: {name: n, endpoint: x}}]}]",
            "v1 is not supported: use v2",
        ),
        (f"resources: [{{resources: [secrets], providers: [{{kms: {_KMS % 'tcp://x'}}}]}}]", "must be unix://"),
        (
            f"resources: [{{resources: [secrets], providers: [{{kms: {_KMS % 'unix:///x, timeout: soon'}}}]}}]",
            "like 3s",
        ),
        ("resources: [{resources: [secrets], providers: [{aesgcm: {keys: []}}]}]", "needs keys"),
        (
            "resources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: '!'}]}}]}]",
            "must be base64",
        ),
        (
            "resources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: YQ==}]}}]}]",
            "1 bytes, must be 16 or 24 or 32",
        ),
    ],
)
def test_what_is_no_configuration_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "encryption.yaml"
    head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
    path.write_text(head + text if text.startswith("resources") else text)
    with pytest.raises(EncryptionError, match=told):
        read_sealing(path)


def test_a_home_gets_a_key_of_its_own_that_is_kept(tmp_path: Path) -> None:
    engine = Engine(open_sealed(tmp_path / "log.db", "", str(tmp_path)), SeededIds("s"))
    engine.commit(bootstrap_writes(), NOW)
    write_secret(engine)
    file = tmp_path / "encryption.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [needle for needle in NEEDLES if needle.encode() in on_disk(tmp_path)]
    kept = file.read_text()
    engine.backend.close()
    Engine(open_sealed(tmp_path / "log.db", "", str(tmp_path)), SeededIds("s")).backend.close()
    assert file.read_text() == kept
    file.unlink()
    with pytest.raises(BackendError, match="does not have"):
        Engine(open_sealed(tmp_path / "log.db", "", str(tmp_path)), SeededIds("s"))


def test_secretbox_is_nacls() -> None:
    """The vector of NaCl's own tests (tests/secretbox.c)."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    text = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4"
        "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52"
        "f0a089bc76897040e082f937763848645e0705"
    )
    sealed = SecretBox(key).seal_with(nonce, text)
    assert sealed.hex().startswith("f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4")
    assert sealed.hex().endswith("9b37973f622a43d14a6599b1f654cb45a74e355a5")
    assert SecretBox(key).unseal(nonce + sealed, b"") == text
