"""`ip("10.0.0.1").family()`, `cidr("10.0.0.0/8").containsIP("10.0.0.1")`."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from actors.api.cel.functions.declare import BOOL, DYN, INT, MAP, STRING, Function, member, tagged, untag

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


def _can(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _ip(text: str) -> dict[str, Any]:
    return tagged("ip", str(_address(text)))


def _cidr(text: str) -> dict[str, Any]:
    _network(text)
    return tagged("cidr", text)


def _address_of(value: Any) -> _Address:
    return _address(value if isinstance(value, str) else untag(value, "ip"))


def _network_of(value: Any) -> _Network:
    return _network(value if isinstance(value, str) else untag(value, "cidr"))


def _asks(question: Callable[[_Address], Any]) -> Callable[[Any], Any]:
    return lambda value: question(_address_of(value))


def _contains_cidr(outer: Any, inner: Any) -> bool:
    a, b = _network_of(outer), _network_of(inner)
    return a.version == b.version and b.network_address in a and b.prefixlen >= a.prefixlen


def _is_global_unicast(address: _Address) -> bool:
    """Go's: neither unspecified, loopback, multicast, link-local nor the broadcast address."""
    no = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not no and str(address) != "255.255.255.255"


def _is_link_local_multicast(address: _Address) -> bool:
    return address in ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/16")


def _masked(value: Any) -> dict[str, Any]:
    return tagged("cidr", str(_network_of(value)))


FUNCTIONS = (
    Function("ip", (STRING,), MAP, _ip),
    Function("isIP", (STRING,), BOOL, _can(_address)),
    Function("ip.isCanonical", (STRING,), BOOL, lambda text: str(_address(text)) == text),
    Function("cidr", (STRING,), MAP, _cidr),
    Function("isCIDR", (STRING,), BOOL, _can(_network)),
    member("family", (MAP,), INT, _asks(lambda address: address.version)),
    member("isUnspecified", (MAP,), BOOL, _asks(lambda address: address.is_unspecified)),
    member("isLoopback", (MAP,), BOOL, _asks(lambda address: address.is_loopback)),
    member("isLinkLocalMulticast", (MAP,), BOOL, _asks(_is_link_local_multicast)),
    member("isLinkLocalUnicast", (MAP,), BOOL, _asks(lambda address: address.is_link_local)),
    member("isGlobalUnicast", (MAP,), BOOL, _asks(_is_global_unicast)),
    member("containsIP", (MAP, DYN), BOOL, lambda outer, inner: _address_of(inner) in _network_of(outer)),
    member("containsCIDR", (MAP, DYN), BOOL, _contains_cidr),
    member("ip", (MAP,), MAP, lambda value: tagged("ip", str(untag(value, "cidr")).partition("/")[0])),
    member("masked", (MAP,), MAP, _masked),
    member("prefixLength", (MAP,), INT, lambda value: _network_of(value).prefixlen),
)
