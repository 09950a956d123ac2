"""`kubectl get services` and `kubectl get endpoints`."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.meta import Lens, Resource
from actors.gateway.tables.table import AGE, NAME, NONE, Cell, Column, Printer, age, wide

_SHOWN_MAX = 3


class ServicePort(Lens, frozen=True):
    port: int = 0
    protocol: str = "TCP"
    node_port: int = 0


class ServiceSpec(Lens, frozen=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    external_ips: tuple[str, ...] | None = msgspec.field(name="externalIPs", default=None)
    external_name: str = ""
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None


class ShownService(Resource, frozen=True):
    spec: ServiceSpec = ServiceSpec()


def _external(spec: ServiceSpec) -> str:
    if spec.type == "ExternalName":
        return spec.external_name
    if spec.external_ips:
        return ",".join(spec.external_ips)
    return "<pending>" if spec.type == "LoadBalancer" else NONE


def _ports(spec: ServiceSpec) -> str:
    texts = (
        f"{p.port}:{p.node_port}/{p.protocol}" if p.node_port else f"{p.port}/{p.protocol}" for p in spec.ports or ()
    )
    return ",".join(texts) or NONE


def cells(service: ShownService, now: Millis) -> tuple[Cell, ...]:
    spec = service.spec
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.selector or {}).items()))
    address = spec.cluster_ip or NONE
    return service.metadata.name, spec.type, address, _external(spec), _ports(spec), age(service, now), selector or NONE


PRINTER = Printer(
    (NAME, Column("Type"), Column("Cluster-IP"), Column("External-IP"), Column("Port(s)"), AGE, *wide("Selector")),
    ShownService,
    cells,
)


class Address(Lens, frozen=True):
    ip: str = ""


class EndpointPort(Lens, frozen=True):
    port: int = 0


class Subset(Lens, frozen=True):
    addresses: tuple[Address, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class ShownEndpoints(Resource, frozen=True):
    subsets: tuple[Subset, ...] | None = None


def _endpoints(shown: ShownEndpoints) -> str:
    texts = [
        f"{address.ip}:{port.port}"
        for subset in shown.subsets or ()
        for port in subset.ports or (EndpointPort(),)
        for address in subset.addresses or ()
    ]
    more = f" + {len(texts) - _SHOWN_MAX} more..." if len(texts) > _SHOWN_MAX else ""
    return ",".join(texts[:_SHOWN_MAX]) + more or NONE


def endpoints_cells(shown: ShownEndpoints, now: Millis) -> tuple[Cell, ...]:
    return shown.metadata.name, _endpoints(shown), age(shown, now)


ENDPOINTS_PRINTER = Printer((NAME, Column("Endpoints"), AGE), ShownEndpoints, endpoints_cells)
