"""Whoever reads `raypod`'s output has gone: `raypod ... | head -0`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from whole_cluster import BIN


@pytest.mark.parametrize("words", [["kubeconfig"], ["--help"], ["no-such"]], ids=" ".join)
def test_a_closed_pipe_ends_it_quietly_as_sigpipe_would(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "kubeconfig").touch()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(BIN / "raypod"), *words],
        env=os.environ | {"RAYPOD_HOME": str(tmp_path)},
        stdout=writer,
        stderr=writer if words == ["no-such"] else subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr or b"") == (141, b"")
