"""What users write after `image:` and what it means."""

from __future__ import annotations

import pytest

from actors.plugins.image.faults import InvalidName
from actors.plugins.image.reference import is_digest, is_loopback, parse_reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("train", "docker.io/library/train:latest"),
        ("train:1", "docker.io/library/train:1"),
        ("ann/train", "docker.io/ann/train:latest"),
        ("docker.io/train", "docker.io/library/train:latest"),
        ("index.docker.io/ann/train:1", "docker.io/ann/train:1"),
        ("127.0.0.1:5000/train:1", "127.0.0.1:5000/train:1"),
        ("localhost/train", "localhost/train:latest"),
        ("localhost:5000/a/b/c", "localhost:5000/a/b/c:latest"),
        ("[::1]:5000/train", "[::1]:5000/train:latest"),
        ("registry.example.org/train:V1.2-x_y", "registry.example.org/train:V1.2-x_y"),
        ("nvcr.io/nvidia/pytorch:24.05-py3", "nvcr.io/nvidia/pytorch:24.05-py3"),
        (f"train@{DIGEST}", f"docker.io/library/train@{DIGEST}"),
        (f"train:1@{DIGEST}", f"docker.io/library/train:1@{DIGEST}"),
        ("x/a--b__c.d/e", "docker.io/x/a--b__c.d/e:latest"),
    ],
)
def test_defaults_are_filled_in(text: str, canonical: str) -> None:
    parsed = parse_reference(text)
    assert str(parsed) == canonical
    assert parse_reference(canonical) == parsed


def test_a_digest_is_what_is_asked_for() -> None:
    assert parse_reference(f"train:1@{DIGEST}").version == DIGEST
    assert parse_reference("train:1").version == "1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "repository name"),
        ("Train", "repository name"),
        ("train:", "tag"),
        ("train:a b", "tag"),
        ("train:" + "x" * 129, "tag"),
        ("train:-x", "tag"),
        ("a:b:c", "tag"),
        ("train@", "digest"),
        ("train@sha256:ab", "digest"),
        (f"train@{DIGEST.upper()}", "digest"),
        ("train@md5:" + "a" * 32, "digest"),
        ("/train", "repository name"),
        ("train/", "repository name"),
        ("a//b", "repository name"),
        ("a/../b", "repository name"),
        ("a_-b", "repository name"),
        ("-.x/a", "registry host"),
        ("host:port/train", "registry host"),
        ("host.:5000/x", "registry host"),
        ("127.0.0.1:99999/x", "registry host"),
        ("[::1]:0/x", "registry host"),
        ("user@host.org/train", "digest"),
        ("http://host.org/train", "host"),
        ("a" * 256, "repository name"),
        ("train\n", "repository name"),
        ("train:1\n", "tag"),
        ("host.org\n/train", "registry host"),
        ("tráin", "repository name"),
        ("train:ä", "tag"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(InvalidName, match=says):
        parse_reference(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.8.9.1:5000", True),
        ("[::1]:5000", True),
        ("[::1]", True),
        ("10.0.0.1:5000", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("[::2]", False),
        ("0.0.0.0", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_digests() -> None:
    assert is_digest(DIGEST) and is_digest("sha512:" + "0" * 128)
    assert not any(is_digest(text) for text in (DIGEST + "0", DIGEST + "\n", "sha256:" + "g" * 64, "0" * 64))
