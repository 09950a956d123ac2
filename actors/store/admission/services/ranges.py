"""The addresses that Services may get: the networks of the ServiceCIDR objects that are not being deleted (KEP-1880).

The one named `kubernetes` says which IP families the cluster has, and which is first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import chain

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import IP_ADDRESS, SERVICE_CIDR
from actors.api.meta import Lens, ObjectMeta
from actors.store.admission.outcome import Context
from actors.store.admission.services.families import IPV4, IPV6

DEFAULT_RANGE = "kubernetes"
Network = IPv4Network | IPv6Network
#: Bounds of the part at the start of a range that is left for addresses which users choose (KEP-3070).
_STATIC_MIN, _STATIC_MAX, _STATIC_SHARE = 16, 256, 16


class _Spec(Lens, frozen=True):
    cidrs: tuple[str, ...] | None = None


class _Range(Lens, frozen=True):
    metadata: ObjectMeta
    spec: _Spec = _Spec()


@lru_cache(maxsize=256)
def _read(body: bytes) -> tuple[bool, tuple[Network, ...]]:
    """Whether it is being deleted, and its networks."""
    found = msgspec.json.decode(body, type=_Range)
    return found.metadata.is_deleting, tuple(ip_network(cidr) for cidr in found.spec.cidrs or ())


def family(network: Network) -> str:
    return IPV4 if network.version == 4 else IPV6


def ready_networks(context: Context, without: str = "") -> list[Network]:
    """Of every range but the one of the name `without`; in the order of their names, the default range first."""
    found = {stored.key.name: _read(stored.body) for stored in context.scan(SERVICE_CIDR.resource, "")}
    names = sorted(found, key=lambda name: (name != DEFAULT_RANGE, name))
    return [network for name in names if name != without and not found[name][0] for network in found[name][1]]


def configured_families(context: Context) -> tuple[str, ...]:
    """Of the default range; IPv4 alone where there is none."""
    stored = context.lookup(Key(SERVICE_CIDR.resource, "", DEFAULT_RANGE))
    families = dict.fromkeys(family(network) for network in _read(stored.body)[1]) if stored else {}
    return tuple(families) or (IPV4,)


def is_dying(body: bytes) -> bool:
    return _read(body)[0]


def only_here(obj: Object, name: str, context: Context, without: Collection[Key] = ()) -> bool:
    """Whether some address is held that no range but this ServiceCIDR could give; `without`: those about to go."""
    networks = [ip_network(cidr) for cidr in obj["spec"].get("cidrs") or ()]
    others = ready_networks(context, name)
    held = (stored.key for stored in context.scan(IP_ADDRESS.resource, "") if stored.key not in without)
    return any(
        any(holds(network, key.name) for network in networks) and not any(holds(other, key.name) for other in others)
        for key in held
    )


def holds(network: Network, address: str) -> bool:
    """Whether the address is one that the network can give: not the network's own, not its broadcast."""
    found = ip_address(address)
    if found.version != network.version or found not in network:
        return False
    return 0 < int(found) - int(network.network_address) <= _size(network)


def _size(network: Network) -> int:
    return max(network.num_addresses - (2 if network.version == 4 else 1), 0)


def free_address(networks: Iterable[Network], seed: int, is_taken: Callable[[str], bool]) -> str | None:
    """Some address that is not taken: at first of those that are left for nobody to choose. None: all are taken."""
    for network in networks:
        size = _size(network)
        static = min(max(_STATIC_MIN, size // _STATIC_SHARE), _STATIC_MAX) if size > _STATIC_MIN else 0
        for offset in chain(_from(seed, static, size), range(static)):
            address = str(network[offset + 1])
            if not is_taken(address):
                return address
    return None


def _from(seed: int, low: int, high: int) -> Iterable[int]:
    """Every number of [low, high) once, beginning somewhere."""
    count = high - low
    return (low + (seed + step) % count for step in range(min(count, 1 << 24)))
