"""Admission webhooks for tests: how one is installed, what is asked of the gateway, and that nothing of it stays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_server import RunningGateway
from remote_server import (
    Authority,
    RemoteServer,
    configuration,
)

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/"


MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def clean(served: RunningGateway) -> Iterator[None]:
    """Without any configuration afterwards, and the gateway knows."""
    yield
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        served.request("DELETE", CONFIGURATIONS + kind)
    wait_until(lambda: served.gateway.app.backend.admission.is_idle)


def wait_until(done: Any) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def install(served: RunningGateway, kind: str, *webhooks: dict[str, Any], name: str = "hooks") -> None:
    """And wait until the gateway asks them."""
    chain = served.gateway.app.backend.admission
    resource = f"{kind.lower()}webhookconfigurations"
    code, _, answer = served.request(
        "POST", CONFIGURATIONS + resource, json.dumps(configuration(kind, name, *webhooks)).encode()
    )
    assert code == 201, answer
    wait_until(lambda: any(key.name == name for key in chain.feed._objects))


def url_client(server: RemoteServer, authority: Authority, path: str = "/") -> dict[str, Any]:
    return {"url": server.url + path, "caBundle": authority.bundle}


def post(served: RunningGateway, path: str, obj: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    code, headers, answer = served.request("POST", path, json.dumps(obj).encode())
    return code, headers, json.loads(answer)


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}
