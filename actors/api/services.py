"""Lenses over Service and Endpoints (core/v1) and EndpointSlice (discovery.k8s.io/v1)."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.meta import Lens, Resource

#: On a slice: of which Service it is, and who keeps it.
SERVICE_LABEL = "kubernetes.io/service-name"
KEEPER_LABEL = "endpointslice.kubernetes.io/managed-by"


class ServicePort(Lens, frozen=True):
    """`target_port`: a number, or the name of a container's port; by default the Service's own."""

    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None
    node_port: int = 0


class ServiceSpec(Lens, frozen=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    ip_families: tuple[str, ...] | None = None
    external_ips: tuple[str, ...] | None = msgspec.field(name="externalIPs", default=None)
    external_name: str = ""
    ports: tuple[ServicePort, ...] | None = None
    selector: dict[str, str] | None = None
    publish_not_ready_addresses: bool = False
    traffic_distribution: str | None = None


class Service(Resource, frozen=True):
    spec: ServiceSpec = ServiceSpec()

    @property
    def has_address(self) -> bool:
        """It is not headless."""
        return self.spec.cluster_ip not in ("", "None")


class EndpointSlice(Resource, frozen=True):
    """Endpoints and ports are compared and copied, never read: they stay dicts."""

    address_type: str = ""
    endpoints: tuple[dict[str, Any], ...] | None = None
    ports: tuple[dict[str, Any], ...] | None = None


class EndpointAddress(Lens, frozen=True):
    ip: str = ""
    hostname: str = ""
    node_name: str = ""
    target_ref: dict[str, Any] | None = None


class EndpointPort(Lens, frozen=True):
    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSubset(Lens, frozen=True):
    addresses: tuple[EndpointAddress, ...] | None = None
    not_ready_addresses: tuple[EndpointAddress, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class Endpoints(Resource, frozen=True):
    subsets: tuple[EndpointSubset, ...] | None = None


def family_of(address: str) -> str:
    """Of an IP address: IPv4 or IPv6."""
    return "IPv6" if ":" in address else "IPv4"
