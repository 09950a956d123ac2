"""Options and folders of the end-to-end tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from whole_cluster import images, whole

__all__ = ["images", "whole"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=25, help="kill -9 of the store in its durability test")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the sockets under it (107 bytes); pytest's own are long."""
    with _short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def short_module_path() -> Iterator[Path]:
    with _short_folder() as folder:
        yield folder


@contextmanager
def _short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
