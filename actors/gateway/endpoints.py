"""Where the API itself is served, as the Endpoints and the EndpointSlice of the Service `default/kubernetes` tell it
(as kube-apiserver's endpoint reconciler does). Told at each start of the gateway, for its port and host may be others.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from actors.api.codec import Object
from actors.api.errors import ApiError
from actors.api.key import Key
from actors.api.kinds import ENDPOINT_SLICE, ENDPOINTS, Kind
from actors.reconcile.actions import Create, Patch, PatchType, StoreWrite
from actors.store.port import StorePort

log = logging.getLogger(__name__)
_NAMESPACE, _NAME = "default", "kubernetes"
_ELSEWHERE = "192.0.2.1"


def describe_endpoints(address: str, port: int) -> list[tuple[Kind, Object]]:
    """The two objects as they should be."""
    https = {"name": "https", "port": port, "protocol": "TCP"}
    family = "IPv6" if ip_address(address).version == 6 else "IPv4"
    endpoints = {"subsets": [{"addresses": [{"ip": address}], "ports": [https]}]}
    parts = {"endpoints": [{"addresses": [address], "conditions": {"ready": True}}], "ports": [https]}
    return [
        (ENDPOINTS, {"metadata": _metadata("endpointslice.kubernetes.io/skip-mirror", "true"), **endpoints}),
        (
            ENDPOINT_SLICE,
            {"metadata": _metadata("kubernetes.io/service-name", _NAME), "addressType": family, **parts},
        ),
    ]


def _metadata(label: str, value: str) -> Object:
    return {"name": _NAME, "namespace": _NAMESPACE, "labels": {label: value}}


async def tell_endpoints(store: StorePort, address: str, port: int) -> None:
    """Nothing is told of an address that is nobody else's. A store that does not take it is asked again at the next
    start: the API works without."""
    if _is_own(address):
        return
    wanted = describe_endpoints(address, port)
    creates = [Create(resource=kind.resource, namespace=_NAMESPACE, object=obj) for kind, obj in wanted]
    try:
        replies = await store.commit(creates)
        known = [pair for pair, reply in zip(wanted, replies, strict=True) if reply.error is not None]
        replies = await store.commit(_patches(known)) if known else []
    except ApiError as error:
        log.warning("where the API is served could not be told: %s", error.message)
        return
    for reply in replies:
        if reply.error is not None:
            log.warning("where the API is served could not be told: %s", reply.error.get("message"))


def _is_own(address: str) -> bool:
    """Whether it is no address, or one that means another host to everybody else."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True


def _patches(wanted: Sequence[tuple[Kind, Object]]) -> list[StoreWrite]:
    return [Patch(key=Key(kind.resource, _NAMESPACE, _NAME), patch=obj, type=PatchType.MERGE) for kind, obj in wanted]


def outer_address(host: str) -> str:
    """By which other hosts and pods reach what listens on `host`; for all of this host's: the one by which it would
    reach others (no packet is sent). "" when there is none."""
    if not _is_own(host):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
