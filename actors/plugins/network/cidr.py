"""Address arithmetic over the cluster's pods: which range a node gets, which address a pod gets. Pure.

An address that was given back is handed out again as late as possible, for peers may still send to its last holder.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable


def select_pod_cidr(cluster_cidr: str, taken: Iterable[str], prefix: int) -> str:
    """The lowest range of `prefix` bits in `cluster_cidr` that overlaps none of `taken`. ValueError when full."""
    cluster = ipaddress.IPv4Network(cluster_cidr)
    size = 1 << (32 - prefix)
    first, end = int(cluster.network_address), int(cluster.broadcast_address) + 1
    candidate = first
    for start, stop in sorted(_bounds(cidr) for cidr in taken):
        if candidate + size <= start:
            break
        if stop > candidate:
            candidate = first + -(-(stop - first) // size) * size
    if candidate + size > end:
        raise ValueError(f"no /{prefix} is left in {cluster_cidr}: choose a larger cluster CIDR or a longer prefix")
    return f"{ipaddress.IPv4Address(candidate)}/{prefix}"


def select_address(pod_cidr: str, taken: Collection[str], last: str = "") -> str:
    """The first free address after `last`, round and round: without network, gateway (.1) and broadcast address.

    ValueError when all are taken.
    """
    network = ipaddress.IPv4Network(pod_cidr)
    first, count = int(network.network_address) + 2, network.num_addresses - 3
    after = int(ipaddress.IPv4Address(last)) - first + 1 if last else 0
    for step in range(count):
        address = str(ipaddress.IPv4Address(first + (after + step) % count))
        if address not in taken:
            return address
    raise ValueError(f"all {count} addresses of {pod_cidr} are in use: the node runs as many pods as it has addresses")


def derive_gateway(pod_cidr: str) -> str:
    """The bridge's own address, the first of the range."""
    return str(ipaddress.IPv4Network(pod_cidr).network_address + 1)


def derive_mac(address: str) -> str:
    """A MAC address that follows the IP address, so that a reused address never meets a stale neighbour entry."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def _bounds(cidr: str) -> tuple[int, int]:
    network = ipaddress.IPv4Network(cidr, strict=False)
    return int(network.network_address), int(network.broadcast_address) + 1
