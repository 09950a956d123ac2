"""Kubernetes' own end-to-end tests, ported: each asks what the Go test asks and asserts what it asserts.

One gateway with all controllers for all of them; there is no node, so pods stay Pending. `docs/conformance.md` says which
test of Kubernetes is where.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

import pytest
from api_client import Api
from gateway_server import RunningGateway

from actors.controllers.actor import ControllersActor
from actors.controllers.config import ControllersConfig
from actors.gateway.pki import pki_at


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("kubernetes"))
    ca = pki_at(running.home).ca.certificate.read_text()
    controllers = ControllersActor(ControllersConfig(ca_pem=ca), running.store)
    working = asyncio.run_coroutine_threadsafe(controllers.run(), running.loop)
    yield running
    running.run(controllers.stop())
    working.result(10)
    running.stop()
    assert running.gateway.app.failures == 0


@pytest.fixture
def api(served: RunningGateway, request: pytest.FixtureRequest) -> Api:
    """In an API namespace of the test's own, which has its name as a label, as the framework of those tests makes it."""
    name = f"e2e-{abs(hash(request.node.nodeid)) % 10**9}"
    served.make({"metadata": {"name": name, "labels": {name: "true"}}}, "namespaces", "")
    return Api(served, name)
