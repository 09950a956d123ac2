"""Secrets of type kubernetes.io/service-account-token: a token that does not expire, worth what its Secret is."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from gateway_server import RunningGateway, served

from actors.gateway.auth import jwt

__all__ = ["served"]
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def eventually(probe: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def make_secret(served: RunningGateway, name: str, account: str) -> None:
    metadata = {"name": name, "annotations": {"kubernetes.io/service-account.name": account}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/service-account-token"}
    served.kubectl("create", "-f", "-", stdin=json.dumps(secret))


def token_of(served: RunningGateway, name: str) -> str:
    def read() -> str:
        shown = served.kubectl("get", "secret", name, "-o", "json", fails=None)
        data = (shown.json.get("data") or {}) if not shown.code else {}
        return base64.b64decode(data.get("token", "")).decode()

    return str(eventually(read))


def whoami(served: RunningGateway, token: str) -> tuple[int, str]:
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode()
    code, _, answer = served.request("POST", WHOAMI, body, {"Authorization": f"Bearer {token}"}, certificate="")
    return code, json.loads(answer)["status"]["userInfo"]["username"] if code == 201 else ""


def is_gone(served: RunningGateway, name: str) -> bool:
    return bool(served.kubectl("get", "secret", name, fails=None).code)


def test_such_a_secret_gets_a_token_that_lets_its_account_in(served: RunningGateway) -> None:
    served.kubectl("create", "serviceaccount", "robot")
    make_secret(served, "robot-token", "robot")
    token = token_of(served, "robot-token")
    secret = served.kubectl("get", "secret", "robot-token", "-o", "json").json
    account = served.kubectl("get", "serviceaccount", "robot", "-o", "json").json
    assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
    assert base64.b64decode(secret["data"]["namespace"]) == b"default"
    assert b"BEGIN CERTIFICATE" in base64.b64decode(secret["data"]["ca.crt"])
    claims = jwt.parse(token).claims
    assert claims["iss"] == "kubernetes/serviceaccount" and "exp" not in claims
    assert claims["kubernetes.io/serviceaccount/secret.name"] == "robot-token"
    assert whoami(served, token) == (201, "system:serviceaccount:default:robot")


def test_a_token_taken_out_is_made_anew_and_the_old_one_is_worth_nothing(served: RunningGateway) -> None:
    """As it is when its Secret is deleted, or invalidated by its label."""
    served.kubectl("create", "serviceaccount", "clerk")
    make_secret(served, "clerk-a", "clerk")
    first = token_of(served, "clerk-a")
    served.kubectl("patch", "secret", "clerk-a", "--type=json", "-p", '[{"op": "remove", "path": "/data/token"}]')
    eventually(lambda: token_of(served, "clerk-a") != first)
    eventually(lambda: whoami(served, first)[0] == 401)
    second = token_of(served, "clerk-a")
    assert whoami(served, second)[0] == 201
    served.kubectl("label", "secret", "clerk-a", "kubernetes.io/legacy-token-invalid-since=2026-11-23")
    eventually(lambda: whoami(served, second)[0] == 401)
    make_secret(served, "clerk-b", "clerk")
    third = token_of(served, "clerk-b")
    assert whoami(served, third)[0] == 201
    served.kubectl("delete", "secret", "clerk-b")
    eventually(lambda: whoami(served, third)[0] == 401)


def test_deleting_the_account_ends_its_tokens_and_takes_their_secrets(served: RunningGateway) -> None:
    served.kubectl("create", "serviceaccount", "guest")
    make_secret(served, "guest-token", "guest")
    token = token_of(served, "guest-token")
    assert whoami(served, token)[0] == 201
    served.kubectl("delete", "serviceaccount", "guest")
    eventually(lambda: is_gone(served, "guest-token"))
    eventually(lambda: whoami(served, token)[0] == 401)
    served.kubectl("create", "serviceaccount", "guest")
    assert whoami(served, token)[0] == 401, "a namesake does not revive it"


def test_a_secret_of_an_account_that_is_not_there_goes(served: RunningGateway) -> None:
    make_secret(served, "orphan", "nobody")
    eventually(lambda: is_gone(served, "orphan"))
