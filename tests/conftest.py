"""What holds for all tests: unit, property, golden and simulator tests touch no Ray, no socket and no process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import hypothesis
import pytest

#: A shell's background job is deaf to Ctrl-C, and so would be what the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
# The tests are of the tree that they lie in, wherever the environment's raypod is installed from: here by `pythonpath` of
# pyproject.toml, in every process that they start by this.
os.environ["PYTHONPATH"] = str(TESTS.parent)
PURE = ("unit", "property", "golden", "sim")

# The machines are shared and slow at times: a property is judged by its truth, not by its speed. In CI the examples
# are the same each time; elsewhere they are drawn anew.
hypothesis.settings.register_profile(
    "raypod",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
    derandomize=bool(os.environ.get("CI")),
    database=None,
)
hypothesis.settings.load_profile("raypod")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first, so that a plain mistake shows within seconds."""
    order = {name: rank for rank, name in enumerate([*PURE, "conformance", "host", "gpu", "e2e"])}
    items.sort(key=lambda item: order.get(_folder_of(item.path), len(order)))
    if os.geteuid() != 0:
        reason = "needs root: namespaces, mounts and cgroups"
        for item in items:
            if "root" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


def _folder_of(path: Path) -> str:
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""


@pytest.fixture(autouse=True)
def _pure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pure test that reaches for the world fails with a sentence that says so."""
    folder = _folder_of(request.path)
    if folder not in PURE:
        return

    def refuse(what: str) -> object:
        def refused(*_args: object, **_kwargs: object) -> None:
            raise AssertionError(f"{what} in tests/{folder}: a pure test touches no Ray, socket or process")

        return refused

    monkeypatch.setattr(socket.socket, "connect", refuse("a socket connected"))
    monkeypatch.setattr(socket.socket, "bind", refuse("a socket bound"))
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse("a process started"))
    monkeypatch.setitem(os.environ, "RAY_ADDRESS", "forbidden-in-pure-tests")
