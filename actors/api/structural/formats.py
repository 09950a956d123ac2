"""`format` of strings and numbers: those that Kubernetes enforces (kube-openapi pkg/validation/strfmt); others pass."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import re2

_DURATION_UNITS = r"(ns|us|µs|μs|ms|s|m|h|hr|hour|minute|min|sec|second|milli|day|week|d|w)s?"


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re2.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _parsing(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return parse(text) is not False
        except (ValueError, OverflowError, binascii.Error):
            return False

    return check


def _uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) or text.startswith("/")


_LABEL = r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_HEX = "[0-9a-fA-F]"
_RFC3339 = r"\d{4}-\d{2}-\d{2}[tT ]\d{2}:\d{2}:\d{2}(\.\d+)?([zZ]|[+-]\d{2}:\d{2})"
_is_rfc3339 = _matching(_RFC3339)


def parse_datetime(text: str) -> datetime.datetime:
    """Raises ValueError."""
    if not _is_rfc3339(text):
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    return datetime.datetime.fromisoformat(text.upper().replace(" ", "T"))


_is_hostname = _matching(rf"{_LABEL}(\.{_LABEL})*\.?")
_is_long_name = _matching(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

STRING_FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matching(f"{_HEX}{{24}}"),
    "uri": _parsing(_uri),
    "email": _matching(r"[^\s@<>]+@[^\s@<>]+"),
    "hostname": lambda text: len(text) <= 253 and _is_hostname(text),
    "ipv4": _parsing(ipaddress.IPv4Address),
    "ipv6": _parsing(ipaddress.IPv6Address),
    "cidr": _parsing(lambda text: "/" in text and ipaddress.ip_network(text, strict=False)),
    "mac": _matching(f"{_HEX}{{2}}([:-]{_HEX}{{2}}){{5,7}}"),
    "uuid": _matching(f"(?i){_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}"),
    "uuid3": _matching(f"{_HEX}{{8}}-?{_HEX}{{4}}-?3{_HEX}{{3}}-?{_HEX}{{4}}-?{_HEX}{{12}}"),
    "uuid4": _matching(f"{_HEX}{{8}}-?{_HEX}{{4}}-?4{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}"),
    "uuid5": _matching(f"{_HEX}{{8}}-?{_HEX}{{4}}-?5{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}"),
    "hexcolor": _matching(f"#?({_HEX}{{3}}|{_HEX}{{6}})"),
    "rgbcolor": _matching(r"rgb\(\s*\d{1,3}%?\s*,\s*\d{1,3}%?\s*,\s*\d{1,3}%?\s*\)"),
    "ssn": _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "byte": _parsing(lambda text: base64.b64decode(text, validate=True)),
    "date": _parsing(datetime.date.fromisoformat),
    "date-time": _parsing(parse_datetime),
    "datetime": _parsing(parse_datetime),
    "duration": _matching(
        rf"[+-]?(0|(\d+(\.\d*)?|\.\d+)\s*{_DURATION_UNITS}(\s*(\d+(\.\d*)?|\.\d+)\s*{_DURATION_UNITS})*)"
    ),
    "k8s-short-name": _matching("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"),
    "k8s-long-name": lambda text: len(text) <= 253 and _is_long_name(text),
}
_INTEGERS = {"int32": range(-(2**31), 2**31), "int64": range(-(2**63), 2**63)}


def has_format(value: Any, name: str) -> bool:
    """Whether a string or number is of the format; formats that nobody knows hold anything."""
    if isinstance(value, str):
        check = STRING_FORMATS.get(name)
        return check is None or check(value)
    bounds = _INTEGERS.get(name)
    return bounds is None or not isinstance(value, int) or value in bounds
