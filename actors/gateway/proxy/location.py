"""What a name in a proxy path says: `https:web:8443` is a scheme, a name and a port. Pure.

apimachinery pkg/util/net SplitSchemeNamePort, pkg/util/proxy IsProxyableIP.
"""

from __future__ import annotations

import ipaddress

import msgspec

from actors.api.errors import BadRequest


class Location(msgspec.Struct, frozen=True):
    """`port` "" is whatever the object itself says."""

    scheme: str
    name: str
    port: str = ""

    @property
    def port_number(self) -> int:
        """0 of a name, and of none."""
        fits = self.port.isascii() and self.port.isdigit() and len(self.port) <= 5
        return int(self.port) if fits and int(self.port) < 1 << 16 else 0


def parse_location(text: str, kind: str) -> Location:
    """`kind`: pod, service, node. Raises BadRequest."""
    parts = text.split(":")
    if len(parts) == 1 and parts[0]:
        return Location("http", parts[0])
    if len(parts) == 2 and all(parts):
        return Location("http", parts[0], parts[1])
    if len(parts) == 3 and parts[0] in ("http", "https", "") and parts[1]:
        return Location(parts[0] or "http", parts[1], parts[2])
    raise BadRequest(f'invalid {kind} request "{text[:300]}"')


def check_address(address: str) -> None:
    """The gateway's own loopback and its link are nobody's to reach through it. Raises BadRequest."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    if mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast:
        raise BadRequest("address not allowed")
