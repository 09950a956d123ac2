"""The API as clients see it: a gateway over the real store on a loopback port, asked over HTTPS or by real clients."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))

import pytest
from api_client import api
from gateway_server import served
from living_cluster import living
from workload_client import work

__all__ = ["api", "living", "served", "work"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--walk", type=int, default=150, help="requests of the walk through our own OpenAPI")
