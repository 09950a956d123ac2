"""WWW-Authenticate headers as registries write them."""

from __future__ import annotations

import pytest

from actors.plugins.image.auth import Challenge, basic, parse_challenges
from actors.plugins.image.port import Auth

REALM = "https://auth.example.org/token"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], []),
        (["Negotiate"], []),
        (['Basic realm="Registry"'], [Challenge("basic", {"realm": "Registry"})]),
        (["basic"], [Challenge("basic")]),
        (
            [f'Bearer realm="{REALM}",service="hub",scope="repository:a/b:pull,push"'],
            [Challenge("bearer", {"realm": REALM, "service": "hub", "scope": "repository:a/b:pull,push"})],
        ),
        (
            [f'Basic realm="x, Bearer", Bearer realm="{REALM}"'],
            [Challenge("bearer", {"realm": REALM}), Challenge("basic", {"realm": "x, Bearer"})],
        ),
        (
            ['Basic realm="x"', f'Bearer realm="{REALM}"'],
            [Challenge("bearer", {"realm": REALM}), Challenge("basic", {"realm": "x"})],
        ),
        (["Bearer realm=plain , Service = a"], [Challenge("bearer", {"realm": "plain", "service": "a"})]),
        ([r'Basic realm="say \"x\""'], [Challenge("basic", {"realm": 'say "x"'})]),
        (["Bearer"], [Challenge("bearer")]),
        (["BearerOfNews realm=x"], []),
    ],
)
def test_challenges(headers: list[str], wanted: list[Challenge]) -> None:
    assert parse_challenges(headers) == wanted


def test_basic_credentials() -> None:
    assert basic(Auth("ann", "a:b")) == "Basic YW5uOmE6Yg=="
