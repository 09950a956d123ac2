"""What text and numbers of a named format must look like (apimachinery pkg/util/validation, pkg/apis/*/validation)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from actors.api.quantity import parse_millis
from actors.api.validation.causes import Causes, is_int, wrong
from actors.api.validation.cron import find_fault
from actors.api.validation.metadata import validate_labels, validate_name, validate_qualified

_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$")
_TIME_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")
_PERCENT = re.compile(r"[0-9]+%$")
_IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LINK_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def _name(path: str, value: Any) -> Causes:
    yield from validate_name(path, value)


def _label(path: str, value: Any) -> Causes:
    yield from validate_name(path, value, label=True)


def _host(path: str, value: Any) -> Causes:
    """A DNS name, its first label may be `*`; no address."""
    if _is_address(value):
        yield wrong(path, value, "must be a DNS name, not an IP address")
    else:
        yield from validate_name(path, str(value).removeprefix("*."))


def _port(path: str, value: Any) -> Causes:
    """A number, or the name of a container's port."""
    if isinstance(value, int):
        if not is_int(value, 1, 65535):
            yield wrong(path, value, "must be between 1 and 65535, inclusive")
    elif not _PORT_NAME.match(value):
        rule = "must be at most 15 lower case letters, digits and single '-', with at least one letter"
        yield wrong(path, value, rule)


def _count(path: str, value: Any) -> Causes:
    """A number that is not negative, or a percentage."""
    if isinstance(value, int):
        if value < 0:
            yield wrong(path, value, "must be greater than or equal to 0")
    elif not _PERCENT.match(value):
        yield wrong(path, value, _PERCENT_RULE)


def _path(path: str, value: Any) -> Causes:
    if not value.startswith("/"):
        yield wrong(path, value, "must be an absolute path")


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def validate_reachable(path: str, value: Any) -> Causes:
    """An address that is one may be somebody's: it is not unspecified, of this host, or of this link alone."""
    if not _is_address(value):
        return
    address = ipaddress.ip_address(value)
    if address.is_unspecified:
        yield wrong(path, value, "may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        yield wrong(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        yield wrong(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(address in network for network in _LINK_MULTICAST if network.version == address.version):
        yield wrong(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def validate_address(path: str, value: Any) -> Causes:
    if not _is_address(value):
        yield wrong(path, value, _IP_RULE)


def _cidr(path: str, value: Any) -> Causes:
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        yield wrong(path, value, _CIDR_RULE)
    else:
        if "/" not in value:
            yield wrong(path, value, _CIDR_RULE)


def _amounts(path: str, value: Any) -> Causes:
    for name, quantity in value.items():
        yield from validate_qualified(f"{path}[{name}]", name)
        if parse_millis(quantity) < 0:
            yield wrong(f"{path}[{name}]", quantity, "must be greater than or equal to 0")


def _cron(path: str, value: Any) -> Causes:
    if "TZ" in value:
        yield wrong(path, value, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif fault := find_fault(value):
        yield wrong(path, value, fault)


def _time_zone(path: str, value: Any) -> Causes:
    if value.lower() == "local" or not _TIME_ZONE.match(value):
        yield wrong(path, value, f"unknown time zone {value}")


FORMATS: dict[str, Callable[[str, Any], Causes]] = {
    "name": _name,
    "label": _label,
    "qualified": validate_qualified,
    "labels": lambda path, value: validate_labels(value, path),
    "amounts": _amounts,
    "host": _host,
    "port": _port,
    "count": _count,
    "path": _path,
    "ip": validate_address,
    "cidr": _cidr,
    "cron": _cron,
    "timezone": _time_zone,
}
