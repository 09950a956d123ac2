"""What can be set about the store. Every default works."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from actors.store.admission.profile import AdmissionConfig


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """History is kept for watches, old reads and `raypod history` until it is older than `retention_minutes` or larger
    than `retention_bytes` or `retention_revisions`, but never less than the last minute, unless that alone is four
    times `retention_bytes`; what is asked for below that is answered Expired, with the oldest revision that is left.
    Idempotency keys live `reply_retention_minutes`.
    `encryption_file`: the EncryptionConfiguration by which what is on the disk is sealed; "": `encryption.yaml` under
    the home, made at the first start with a key for Secrets; `off`: none. `admission`: which of the built-in plugins
    are on.

    Services get their addresses from `service_cidrs`: a network, or one of each family (dual stack); read when the
    store is made, further ones are ServiceCIDR objects. Their node ports are of `service_node_ports`.
    """

    retention_minutes: int = 60
    retention_revisions: int = 50_000
    retention_bytes: int = 256 << 20
    reply_retention_minutes: int = 10
    reply_retention_count: int = 100_000
    object_bytes_max: int = 1536 << 10
    watch_events_max: int = 1000
    event_minutes: int = 60
    housekeeping_seconds: float = 20.0
    api_port: int = 6443
    encryption_file: str = ""
    admission: AdmissionConfig = AdmissionConfig()
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    service_node_ports: str = "30000-32767"

    def __post_init__(self) -> None:
        parse_ports(self.service_node_ports)
        networks = [_parse_network(cidr) for cidr in self.service_cidrs]
        if not 1 <= len({network.version for network in networks}) == len(networks):
            raise ValueError("service_cidrs: one network, or one IPv4 and one IPv6, the cluster's first family first")

    @property
    def node_ports(self) -> tuple[int, int]:
        """The first and the last that Services of type NodePort may have."""
        return parse_ports(self.service_node_ports)


@lru_cache(maxsize=16)
def parse_ports(text: str) -> tuple[int, int]:
    """Of `30000-32767`. Raises ValueError."""
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high) <= 65_535):
        raise ValueError(f"service_node_ports {text!r}: two ports, such as 30000-32767")
    return int(low), int(high)


def _parse_network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        raise ValueError(f"service_cidrs: {cidr!r} is no network such as 10.96.0.0/16: {error}") from error
    if network.num_addresses < 4:
        raise ValueError(f"service_cidrs: {cidr} has no room for a Service")
    return network
