"""A Ray driver's connection: to the embedded head of a home, or to a running Ray cluster by its address."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from actors.cluster.config import ClusterConfig
from actors.cluster.home import Home
from actors.cluster.keeper import KeeperState, ray_environment
from actors.cluster.ray_commands import SESSION
from actors.cluster.topology import RAY_NAMESPACE

CONNECT_SECONDS = 5.0


class AttachError(Exception):
    """No connection to Ray. One sentence with the cure."""


@contextlib.contextmanager
def attached_embedded(home: Home, config: ClusterConfig, state: KeeperState) -> Iterator[None]:
    """Connected to the head that the keeper of `home` keeps."""
    os.environ.update(ray_environment(config, home, state.session))
    _introduce(state.session.address)
    with _attached(state.session.address):
        yield


@contextlib.contextmanager
def attached_to(address: str) -> Iterator[None]:
    """Connected to a Ray cluster that somebody else keeps. This machine must be one of its nodes."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with _attached(_find_cluster() if address == "auto" else _checked(address)):
        yield


def _find_cluster() -> str:
    """What `ray start` did here last, else any Ray cluster that this machine is part of and that answers."""
    from ray._private import services

    started = services.find_bootstrap_address(None)
    for address in (*([started] if started else []), *sorted(services.find_gcs_addresses())):
        with contextlib.suppress(AttachError):
            return _checked(address)
    raise AttachError(
        "no Ray cluster runs on this machine: give its head's HOST:PORT as --address, or leave --address out for an "
        "embedded one"
    )


def _checked(address: str) -> str:
    """Ray would wait for minutes where nobody answers."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "that is not HOST:PORT"
        told = f"{reason[:1].lower()}{reason[1:]}"
        raise AttachError(
            f"no Ray cluster answers at {address}: {told}; give its head's HOST:PORT, as `ray start --head` prints it"
        ) from error
    return address


def _introduce(address: str) -> None:
    """Tell a fresh GCS what drivers and workers look up there, as `ray start` would."""
    from ray._common.usage.usage_lib import put_cluster_metadata
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # written in C

    client = GcsClient(address)
    if client.internal_kv_get(b"session_name", b"session") is None:
        put_cluster_metadata(client, ray_init_cluster=False)
        client.internal_kv_put(b"session_name", SESSION.encode(), True, b"session")


@contextlib.contextmanager
def _attached(address: str) -> Iterator[None]:
    import ray

    os.chdir("/")  # Ray gives its workers the driver's folder to import from: the user's may hold another `actors`
    project = str(Path(__file__).resolve().parents[2])
    job = ray.job_config.JobConfig(_py_driver_sys_path=[project])
    try:
        ray.init(
            address=address, namespace=RAY_NAMESPACE, job_config=job, log_to_driver=False, logging_level=logging.ERROR
        )
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AttachError(
            f"no Ray cluster answers at {address}: {first}; check the address and that this machine is one of its nodes"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
