"""From what a user says of a run to a batch/v1 Job. Pure; every bad argument is a ValueError that names it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]

RUN_LABEL = "raypod.io/run"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
GPU = "nvidia.com/gpu"
CONTAINER = "main"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$")
_MEMORY = re.compile(r"\d+(\.\d+)?([KMGTPE]i?|k)?$")


def job_manifest(
    name: str,
    image: str,
    command: Sequence[str] = (),
    *,
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
) -> Object:
    """An Indexed Job of `replicas` pods that run at the same time, each with `cpus`, `memory` and `gpus`."""
    _check_name(name)
    _check_image(image)
    for field, value in (("command", command), ("args", args)):
        if isinstance(value, str):
            raise ValueError(f'{field}: a list of words, such as ["python", "train.py"], not the text {value!r}')
    if replicas < 1:
        raise ValueError(f"replicas: at least 1, not {replicas}")
    mounts, sources = _volumes(volumes or {})
    container = _without_empty(
        name=CONTAINER,
        image=image,
        command=[str(word) for word in command],
        args=[str(word) for word in args],
        workingDir=working_dir,
        env=[{"name": str(key), "value": str(value)} for key, value in (env or {}).items()],
        resources=_resources(cpus, memory, gpus),
        volumeMounts=mounts,
    )
    pod = _without_empty(
        restartPolicy="Never", containers=[container], volumes=sources, nodeSelector=dict(node_selector or {})
    )
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


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise ValueError(
            f"name: {name!r} is not a name: up to 53 lower case letters, digits and '-', beginning and ending with a "
            "letter or digit"
        )


def _check_image(image: str) -> None:
    if not image or image != image.strip():
        raise ValueError(f"image: {image!r} is not an image: a reference such as 127.0.0.1:5000/train:1, or host")


def _resources(cpus: float | None, memory: str | int | None, gpus: int) -> Object:
    """Requests are the limits: what a run has is its own, and no more."""
    limits: dict[str, str] = {}
    if cpus is not None:
        if cpus <= 0:
            raise ValueError(f"cpus: more than 0, not {cpus}")
        limits["cpu"] = f"{round(cpus * 1000)}m"
    if memory is not None:
        if not _MEMORY.match(str(memory)):
            raise ValueError(f"memory: bytes, or a quantity such as 512Mi or 8Gi, not {memory!r}")
        limits["memory"] = str(memory)
    if gpus < 0 or gpus != int(gpus):
        raise ValueError(f"gpus: a whole number, not {gpus}")
    if gpus:
        limits[GPU] = str(int(gpus))
    return {"limits": limits, "requests": dict(limits)} if limits else {}


def _volumes(volumes: Mapping[str, str]) -> tuple[list[Object], list[Object]]:
    """Container path -> host path; a host path that ends in `:ro` is mounted read-only."""
    mounts, sources = [], []
    for position, (target, source) in enumerate(volumes.items()):
        source, read_only = (source[:-3], True) if source.endswith(":ro") else (source, False)
        for path in (target, source):
            if not path.startswith("/"):
                raise ValueError(
                    f"volumes: {path!r} is not an absolute path; write {{'/in/container': '/on/the/node'}}"
                )
        mounts.append({"name": f"v{position}", "mountPath": target, **({"readOnly": True} if read_only else {})})
        sources.append({"name": f"v{position}", "hostPath": {"path": source, "type": ""}})
    return mounts, sources


def _without_empty(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value not in ("", [], {}, None)}
