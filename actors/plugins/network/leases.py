"""Who has which address and which host ports on this node: the rules that every implementation shares. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from actors.plugins.errors import PluginError
from actors.plugins.network.port import Attachment, PortMapping

_ANY = ("", "0.0.0.0", "::")


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one sandbox holds. `interface` is the host's end of its veth pair."""

    sandbox_id: str
    address: str
    interface: str = ""
    pod: str = ""
    ports: tuple[PortMapping, ...] = ()


def derive_pod(attachment: Attachment) -> str:
    """How messages name the holder."""
    name = "/".join(part for part in (attachment.pod_namespace, attachment.pod_name) if part)
    return name or attachment.sandbox_id


def overlap(a: PortMapping, b: PortMapping) -> bool:
    """Whether both want the same port of the host."""
    same_ip = a.host_ip in _ANY or b.host_ip in _ANY or a.host_ip == b.host_ip
    return a.host_port == b.host_port and a.protocol == b.protocol and same_ip


def check_ports(attachment: Attachment, leases: Iterable[Lease]) -> None:
    """PortInUse when another sandbox holds one of the host ports; NetworkSetupError for a port that cannot be."""
    for index, mapping in enumerate(attachment.ports):
        _check_mapping(mapping)
        if any(overlap(mapping, other) for other in attachment.ports[:index]):
            message = f"host port {mapping.host_port}/{mapping.protocol} is asked for twice by the same pod"
            raise setup_error("add", message, retryable=False)
    held = [(lease, taken) for lease in leases if lease.sandbox_id != attachment.sandbox_id for taken in lease.ports]
    for mapping in attachment.ports:
        for lease, taken in held:
            if overlap(mapping, taken):
                raise port_in_use(mapping, f"pod {lease.pod}")


def is_ipv4(text: str) -> bool:
    """Dotted and without surprises, fit for a rule or a socket."""
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def port_in_use(mapping: PortMapping, holder: str) -> PluginError:
    return PluginError(
        "network",
        "add",
        "PortInUse",
        f"host port {mapping.host_port}/{mapping.protocol} is held by {holder}: "
        "stop it, or choose another hostPort; the pod starts as soon as the port is free",
    )


def setup_error(verb: str, message: str, *, retryable: bool = True) -> PluginError:
    return PluginError("network", verb, "NetworkSetupError", message, retryable=retryable)


def _check_mapping(mapping: PortMapping) -> None:
    if mapping.protocol not in ("TCP", "UDP"):
        message = f"host port {mapping.host_port}: protocol {mapping.protocol!r} is not supported, use TCP or UDP"
        raise setup_error("add", message, retryable=False)
    if not (0 < mapping.host_port < 65536 and 0 < mapping.container_port < 65536):
        message = f"host port {mapping.host_port} to {mapping.container_port}: ports are 1 to 65535"
        raise setup_error("add", message, retryable=False)
    if mapping.host_ip not in _ANY and not is_ipv4(mapping.host_ip):
        message = f"host port {mapping.host_port}: hostIP {mapping.host_ip!r} is no IPv4 address of this host"
        raise setup_error("add", message, retryable=False)
