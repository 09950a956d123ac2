"""Forks Ray workers that have everything imported already: a tenth of the CPU, and most memory pages shared.

Six actors start at once when a raylet is started again, and on two cores their imports alone would take 4 s. Two
stages, for Ray's library reads its environment once, while it is loaded: the zygote imports all that does not need
Ray; a nursery, forked from it for one raylet and job, imports Ray and forks the workers. Neither has threads or
state. Without them workers start the slow way (worker.py). Kept alive by the keeper.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import Any

#: Of the actors, and of Ray's own imports, what can be imported without Ray. One that is missing costs only time.
WITHOUT_RAY = [
    "asyncio",
    "aiohttp.web",
    "cryptography.x509",
    "google.protobuf.descriptor_pool",
    "google.protobuf.json_format",
    "grpc",
    "jsonschema",
    "msgspec",
    "numpy",
    "packaging.version",
    "psutil",
    "requests",
    "uuid",
    "yaml",
    "cloudpickle",
    "colorama",
    "pyroute2",
    "actors.store.actor",
    "actors.gateway.actor",
    "actors.scheduler.actor",
    "actors.controllers.actor",
    "actors.cluster.config",
    "actors.nodelet.executor",
    "actors.plugins.registry",
    "actors.plugins.runtime.native",
    "actors.plugins.image.store",
    "actors.plugins.network.bridge",
    "actors.plugins.storage.local",
    "actors.plugins.device.nvml",
]
WITH_RAY = [
    "ray",
    "ray._private.workers.default_worker",
    "ray.util.tracing.tracing_helper",
    "actors.cluster.binding",
    "actors.cluster.supervisor",
    "actors.nodelet.actor",
]
#: What Ray reads while it is loaded and what differs between its workers.
_LOADED_WITH = ("RAY_RAYLET_PID", "RAY_JOB_ID")
_MESSAGE_BYTES_MAX = 1 << 20
_OUTPUTS = 2
_NURSERIES_MAX = 4

Birthplace = tuple[str, ...]


def serve(path: Path) -> None:
    """For ever. Each request is one message: arguments, environment, and stdout and stderr as descriptors."""
    listener = _listen(path)
    _load(WITHOUT_RAY)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    nurseries: dict[Birthplace, socket.socket] = {}
    while True:
        line, _ = listener.accept()
        with line, contextlib.suppress(OSError, ValueError, KeyError):
            line.settimeout(1.0)
            message, outputs = _receive(line)
            try:
                environment = json.loads(message)["environment"]
                birthplace = tuple(environment[name] for name in _LOADED_WITH)
                nursery = _nursery(nurseries, birthplace, environment, listener)
                socket.send_fds(nursery, [message], outputs)
            finally:
                _close(outputs)
            line.send(b"forked")


def _listen(path: Path) -> socket.socket:
    """Requests that come while the modules are still being imported wait."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    return listener


def _load(modules: list[str]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()


def _nursery(
    nurseries: dict[Birthplace, socket.socket],
    birthplace: Birthplace,
    environment: dict[str, str],
    listener: socket.socket,
) -> socket.socket:
    """The line to the nursery for `birthplace`, forked if need be; those of an earlier raylet end with their line."""
    line = nurseries.get(birthplace)
    if line is not None:
        return line
    stale = [known for known in nurseries if known[0] != birthplace[0]]
    for known in stale or list(nurseries)[: max(0, len(nurseries) - _NURSERIES_MAX + 1)]:
        nurseries.pop(known).close()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        listener.close()
        ours.close()
        for other in nurseries.values():
            other.close()
        _rear(theirs, environment)
    theirs.close()
    nurseries[birthplace] = ours
    return ours


def _rear(line: socket.socket, environment: dict[str, str]) -> None:
    """The nursery: forks a worker for each message until the line ends. Does not return."""
    os.environ.clear()
    os.environ.update(environment)
    _load(WITH_RAY)
    while True:
        message, outputs = _receive(line)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            line.close()
            _become_worker(json.loads(message), outputs)
        _close(outputs)


def _receive(line: socket.socket) -> tuple[bytes, list[int]]:
    message, outputs, _, _ = socket.recv_fds(line, _MESSAGE_BYTES_MAX, _OUTPUTS)
    return message, outputs


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _become_worker(request: dict[str, Any], outputs: list[int]) -> None:
    """Ray's worker, with the arguments, environment and outputs of the process that asked. Does not return."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["environment"])
        for wanted, given in zip((1, 2), outputs, strict=True):
            os.dup2(given, wanted)
        _close(outputs)
        sys.argv = list(request["arguments"])
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
