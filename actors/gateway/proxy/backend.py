"""Where a proxied request goes: a pod's address and port, an endpoint of a service, a node."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.api.codec import decode, lens
from actors.api.errors import ApiError, BadRequest, NotFound, Unavailable
from actors.api.key import Key
from actors.api.kinds import NODE, POD
from actors.api.pod import Pod
from actors.api.streams import StreamRequest
from actors.gateway.call import Call
from actors.gateway.proxy.line import Lines
from actors.gateway.proxy.location import Location, check_address, parse_location
from actors.nodelet.streams.frames import Frames
from actors.reconcile.watch import Selection

_SLICES, _ENDPOINTS, _SERVICES = "endpointslices.discovery.k8s.io", "endpoints", "services"
_SERVICE_LABEL = "kubernetes.io/service-name"
_HTTP, _HTTPS = 80, 443


class Endpoint(msgspec.Struct, frozen=True):
    address: str
    port: int
    pod: str = ""


async def find_lines(call: Call) -> Lines:
    """Raises NotFound, BadRequest, Unavailable in kube-apiserver's words."""
    plural = call.target.plural
    location = parse_location(call.target.name, plural.removesuffix("s"))
    if plural == "pods":
        return await _to_pod(call, location)
    return await (_to_service if plural == "services" else _to_node)(call, location)


async def _to_pod(call: Call, location: Location) -> Lines:
    """Without a port: the first one that one of its containers names."""
    pod = lens(await call.store.get(Key(POD.resource, call.target.namespace, location.name)), Pod)
    named = (port.container_port for container in pod.spec.containers for port in container.ports or ())
    port = location.port_number or (0 if location.port else next(named, _default(location)))
    if not port:
        raise BadRequest(f'invalid pod request "{call.target.name}"')
    return _lines_to_pod(call, pod, port, location)


def _default(location: Location) -> int:
    return _HTTPS if location.scheme == "https" else _HTTP


def _lines_to_pod(call: Call, pod: Pod, port: int, location: Location) -> Lines:
    address = pod.status.pod_ip
    check_address(address)
    request = StreamRequest(
        verb="connect",
        namespace=pod.metadata.namespace,
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        port=port,
        address=address,
    )

    async def through() -> Frames:
        return await call.backend.nodes.open_stream(pod.spec.node_name, request)

    return Lines(address, port, secure=location.scheme == "https", through=through)


async def _to_service(call: Call, location: Location) -> Lines:
    namespace = call.target.namespace
    service = decode(await call.store.get(Key(_SERVICES, namespace, location.name)))
    port_name = _port_name(service, location)
    endpoints = await _ready_endpoints(call, location.name, port_name)
    if not endpoints:
        raise Unavailable(f'no endpoints available for service "{location.name}"')
    chosen = random.choice(endpoints)
    check_address(chosen.address)
    if chosen.pod:
        try:
            pod = lens(await call.store.get(Key(POD.resource, namespace, chosen.pod)), Pod)
        except NotFound as error:
            raise Unavailable(f'no endpoints available for service "{location.name}"') from error
        if pod.status.pod_ip == chosen.address:
            return _lines_to_pod(call, pod, chosen.port, location)
    return Lines(chosen.address, chosen.port, secure=location.scheme == "https", through=None)


def _port_name(service: Mapping[str, Any], location: Location) -> str:
    """Endpoints go by the port's name; a number is that of the service. Raises Unavailable."""
    if not location.port_number:
        return location.port
    for port in service["spec"].get("ports") or ():
        if port.get("port") == location.port_number:
            return str(port.get("name", ""))
    raise Unavailable(f'no service port {location.port_number} found for service "{location.name}"')


async def _ready_endpoints(call: Call, service: str, port_name: str) -> list[Endpoint]:
    namespace = call.target.namespace
    selection = Selection((_SLICES,), namespace=namespace, labels=f"{_SERVICE_LABEL}={service}")
    slices = [decode(item) for item in (await call.store.list(selection)).items]
    if slices:
        return [endpoint for one in slices for endpoint in _of_slice(one, port_name)]
    try:
        return list(_of_endpoints(decode(await call.store.get(Key(_ENDPOINTS, namespace, service))), port_name))
    except NotFound:
        return []


def _of_slice(one: Mapping[str, Any], port_name: str) -> Iterable[Endpoint]:
    ports = [port["port"] for port in one.get("ports") or () if (port.get("name") or "") == port_name]
    for endpoint in one.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is False:
            continue
        for address in endpoint.get("addresses") or ():
            yield from (Endpoint(address, port, _pod_of(endpoint)) for port in ports)


def _of_endpoints(found: Mapping[str, Any], port_name: str) -> Iterable[Endpoint]:
    for subset in found.get("subsets") or ():
        ports = [port["port"] for port in subset.get("ports") or () if (port.get("name") or "") == port_name]
        for address in subset.get("addresses") or ():
            yield from (Endpoint(address["ip"], port, _pod_of(address)) for port in ports)


def _pod_of(endpoint: Mapping[str, Any]) -> str:
    reference = endpoint.get("targetRef") or {}
    return str(reference.get("name", "")) if reference.get("kind") == "Pod" else ""


async def _to_node(call: Call, location: Location) -> Lines:
    """A port of the node's own. Its nodelet serves none: there is no kubelet to talk to."""
    node = decode(await call.store.get(Key(NODE.resource, "", location.name)))
    addresses = (node.get("status") or {}).get("addresses") or ()
    address = next((found["address"] for found in addresses if found.get("type") == "InternalIP"), "")
    if not location.port_number:
        raise Unavailable(f'node "{location.name}" serves no kubelet API: name a port, as in {location.name}:PORT')
    check_address(address)
    return Lines(address, location.port_number, secure=location.scheme == "https", through=None)


def reaching_failed(lines: Lines, error: Exception) -> ApiError:
    """kube-apiserver's word for a target that does not answer."""
    why = lines.failure or str(error) or type(error).__name__
    return Unavailable(f"error trying to reach service: {why}")
