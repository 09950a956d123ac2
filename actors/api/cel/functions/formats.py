"""`!format.dns1123Label().validate("a").hasValue()`: the named formats of Kubernetes; what is valid has no value."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from actors.api.cel.functions.declare import DYN, STRING, Function, member, opaque, traversal
from actors.api.cel.values import NONE, Optional
from actors.api.validation.metadata import validate_labels, validate_name, validate_qualified

_Check = Callable[[str], list[str]]


def _name(text: str, *, label: bool) -> list[str]:
    return [cause.message.partition(": ")[2].partition(": ")[2] for cause in validate_name("", text, label=label)]


def _prefixed(check: Callable[[str], list[str]]) -> _Check:
    """A prefix for generated names: its last dash stands for what follows."""
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _qualified(text: str) -> list[str]:
    return [cause.message.rpartition(": ")[2] for cause in validate_qualified("", text)]


def _label_value(text: str) -> list[str]:
    return [cause.message.rpartition(": ")[2] for cause in validate_labels({"a": text}, "")]


def _parses(parse: Callable[[str], Any], told: str) -> _Check:
    def check(text: str) -> list[str]:
        try:
            return [] if parse(text) is not False else [told]
        except (ValueError, binascii.Error):
            return [told]

    return check


def _dns1035(text: str) -> list[str]:
    ok = len(text) <= 63 and re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", text)
    return (
        []
        if ok
        else ["a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with a letter"]
    )


def _subdomain(text: str) -> list[str]:
    return _name(text, label=False)


def _label(text: str) -> list[str]:
    return _name(text, label=True)


FORMATS: dict[str, _Check] = {
    "dns1123Label": _label,
    "dns1123Subdomain": _subdomain,
    "dns1035Label": _dns1035,
    "dns1123LabelPrefix": _prefixed(_label),
    "dns1123SubdomainPrefix": _prefixed(_subdomain),
    "dns1035LabelPrefix": _prefixed(_dns1035),
    "qualifiedName": _qualified,
    "labelValue": _label_value,
    "uri": _parses(lambda text: bool(urlsplit(text).scheme) or text.startswith("/"), "invalid URI"),
    "uuid": _parses(uuid.UUID, "does not match the UUID format"),
    "byte": _parses(lambda text: base64.b64decode(text, validate=True), "invalid base64"),
    "date": _parses(datetime.date.fromisoformat, "invalid date"),
    "datetime": _parses(datetime.datetime.fromisoformat, "invalid datetime"),
}


#: Optionals of lists cannot be declared to the compiler: what is answered is of any type to it.
FORMAT = opaque("kubernetes.NamedFormat")


@dataclass(slots=True, frozen=True)
class Format:
    name: str
    type_name: ClassVar[str] = "kubernetes.NamedFormat"


def _validate(value: Format, text: str) -> Optional:
    found = FORMATS[value.name](text)
    return Optional(found) if found else NONE


def _making(name: str) -> Callable[[], Format]:
    return lambda: Format(name)


def _named(name: str) -> Optional:
    return Optional(Format(name)) if name in FORMATS else NONE


FUNCTIONS = (
    *(Function(f"format.{name}", (), FORMAT, _making(name)) for name in FORMATS),
    Function("format.named", (STRING,), DYN, _named),
    member("validate", (FORMAT, STRING), DYN, _validate, lambda args: traversal()(args[1:])),
)
