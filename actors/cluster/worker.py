"""Where a Ray worker of the embedded head begins: it has the zygote fork it, or without one becomes it by itself.

Run by the raylet, by path, for each worker; imports nothing big. The raylet knows a worker by what it registers with,
so this process ends as soon as the forked one has its place.
"""

from __future__ import annotations

import json
import os
import socket
import sys

#: Options for Ray's setup_worker.py, which default_worker.py does not know.
_SETUP_OPTIONS = ("--language", "--serialized-runtime-env-context")
ZYGOTE_VARIABLE = "RAYPOD_ZYGOTE"
_ANSWER_SECONDS = 5.0


def worker_arguments(arguments: list[str]) -> list[str]:
    """Those for default_worker.py, whose path is the first."""
    return [a for a in arguments if not a.startswith(_SETUP_OPTIONS)]


def ask_zygote(path: str, arguments: list[str]) -> bool:
    """Whether the zygote forked a worker with our environment, output and arguments."""
    message = json.dumps({"arguments": arguments, "environment": dict(os.environ)}).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.settimeout(_ANSWER_SECONDS)
            line.connect(path)
            socket.send_fds(line, [message], [1, 2])
            return line.recv(64) == b"forked"
    except OSError:
        return False


if __name__ == "__main__":
    wanted = worker_arguments(sys.argv[1:])
    if not ask_zygote(os.environ.get(ZYGOTE_VARIABLE, ""), wanted):
        os.execv(sys.executable, [sys.executable, "-P", *wanted])
