"""Starts and ends the control plane: `python -P -m actors.cluster` in a process of its own, which speaks JSON lines.

`-P` keeps the folder of the user's script out of the path: a folder called `actors` beside it does no harm.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from raypod.errors import ControlPlaneError
from raypod.kubeconfig import raypod_home

Tell = Callable[[str], None]


def home() -> Path:
    return raypod_home()


def is_ours() -> bool:
    """Is the kubeconfig of this home, if there is one, that of its own control plane? Else it was put there by hand."""
    return (home() / "pki").exists() or not (home() / "kubeconfig").exists()


def is_up() -> bool:
    """The embedded control plane's keeper holds its lock, or this home is attached to a Ray cluster."""
    lock = home() / "run" / "keeper.lock"
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return (home() / "run" / "attached").exists()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return (home() / "run" / "attached").exists()


def bring_up(config: str = "", address: str = "", tell: Tell = lambda step: None) -> dict[str, Any]:
    """`raypod up`: returns once the API answers and the nodes are Ready. Raises ControlPlaneError with the reason."""
    words = [*(["--config", str(Path(config).absolute())] if config else []), "--address", address]
    return _speak("up", words, tell)


def take_down(address: str = "", tell: Tell = lambda step: None) -> dict[str, Any]:
    """`raypod down`: nothing is left running. Raises ControlPlaneError."""
    return _speak("down", ["--address", address], tell)


def _speak(verb: str, words: list[str], tell: Tell) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "actors.cluster", verb, "--home", str(home()), *words]
    log_path = home() / f"{verb}.log"
    with _open_log(log_path) as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
        )
        answer = _listen(process, tell)
        code = process.wait()
    if "error" in answer:
        raise ControlPlaneError(str(answer["error"]))
    if code or "result" not in answer:
        raise ControlPlaneError(f"raypod {verb} ended with code {code}; {log_path} says why")
    return dict(answer["result"] or {})


def _open_log(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
    except OSError as error:
        raise ControlPlaneError(
            f"the state cannot be kept in {path.parent} ({error.strerror}): name a folder that can be written in "
            "$RAYPOD_HOME"
        ) from error


def _environment() -> dict[str, str]:
    """The user's, but a PYTHONPATH leads to this raypod only: it may have a folder called `actors`, too."""
    environment = dict(os.environ)
    if environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    return environment


def _listen(process: subprocess.Popen[str], tell: Tell) -> dict[str, Any]:
    last: dict[str, Any] = {}
    assert process.stdout is not None
    for line in process.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if "step" in message:
            tell(str(message["step"]))
        else:
            last = message
    return last
