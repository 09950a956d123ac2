from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from actors.api.pod import Container
from actors.nodelet.images import is_latest, pull_policy_of, registry_of, select_auth


@pytest.mark.parametrize(
    ("image", "policy", "expected"),
    [
        ("app", "", "Always"),
        ("app:latest", "", "Always"),
        ("app:1", "", "IfNotPresent"),
        ("localhost:5000/app", "", "Always"),
        ("localhost:5000/app:1", "", "IfNotPresent"),
        ("app@sha256:00", "", "IfNotPresent"),
        ("app", "Never", "Never"),
        ("host", "Always", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str, expected: str) -> None:
    assert (
        pull_policy_of(msgspec.convert({"name": "c", "image": image, "imagePullPolicy": policy}, Container)) == expected
    )
    assert is_latest("a/b/c:latest") and not is_latest("a/b/c:1")


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("app", "docker.io"),
        ("library/app", "docker.io"),
        ("index.docker.io/library/app", "docker.io"),
        ("localhost/app", "localhost"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
        ("registry.example/team/app", "registry.example"),
    ],
)
def test_registry(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def secret(auths: Any) -> dict[str, Any]:
    text = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    return {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": text}}


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:pw:with:colons".encode()).decode()}


def test_the_longest_path_wins_then_the_first_secret() -> None:
    secrets = [
        secret({"registry.example": entry("host")}),
        secret({"https://registry.example/team": entry("team"), "registry.example": entry("second")}),
    ]
    team = select_auth("registry.example/team/app:1", secrets)
    other = select_auth("registry.example/teamwork/app", secrets)
    assert team is not None and (team.username, team.password) == ("team", "pw:with:colons")
    assert other is not None and other.username == "host"
    assert select_auth("elsewhere.example/app", secrets) is None


def test_docker_hub_has_many_names() -> None:
    auth = select_auth("nginx:1", [secret({"https://index.docker.io/v1/": entry("hub")})])
    assert auth is not None and auth.username == "hub"


@pytest.mark.parametrize(
    "hostile",
    [
        {"data": {".dockerconfigjson": "not base64 at all"}},
        {"data": {".dockerconfigjson": base64.b64encode(b"[1, 2]").decode()}},
        {"data": {".dockerconfigjson": base64.b64encode(b'{"auths": 3}').decode()}},
        secret({"registry.example": "text"}),
        {"data": None},
        {},
    ],
)
def test_a_broken_secret_is_no_secret(hostile: dict[str, Any]) -> None:
    assert select_auth("registry.example/app", [hostile]) is None
