"""From a Service's name and port to an address that answers: its EndpointSlices, its Endpoints, else its ready pods.

There is no need for a proxy of services on the way: who calls talks to an endpoint itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from actors.api.codec import Object, decode
from actors.api.errors import ApiError, NotFound
from actors.api.key import Key
from actors.api.kinds import ENDPOINTS, POD, SERVICE
from actors.reconcile.watch import Selection
from actors.remote.target import RemoteError
from actors.store.port import StorePort

_SLICES = "endpointslices.discovery.k8s.io"
_SERVICE_LABEL = "kubernetes.io/service-name"


class Address(NamedTuple):
    host: str
    port: int


class ServiceError(RemoteError):
    """A service that leads nowhere. `reason` and `condition` are what an APIService's condition says of it."""

    def __init__(self, text: str, reason: str, condition: str) -> None:
        super().__init__(text)
        self.reason, self.condition = reason, condition


async def resolve_service(store: StorePort, namespace: str, name: str, port: int) -> Address:
    """One of the addresses, by chance. Raises ServiceError in kube-apiserver's words."""
    try:
        service = decode(await store.get(Key(SERVICE.resource, namespace, name)))
    except NotFound:
        why = f'service/{name} in "{namespace}" is not present'
        raise ServiceError(f'service "{name}" not found', "ServiceNotFound", why) from None
    except ApiError as error:
        raise ServiceError(error.message, "ServiceAccessError", error.message) from error
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return Address(str(spec.get("externalName")), port)
    wanted = next((row for row in spec.get("ports") or () if row.get("port") == port), None)
    if wanted is None:
        why = f'service/{name} in "{namespace}" is not listening on port {port}'
        raise ServiceError(f'no service port {port} found for service "{name}"', "ServicePortError", why)
    found = sorted(await _addresses(store, namespace, name, wanted, spec.get("selector")))
    if not found:
        port_name = wanted.get("name") or ""
        why = f'endpoints for service/{name} in "{namespace}" have no addresses with port name "{port_name}"'
        raise ServiceError(f'no endpoints available for service "{name}"', "MissingEndpoints", why)
    return random.choice(found)


async def _addresses(store: StorePort, namespace: str, name: str, port: Object, selector: Any) -> set[Address]:
    slices = await store.list(Selection((_SLICES,), namespace, labels=f"{_SERVICE_LABEL}={name}"))
    if found := set(_of_slices((decode(item) for item in slices.items), str(port.get("name") or ""))):
        return found
    try:
        known = decode(await store.get(Key(ENDPOINTS.resource, namespace, name)))
    except NotFound:
        known = {}
    if found := set(_of_subsets(known.get("subsets") or (), str(port.get("name") or ""))):
        return found
    if not isinstance(selector, dict) or not selector:
        return set()
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    pods = await store.list(Selection((POD.resource,), namespace, labels=labels))
    return set(_of_pods((decode(item) for item in pods.items), port))


def _of_slices(slices: Iterable[Object], port_name: str) -> Iterator[Address]:
    for one in slices:
        ports = [row.get("port") for row in one.get("ports") or () if (row.get("name") or "") == port_name]
        for endpoint in one.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True) is not False:
                yield from (Address(host, port) for host in endpoint.get("addresses") or () for port in ports if port)


def _of_subsets(subsets: Iterable[Object], port_name: str) -> Iterator[Address]:
    for subset in subsets:
        ports = [row.get("port") for row in subset.get("ports") or () if (row.get("name") or "") == port_name]
        for address in subset.get("addresses") or ():
            yield from (Address(address["ip"], port) for port in ports if port and address.get("ip"))


def _of_pods(pods: Iterable[Object], port: Object) -> Iterator[Address]:
    for pod in pods:
        status = pod.get("status") or {}
        ready = any(
            row.get("type") == "Ready" and row.get("status") == "True" for row in status.get("conditions") or ()
        )
        number = _target_port(pod, port)
        if ready and number and status.get("podIP") and "deletionTimestamp" not in pod["metadata"]:
            yield Address(status["podIP"], number)


def _target_port(pod: Object, port: Object) -> int:
    target = port.get("targetPort", port.get("port"))
    if isinstance(target, int):
        return target
    containers = (pod.get("spec") or {}).get("containers") or ()
    rows = (row for container in containers for row in container.get("ports") or ())
    return next((row["containerPort"] for row in rows if row.get("name") == target), 0)
