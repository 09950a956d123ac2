"""Linux network namespaces for tests: made by a child that unshares, kept by a bind mount, gone with `remove`."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_numbers = itertools.count()
_HOME = Path("/run/raypod-test-netns")


class Namespaces:
    """All namespaces of one test."""

    def __init__(self) -> None:
        self._paths: list[str] = []

    def make(self) -> str:
        _HOME.mkdir(exist_ok=True)
        path = _HOME / f"{os.getpid()}-{next(_numbers)}"
        path.touch()
        subprocess.run(["unshare", f"--net={path}", "true"], check=True, timeout=30)
        self._paths.append(str(path))
        return str(path)

    def remove(self, path: str) -> None:
        subprocess.run(["umount", path], check=True, timeout=30)
        os.unlink(path)
        self._paths.remove(path)

    def close(self) -> None:
        for path in list(self._paths):
            self.remove(path)


def run_in(path: str, command: Sequence[str], *, check: bool = True) -> str:
    """Its output, stripped."""
    done = subprocess.run(
        ["nsenter", f"--net={path}", *command], capture_output=True, text=True, timeout=30, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{command} failed in {path}: {done.stderr}")
    return done.stdout.strip()
