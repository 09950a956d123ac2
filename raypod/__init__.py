"""What users import: run images and Python functions as containers on a Ray cluster.

    import raypod

    cluster = raypod.Cluster()
    run = cluster.run("train", image="127.0.0.1:5000/train:1", command=["python", "train.py"], replicas=2, gpus=1)
    for line in run.logs(follow=True):
        print(line)

Talks to the gateway over the Kubernetes API; knows nothing of Ray. Imports are lazy, so that this one is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raypod.cluster import AsyncCluster
    from raypod.errors import (
        ApiError,
        CallError,
        ClusterUnreachable,
        CommandNotStarted,
        CopyError,
        NameTaken,
        NotFound,
        RaypodError,
        SomeRefused,
        WaitTimeout,
    )
    from raypod.runs import AsyncRun
    from raypod.status import RunStatus
    from raypod.sync import Cluster, Run

_HOMES = {
    "Cluster": "sync",
    "Run": "sync",
    "AsyncCluster": "cluster",
    "AsyncRun": "runs",
    "RunStatus": "status",
    "ApiError": "errors",
    "CallError": "errors",
    "ClusterUnreachable": "errors",
    "CommandNotStarted": "errors",
    "CopyError": "errors",
    "NameTaken": "errors",
    "NotFound": "errors",
    "RaypodError": "errors",
    "SomeRefused": "errors",
    "WaitTimeout": "errors",
}

__all__ = [
    "ApiError",
    "AsyncCluster",
    "AsyncRun",
    "CallError",
    "Cluster",
    "ClusterUnreachable",
    "CommandNotStarted",
    "CopyError",
    "NameTaken",
    "NotFound",
    "RaypodError",
    "Run",
    "RunStatus",
    "SomeRefused",
    "WaitTimeout",
]


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of ours

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'raypod' has no attribute {name!r}")
        return getattr(import_module(f"raypod.{home}"), name)
