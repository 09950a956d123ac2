"""From what a user says of a run to a batch/v1 Job. Pure; every bad argument is a ValueError that names it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from posixpath import normpath
from typing import Any, Required, TypedDict

Object = dict[str, Any]

RUN_LABEL = "raypod.io/run"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
GPU = "nvidia.com/gpu"
CONTAINER = "main"

_EXPANDED = re.compile(r"\$(?=[$(])")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?\Z")
_MEMORY = re.compile(r"\d{1,18}(\.\d{1,9})?([KMGTPE]i?|k)?\Z", re.ASCII)
#: `host/path:tag@digest`, roughly: the node, which pulls it, knows the fine print.
_IMAGE = re.compile(
    r"((localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:)|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/)?"
    r"[a-z0-9]+([._/-]+[a-z0-9]+)*(:\w[\w.-]{0,127})?(@\w+:[0-9a-f]+)?\Z",
    re.ASCII,
)
_IMAGE_CHARS_MAX = 512
#: Kubernetes' own bound for Jobs whose pods have an index.
REPLICAS_MAX = 100_000
_CPUS_MAX = 1_000_000
_GPUS_MAX = 1_000_000


class Needs(TypedDict, total=False):
    """What each container has. `memory`: "8Gi" or bytes; `gpus`: whole ones.

    `volumes` maps paths in the container to paths on the node: `{"/data": "/mnt/data:ro"}`.
    """

    cpus: float | None
    memory: str | int | None
    gpus: int
    env: Mapping[str, object] | None
    volumes: Mapping[str, str] | None


class RunOptions(Needs, total=False):
    """`command` replaces the image's entrypoint, `args` its arguments. `replicas` containers run at the same time.

    `retries`: how many containers may fail in all before the run does. `node_selector`: labels that a node must have.
    `grace_seconds`: between SIGTERM and SIGKILL when the run is stopped. `stdin`: each container has an input for
    `attach`, which ends with the first who writes to it; `tty`: its streams are a terminal.
    """

    command: Sequence[str]
    args: Sequence[str]
    replicas: int
    retries: int
    working_dir: str
    node_selector: Mapping[str, str] | None
    labels: Mapping[str, str] | None
    grace_seconds: int | None
    stdin: bool
    tty: bool


class ManyRun(RunOptions, total=False):
    """One of many runs: what `run` takes, as a dict. `name` is drawn when it is left out."""

    name: str
    image: Required[str]


def check_options(function: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Raises TypeError, as Python does for a keyword argument that `function` has not, with the nearest that it has."""
    from difflib import get_close_matches

    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f": did you mean {near[0]!r}?" if near else f"; it has {', '.join(sorted(known))}"
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def job_manifest(
    name: str,
    image: str,
    *,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    replicas: int = 1,
    cpus: float | None = None,
    memory: str | int | None = None,
    gpus: int = 0,
    env: Mapping[str, object] | None = None,
    volumes: Mapping[str, str] | None = None,
    retries: int = 0,
    working_dir: str = "",
    node_selector: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    grace_seconds: int | None = None,
    stdin: bool = False,
    tty: bool = False,
) -> Object:
    """An Indexed Job of `replicas` pods that run at the same time, each with `cpus`, `memory` and `gpus`."""
    _check_name(name)
    _check_image(image)
    for field, value in (("command", command), ("args", args)):
        if isinstance(value, str):
            raise ValueError(f'{field}: a list of words, such as ["python", "train.py"], not the text {value!r}')
    _check_count("replicas", replicas, 1, REPLICAS_MAX)
    _check_count("retries", retries, 0, 1 << 30)
    _check_env(env or {})
    mounts, sources = _volumes(volumes or {})
    if working_dir and not working_dir.startswith("/"):
        raise ValueError(f"working_dir: {_short(working_dir)} is not an absolute path in the container, such as /app")
    container = _without_empty(
        name=CONTAINER,
        image=image,
        command=[keep_literal(word) for word in command],
        args=[keep_literal(word) for word in args],
        workingDir=working_dir,
        env=[{"name": str(key), "value": keep_literal(value)} for key, value in (env or {}).items()],
        resources=_resources(cpus, memory, gpus),
        volumeMounts=mounts,
        **({"stdin": True, "stdinOnce": True} if stdin else {}),
        **({"tty": True} if tty else {}),
    )
    pod = _without_empty(
        restartPolicy="Never", containers=[container], volumes=sources, nodeSelector=dict(node_selector or {})
    )
    pod["automountServiceAccountToken"] = False  # what a run computes needs no right at the API
    if grace_seconds is not None:
        pod["terminationGracePeriodSeconds"] = grace_seconds
    own = {RUN_LABEL: name, **(labels or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": own},
        "spec": {
            "completionMode": "Indexed",
            "completions": replicas,
            "parallelism": replicas,
            "backoffLimit": retries,
            "template": {"metadata": {"labels": own}, "spec": pod},
        },
    }


def keep_literal(value: object) -> str:
    """As a manifest has to say it: there `$(NAME)` is a variable and `$$` one dollar sign, in a run neither."""
    return _EXPANDED.sub("$$", str(value))


def is_name(text: str) -> bool:
    """Could a run be called so?"""
    return bool(_NAME.match(text))


def _check_name(name: str) -> None:
    if not is_name(name):
        raise ValueError(
            f"name: {_short(name)} is not a name: up to 53 lower case letters, digits and '-', beginning and ending "
            "with a letter or digit"
        )


def _check_image(image: str) -> None:
    if len(image) > _IMAGE_CHARS_MAX or not _IMAGE.match(image):
        raise ValueError(
            f"image: {_short(image)} is not an image: a reference in lower case such as 127.0.0.1:5000/train:1, or host"
        )


def _check_count(field: str, value: float, least: int, most: int) -> None:
    if not _is_number(value) or not least <= value <= most or value != int(value):
        raise ValueError(f"{field}: a whole number between {least} and {most}, not {_short(value)}")


def _is_number(value: object) -> bool:
    """numpy's, too."""
    return isinstance(value, Real)


def _check_env(env: Mapping[str, object]) -> None:
    for name, value in env.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            raise ValueError(f"env: {_short(name)} cannot be set: a name without '=', and no NUL in name or value")


def _resources(cpus: float | None, memory: str | int | None, gpus: int) -> Object:
    """Requests are the limits: what a run has is its own, and no more."""
    limits: dict[str, str] = {}
    if cpus is not None:
        if not _is_number(cpus) or not 0 < cpus <= _CPUS_MAX:
            raise ValueError(f"cpus: more than 0 and at most {_CPUS_MAX}, not {_short(cpus)}")
        limits["cpu"] = f"{math.ceil(round(cpus * 1000, 6))}m"
    if memory is not None:
        if not _MEMORY.match(str(memory)) or not float(str(memory).rstrip("KMGTPEik")):
            raise ValueError(f"memory: bytes, or a quantity such as 512Mi or 8Gi, not {_short(memory)}")
        limits["memory"] = str(memory)
    _check_count("gpus", gpus, 0, _GPUS_MAX)
    if gpus:
        limits[GPU] = str(int(gpus))
    return {"limits": limits, "requests": dict(limits)} if limits else {}


def _volumes(volumes: Mapping[str, str]) -> tuple[list[Object], list[Object]]:
    """Container path -> host path; a host path that ends in `:ro` is mounted read-only."""
    mounts, sources = [], []
    for position, (target, source) in enumerate(volumes.items()):
        source, read_only = (source[:-3], True) if source.endswith(":ro") else (source, False)
        for path in (target, source):
            if not path.startswith("/") or "\0" in path:
                raise ValueError(
                    f"volumes: {_short(path)} is not an absolute path; write {{'/in/container': '/on/the/node'}}"
                )
        if normpath(target).strip("/") == "":
            raise ValueError(
                f"volumes: {_short(target)} is the container's own root, which is the image: mount into a folder of it"
            )
        mounts.append({"name": f"v{position}", "mountPath": target, **({"readOnly": True} if read_only else {})})
        sources.append({"name": f"v{position}", "hostPath": {"path": source, "type": ""}})
    return mounts, sources


def _without_empty(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value not in ("", [], {}, None)}


def _short(value: object) -> str:
    """For a message: quoted, and no longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
