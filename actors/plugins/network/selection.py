"""What a network gets that the configuration leaves open: the usual bridge and range, or others where another raypod
on the host has those. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

import msgspec

from actors.plugins.network.config import BRIDGE, CLUSTER_CIDR, NetworkConfig
from actors.plugins.network.ownership import Mark, explain_conflict

#: Where further clusters of a host get their ranges, a /16 each: beside CLUSTER_CIDR, and as free of others.
FURTHER_CIDRS = "10.192.0.0/11"
_FURTHER_PREFIX = 16
_VXLAN_IDS = 1 << 23


class Chosen(msgspec.Struct, frozen=True):
    """What was chosen before, to be chosen again."""

    bridge: str = ""
    cluster_cidr: str = ""


def select_network(
    config: NetworkConfig, home: str, others: Sequence[Mark], routes: Iterable[tuple[str, str]], before: Chosen
) -> NetworkConfig:
    """`others`: the marks of other homes that live; `routes`: (device, range) of the host.

    Raises ValueError, one sentence, for what the configuration names and another has.
    """
    if sentence := explain_conflict(config, others):
        raise ValueError(sentence)
    seed = zlib.crc32(home.encode())
    bridge = config.bridge or _select_bridge(seed, {mark.bridge for mark in others}, before.bridge)
    foreign = [IPv4Network(cidr) for device, cidr in routes if device not in (bridge, f"{bridge}.v")]
    cidr = config.cluster_cidr or _select_cidr(config, seed, others, foreign, before.cluster_cidr)
    is_usual = bridge == BRIDGE or config.vxlan_id != NetworkConfig().vxlan_id
    vxlan_id = config.vxlan_id if is_usual else _VXLAN_IDS + seed % _VXLAN_IDS
    return msgspec.structs.replace(config, bridge=bridge, cluster_cidr=cidr, vxlan_id=vxlan_id)


def _select_bridge(seed: int, taken: set[str], before: str) -> str:
    own = (f"raypod-{(seed + number) % (1 << 24):06x}" for number in range(len(taken) + 1))
    return next(name for name in (*filter(None, [before]), BRIDGE, *own) if name not in taken)


def _select_cidr(
    config: NetworkConfig, seed: int, others: Sequence[Mark], foreign: Sequence[IPv4Network], before: str
) -> str:
    further = list(IPv4Network(FURTHER_CIDRS).subnets(new_prefix=min(_FURTHER_PREFIX, config.pod_cidr_prefix)))
    first = seed % len(further)
    usual = [cidr for cidr in (before, CLUSTER_CIDR) if cidr]
    taken = [*foreign, *(IPv4Network(mark.cluster_cidr) for mark in others)]
    for network in [*map(IPv4Network, usual), *further[first:], *further[:first]]:
        if not any(network.overlaps(other) for other in taken):
            return str(network)
    raise ValueError(
        f"no range of addresses for pods is free in {CLUSTER_CIDR} and {FURTHER_CIDRS}: set "
        "nodelet.network.cluster_cidr to one that this host has no route into"
    )


def parse_routes(text: str) -> list[tuple[str, str]]:
    """(device, range) of each route in /proc/net/route but the default one."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and int(words[7], 16):
            address, mask = (int.from_bytes(bytes.fromhex(words[i])[::-1]) for i in (1, 7))
            found.append((words[0], str(IPv4Network((address, mask.bit_count()), strict=False))))
    return found
