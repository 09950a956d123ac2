"""`pytest tests/golden --update` writes the golden files anew from what the code says now. Read the diff."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write golden files anew")


class Golden:
    """Compares text with a file beside the tests, or writes it."""

    def __init__(self, update: bool) -> None:
        self._update = update

    def check(self, path: Path, text: str) -> None:
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: run pytest tests/golden --update"
        assert text == path.read_text(), f"{path.name} differs: see the diff, or accept it with --update"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--update", default=False)))
