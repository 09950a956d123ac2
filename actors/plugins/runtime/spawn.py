"""Starting the launcher: an executed process of its own session, with nothing of the caller's in it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import actors

_BOOT = "import sys; sys.path.append(sys.argv[1]); from actors.plugins.runtime.launcher.main import main; main()"
_START_TIMEOUT_S = 20


def derive_cgroup(root: str) -> str:
    """A name of its own for each state directory: nodes on one machine do not meet."""
    return f"raypod-{zlib.crc32(root.encode()):08x}"


def format_settings(root: str) -> str:
    """What a launcher is told on its command line, by which it can be found."""
    return json.dumps({"root": root, "cgroup": derive_cgroup(root)})


def start_launcher(root: str) -> None:
    """Returns once the launcher is on its way. One that runs already stays the only one: it holds a lock."""
    packages = str(Path(actors.__path__[0]).resolve().parent)
    settings = format_settings(root)
    executable = str(Path(sys.executable).resolve())
    subprocess.run(
        [executable, "-I", "-S", "-E", "-X", "utf8", "-c", _BOOT, packages, settings],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
        timeout=_START_TIMEOUT_S,
        check=True,
    )
