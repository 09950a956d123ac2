"""`kubectl get services` and `kubectl get endpoints`."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.services import EndpointPort, Endpoints, Service, ServiceSpec
from actors.gateway.tables.table import AGE, NAME, NONE, Cell, Column, Printer, age, wide

_SHOWN_MAX = 3


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


def cells(service: Service, now: Millis) -> tuple[Cell, ...]:
    spec = service.spec
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.selector or {}).items()))
    address = spec.cluster_ip or NONE
    return service.metadata.name, spec.type, address, _external(spec), _ports(spec), age(service, now), selector or NONE


PRINTER = Printer(
    (NAME, Column("Type"), Column("Cluster-IP"), Column("External-IP"), Column("Port(s)"), AGE, *wide("Selector")),
    Service,
    cells,
)


def _endpoints(shown: Endpoints) -> str:
    texts = [
        f"{address.ip}:{port.port}"
        for subset in shown.subsets or ()
        for port in subset.ports or (EndpointPort(),)
        for address in subset.addresses or ()
    ]
    more = f" + {len(texts) - _SHOWN_MAX} more..." if len(texts) > _SHOWN_MAX else ""
    return ",".join(texts[:_SHOWN_MAX]) + more or NONE


def endpoints_cells(shown: Endpoints, now: Millis) -> tuple[Cell, ...]:
    return shown.metadata.name, _endpoints(shown), age(shown, now)


ENDPOINTS_PRINTER = Printer((NAME, Column("Endpoints"), AGE), Endpoints, endpoints_cells)
