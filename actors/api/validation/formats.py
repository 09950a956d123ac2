"""What text and numbers of a named format must look like (apimachinery pkg/util/validation, pkg/apis/*/validation)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from zoneinfo import available_timezones

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
    if is_address(value):
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


def is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def validate_reachable(path: str, value: Any) -> Causes:
    """An address that is one may be somebody's: it is not unspecified, of this host, or of this link alone."""
    if not is_address(value):
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
    if not is_address(value):
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
    if value.lower() == "local" or not _TIME_ZONE.match(value) or value not in (_time_zones() or (value,)):
        yield wrong(path, value, f"unknown time zone {value}")


@cache
def _time_zones() -> frozenset[str]:
    """Of the machine's database; none where it has none."""
    return frozenset(available_timezones())


def _matches(pattern: str, rule: str) -> Callable[[str, Any], Causes]:
    compiled = re.compile(pattern)

    def check(path: str, value: Any) -> Causes:
        if not compiled.match(value):
            yield wrong(path, value, rule)

    return check


def _port_name(path: str, value: Any) -> Causes:
    """IANA_SVC_NAME."""
    if len(value) > 15:
        yield wrong(path, value, "must be no more than 15 characters")
    elif not re.match(r"[-a-z0-9]+$", value):
        yield wrong(path, value, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    elif not re.search(r"[a-z]", value):
        yield wrong(path, value, "must contain at least one letter (a-z)")
    elif "--" in value:
        yield wrong(path, value, "must not contain consecutive hyphens")
    elif value[0] == "-" or value[-1] == "-":
        yield wrong(path, value, "must not begin or end with a hyphen")


def _local_path(path: str, value: Any) -> Causes:
    if value.startswith("/"):
        yield wrong(path, value, "must be a relative path")
    elif ".." in value.split("/"):
        yield wrong(path, value, "must not contain '..'")
    elif value.startswith(".."):
        yield wrong(path, value, "must not start with '..'")


def _mode(path: str, value: Any) -> Causes:
    if not 0 <= value <= 0o777:
        yield wrong(path, value, "must be a number between 0 and 0777 (octal), both inclusive")


def _token_life(path: str, value: Any) -> Causes:
    if value < 600:
        yield wrong(path, value, "may not specify a duration less than 10 minutes")
    elif value > 1 << 32:
        yield wrong(path, value, "may not specify a duration larger than 2^32 seconds")


def _amount(path: str, value: Any) -> Causes:
    if parse_millis(value) < 0:
        yield wrong(path, value, "must be greater than or equal to 0")


CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
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
    "amount": _amount,
    "configkey": _matches(r"[-._a-zA-Z0-9]{1,253}$", CONFIG_KEY_RULE),
    "envname": _matches(
        r"[^=\x00-\x1f\x7f-\uffff]+$",
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
    ),
    "header": _matches(
        r"[-A-Za-z0-9]+$",
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
        "validation is '[-A-Za-z0-9]+')",
    ),
    "localpath": _local_path,
    "mode": _mode,
    "portname": _port_name,
    "sysctl": _matches(_SYSCTL, f"must have at most 253 characters and match regex ^{_SYSCTL}"),
    "tokenlife": _token_life,
}
