"""`ip("10.0.0.1").family()`, `cidr("10.0.0.0/8").containsIP("10.0.0.1")`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, ClassVar

from actors.api.cel.functions.declare import BOOL, INT, STRING, Function, member, opaque, traversal
from actors.api.cel.values import size_of

IP, CIDR = opaque("net.IP"), opaque("net.CIDR")

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


def _address(text: str) -> _Address:
    """Without zones and IPv4 in IPv6, as in Kubernetes. Raises ValueError."""
    found = ip_address(text)
    if isinstance(found, IPv6Address) and (found.scope_id or found.ipv4_mapped):
        raise ValueError(f"IP Address {text[:64]!r}: zones and IPv4-mapped addresses are not allowed")
    return found


def _network(text: str) -> _Network:
    if "/" not in text or not text.partition("/")[2].isdigit():
        raise ValueError(f"network address parse error during conversion from string: {text[:64]!r}")
    _address(text.partition("/")[0])
    return ip_network(text, strict=False)


def can(parse: Callable[..., Any]) -> Callable[..., bool]:
    """Whether it does, without raising ValueError."""

    def check(*args: Any) -> bool:
        try:
            parse(*args)
        except ValueError:
            return False
        return True

    return check


@dataclass(slots=True, frozen=True)
class Ip:
    address: _Address
    type_name: ClassVar[str] = "net.IP"

    @property
    def text(self) -> str:
        return str(self.address)


@dataclass(slots=True, frozen=True)
class Cidr:
    """`address` is the one that was written; `network` has no bits of a host."""

    address: _Address
    network: _Network
    type_name: ClassVar[str] = "net.CIDR"

    @property
    def text(self) -> str:
        return f"{self.address}/{self.network.prefixlen}"


def _ip(text: str) -> Ip:
    return Ip(_address(text))


def _cidr(text: str) -> Cidr:
    return Cidr(_address(text.partition("/")[0]), _network(text))


def _asks(question: Callable[[_Address], Any]) -> Callable[[Ip], Any]:
    return lambda value: question(value.address)


def _contains_ip(outer: Cidr, inner: Any) -> bool:
    return (inner.address if isinstance(inner, Ip) else _address(inner)) in outer.network


def _contains_cidr(outer: Cidr, inner: Any) -> bool:
    a, b = outer.network, inner.network if isinstance(inner, Cidr) else _network(inner)
    return a.version == b.version and b.network_address in a and b.prefixlen >= a.prefixlen


def _is_global_unicast(address: _Address) -> bool:
    """Go's: neither unspecified, loopback, multicast, link-local nor the broadcast address."""
    no = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not no and str(address) != "255.255.255.255"


def _is_link_local_multicast(address: _Address) -> bool:
    return address in ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/16")


def _masked(value: Cidr) -> Cidr:
    return Cidr(value.network.network_address, value.network)


def _contains_cost(args: Sequence[Any]) -> int:
    return 4 + math.ceil(size_of(args[1]) / 10)


FUNCTIONS = (
    Function("ip", (STRING,), IP, _ip, cost=traversal()),
    Function("isIP", (STRING,), BOOL, can(_address), cost=traversal()),
    Function("ip.isCanonical", (STRING,), BOOL, lambda text: str(_address(text)) == text, cost=traversal(0.2)),
    Function("cidr", (STRING,), CIDR, _cidr, cost=traversal()),
    Function("isCIDR", (STRING,), BOOL, can(_network), cost=traversal()),
    member("family", (IP,), INT, _asks(lambda address: address.version)),
    member("isUnspecified", (IP,), BOOL, _asks(lambda address: address.is_unspecified)),
    member("isLoopback", (IP,), BOOL, _asks(lambda address: address.is_loopback)),
    member("isLinkLocalMulticast", (IP,), BOOL, _asks(_is_link_local_multicast)),
    member("isLinkLocalUnicast", (IP,), BOOL, _asks(lambda address: address.is_link_local)),
    member("isGlobalUnicast", (IP,), BOOL, _asks(_is_global_unicast)),
    *(member("containsIP", (CIDR, inner), BOOL, _contains_ip, _contains_cost) for inner in (IP, STRING)),
    *(member("containsCIDR", (CIDR, inner), BOOL, _contains_cidr, _contains_cost) for inner in (CIDR, STRING)),
    member("ip", (CIDR,), IP, lambda value: Ip(value.address)),
    member("masked", (CIDR,), CIDR, _masked),
    member("prefixLength", (CIDR,), INT, lambda value: value.network.prefixlen),
    Function("string", (IP,), STRING, lambda value: value.text),
    Function("string", (CIDR,), STRING, lambda value: value.text),
)
