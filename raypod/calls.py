"""A Python function and its arguments, carried into a container and its result or exception back.

The way in: Secrets of the run, mounted as one folder, with a runner, cloudpickle itself and the pickled call. The way
back: marked lines at the end of the container's log, which survive whatever the container does to its files.
"""

from __future__ import annotations

import base64
import io
import sys
import types
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from raypod.errors import CallError
from raypod.manifests import CONTAINER, RUN_LABEL

Object = dict[str, Any]

FOLDER = "/run/raypod/call"
MARK = "\x02raypod-result "
PAYLOAD_BYTES_MAX = 32 << 20
RESULT_BYTES_MAX = 16 << 20
_PART_BYTES = 700_000
_MODULES_BYTES_MAX = 600_000


class RemoteTraceback(Exception):
    """The cause of an exception that came back: where it was raised, in the container."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def pack(fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> bytes:
    """Raises CallError for what cannot be pickled or is too large."""
    import cloudpickle

    try:
        payload: bytes = cloudpickle.dumps((fn, tuple(args), kwargs))
    except Exception as error:
        raise CallError(f"the function or an argument cannot be sent: {type(error).__name__}: {error}") from error
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise CallError(
            f"the function and its arguments are {len(payload)} bytes, at most {PAYLOAD_BYTES_MAX} can be sent: "
            "put large data on a volume"
        )
    return payload


def command(image: str, python: str) -> list[str]:
    """On `host` the caller's own interpreter, elsewhere the image's `python3`."""
    interpreter = python or (sys.executable if image == "host" else "python3")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [interpreter, "-u", f"{FOLDER}/runner.py", version]


def secrets_of(name: str, payload: bytes) -> Iterator[Object]:
    """Part 0 holds the runner, cloudpickle and the user's modules, the others a stretch of the payload each."""
    runner = {"runner.py": _runner(), "cloudpickle.zip": _cloudpickle(), "path": _path(), "modules.zip": _modules()}
    yield _secret(name, 0, runner)
    for part, start in enumerate(range(0, len(payload), _PART_BYTES), 1):
        yield _secret(name, part, {f"payload-{part:03d}": payload[start : start + _PART_BYTES]})


def mount_payload(manifest: Object, name: str, payload_bytes: int) -> None:
    """Add the volume to a run's manifest."""
    parts = 1 + -(-payload_bytes // _PART_BYTES)
    sources = [{"secret": {"name": f"{name}-{part}"}} for part in range(parts)]
    pod = manifest["spec"]["template"]["spec"]
    pod.setdefault("volumes", []).append({"name": "raypod-call", "projected": {"sources": sources}})
    container = next(c for c in pod["containers"] if c["name"] == CONTAINER)
    mount = {"name": "raypod-call", "mountPath": FOLDER, "readOnly": True}
    container.setdefault("volumeMounts", []).append(mount)


class Output:
    """What a called function prints, passed on as it comes; `marked`: the lines that bring its result back, `last`: a
    few of the others, for the story of a failure.

    The marks begin with a line feed of their own: an empty line is held back until the next one says what it is.
    """

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.last: deque[str] = deque(maxlen=20)
        self._held = False

    def write_stdout(self, line: str) -> None:
        if line.startswith(MARK):
            self.marked.append(line)
            self._held = False
            return
        if self._held:
            self._write(sys.stdout, "")
        self._held = not line
        if line:
            self._write(sys.stdout, line)

    def write_stderr(self, line: str) -> None:
        self._write(sys.stderr, line)

    def _write(self, stream: TextIO, line: str) -> None:
        self.last.append(line)
        stream.write(line + "\n")
        stream.flush()


def find_result(lines: Sequence[str]) -> bytes | None:
    """The marked lines, joined; None when the container ended before it wrote all of them."""
    parts = [line[len(MARK) :] for line in lines if line.startswith(MARK)]
    if not parts or parts[-1] != "end":
        return None
    return base64.b64decode("".join(parts[:-1]))


def unpack(result: bytes) -> Any:
    """The function's result. Raises its exception, or CallError when it says that it could not be run or sent back."""
    import cloudpickle

    try:
        outcome, value, trace = cloudpickle.loads(result)
    except Exception as error:
        raise CallError(f"the result cannot be read here: {type(error).__name__}: {error}") from error
    if outcome == "returned":
        return value
    if outcome == "raised" and isinstance(value, BaseException):
        raise value from RemoteTraceback(trace)
    raise CallError(f"{value}\n{trace}".strip())


def _secret(name: str, part: int, files: dict[str, bytes]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-{part}", "labels": {RUN_LABEL: name}},
        "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
    }


def _runner() -> bytes:
    return (Path(__file__).parent / "call_runner.py").read_bytes()


def _path() -> bytes:
    """The caller's module folders, for what exists in the container too (on `host`: all that the caller can import).

    An empty line parts those that come before the interpreter's own from the rest.
    """
    own = (sys.prefix, sys.base_prefix)
    first = next((at for at, entry in enumerate(sys.path) if entry.startswith(own)), len(sys.path))
    lead, rest = ([entry for entry in part if entry] for part in (sys.path[:first], sys.path[first:]))
    return "\n".join([*lead, "", *rest]).encode()


def _cloudpickle() -> bytes:
    import cloudpickle

    module: types.ModuleType = cloudpickle
    folder = Path(str(module.__file__)).parent
    return _zip({f"cloudpickle/{source.name}": source for source in sorted(folder.glob("*.py"))})


def _modules() -> bytes:
    """The sources of the user's own modules that are imported here, for containers where they are not.

    Too many of them are left out: such a project belongs into the image.
    """
    sources = {}
    for name, module in sorted(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name != "__main__" and isinstance(source, str) and source.endswith(".py") and _is_users(Path(source)):
            path = name.replace(".", "/")
            sources[f"{path}/__init__.py" if source.endswith("/__init__.py") else f"{path}.py"] = Path(source)
    archive = _zip(sources)
    return archive if len(archive) <= _MODULES_BYTES_MAX else _zip({})


def _is_users(source: Path) -> bool:
    """Neither the interpreter's, nor installed, nor raypod's own."""
    own = Path(__file__).parent
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, own, own.parent / "actors")
    installed = {"site-packages", "dist-packages"} & set(source.parts)
    return source.is_file() and not installed and not any(source.is_relative_to(prefix) for prefix in prefixes)


def _zip(sources: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in sources.items():
            archive.writestr(name, source.read_bytes())
    return buffer.getvalue()
