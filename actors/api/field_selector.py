"""Field selectors (`status.phase!=Failed,spec.nodeName=n1`): the grammar, and what each kind can be selected by.

The table is Kubernetes' own (the kinds' field label conversions); every kind has its name and namespace. What is not
in it is a BadRequest, so that nobody reads an unfiltered list for a filtered one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from actors.api.errors import BadRequest
from actors.api.kept import kept_for_short
from actors.api.kinds import is_static
from actors.api.selector import REQUIREMENTS_MAX

_SELECTOR_CHARS_MAX = 64 * 1024
_META_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
#: Fields that can be selected on, per resource, with the text of an absent one.
FIELDS: dict[str, dict[str, str]] = {
    "pods": {
        "spec.nodeName": "",
        "spec.restartPolicy": "",
        "spec.schedulerName": "",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "false",
        "status.phase": "",
        "status.podIP": "",
        "status.nominatedNodeName": "",
    },
    "nodes": {"spec.unschedulable": "false"},
    "namespaces": {"status.phase": ""},
    "secrets": {"type": ""},
    "events": {
        **{f"involvedObject.{name}": "" for name in _INVOLVED},
        "reason": "",
        "reportingComponent": "",
        "source": "",
        "type": "",
    },
    "services": {"spec.clusterIP": "", "spec.type": ""},
    "replicationcontrollers": {"status.replicas": "0"},
    "jobs.batch": {"status.successful": "0"},
    "replicasets.apps": {"status.replicas": "0"},
    "certificatesigningrequests.certificates.k8s.io": {"spec.signerName": ""},
    "resourceslices.resource.k8s.io": {"spec.nodeName": "", "spec.driver": ""},
}
#: Other names of the same fields, by the version of the kind that shows them so.
_ALIASES = {
    "events": {
        **{f"regarding.{name}": f"involvedObject.{name}" for name in _INVOLVED},
        "reportingController": "reportingComponent",
    },
    "namespaces": {"name": "metadata.name"},
}


class FieldRequirement(msgspec.Struct, frozen=True):
    path: str
    operator: str  # "=" or "!="
    value: str


_TERM = re.compile(r"(?:[^\\,]|\\.?)+", re.DOTALL)
_SIGN = re.compile(r"(.*?)(==|!=|=)(.*)$", re.DOTALL)


@kept_for_short(1024)
def parse_fields(text: str) -> tuple[FieldRequirement, ...]:
    """Of a `fieldSelector` query parameter; a backslash frees `,`, `=` and itself of meaning. Raises BadRequest."""
    if len(text) > _SELECTOR_CHARS_MAX:
        raise BadRequest(f"fieldSelector is longer than {_SELECTOR_CHARS_MAX} characters")
    requirements = tuple(islice(_requirements(text), REQUIREMENTS_MAX + 1))
    if len(requirements) > REQUIREMENTS_MAX:
        raise BadRequest(f"fieldSelector has more than {REQUIREMENTS_MAX} requirements")
    return requirements


def _requirements(text: str) -> Iterator[FieldRequirement]:
    for term in _TERM.findall(text):
        match = _SIGN.match(term)
        if match is None:
            raise BadRequest(f"invalid selector: '{text[:200]}'; can't understand '{term[:200]}'")
        path, sign, value = match.groups()
        yield FieldRequirement(path.strip(), "!=" if sign == "!=" else "=", _unescaped(value))


def _unescaped(value: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match[1] not in ("\\", ",", "="):
            raise BadRequest(f"invalid field selector: invalid escape sequence: {match[0]}")
        return match[1]

    if re.search(r"(?<!\\)(?:\\\\)*=", value):
        raise BadRequest(f"invalid field selector: unescaped character in '{value[:200]}'")
    return re.sub(r"\\(.?)", plain, value)


def format_fields(fields: Iterable[FieldRequirement]) -> str:
    """The text that `parse_fields` reads so."""
    return ",".join(f"{field.path}{field.operator}{_escaped(field.value)}" for field in fields)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def is_of_key(field: FieldRequirement) -> bool:
    """Whether name or namespace is asked for."""
    return field.path in _META_FIELDS


def known_as(requirement: FieldRequirement, resource: str) -> FieldRequirement:
    """Under the name that the table has it by."""
    path = _ALIASES.get(resource, {}).get(requirement.path, requirement.path)
    return msgspec.structs.replace(requirement, path=path)


def exact_fields(fields: tuple[FieldRequirement, ...]) -> tuple[tuple[str, str], ...]:
    """(field, value) of those that are held to one value."""
    return tuple((requirement.path, requirement.value) for requirement in fields if requirement.operator == "=")


def exact_name(fields: tuple[FieldRequirement, ...]) -> str:
    """The one name that the selector lets through; "" where it may be any."""
    return next((field.value for field in fields if field.path == "metadata.name" and field.operator == "="), "")


def check_fields(fields: tuple[FieldRequirement, ...], resource: str) -> None:
    """Raises BadRequest for a path that `resource` cannot be selected by; a custom resource's definition says which."""
    if resource and not is_static(resource):
        return
    check_paths(fields, FIELDS.get(resource, {}))


def check_paths(fields: tuple[FieldRequirement, ...], known: Collection[str] = ()) -> None:
    """`known`: what can be selected by beside name and namespace. Raises BadRequest in Kubernetes' words."""
    for requirement in fields:
        if requirement.path in _META_FIELDS or requirement.path in known:
            continue
        if not known:
            why = 'is not a known field selector: only "metadata.name", "metadata.namespace"'
            raise BadRequest(f'"{requirement.path[:200]}" {why}')
        raise BadRequest(f"field label not supported: {requirement.path[:200]}")


def matches_fields(fields: tuple[FieldRequirement, ...], resource: str, obj: Mapping[str, Any]) -> bool:
    """Whether the decoded object meets every requirement. Raises BadRequest as `check_fields`."""
    check_fields(fields, resource)
    known = FIELDS.get(resource, {})
    return all((_field_text(obj, r.path, known.get(r.path, "")) == r.value) == (r.operator == "=") for r in fields)


def _field_text(obj: Mapping[str, Any], path: str, default: str) -> str:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("component")
    if value is None:
        return default
    return str(value).lower() if isinstance(value, bool) else str(value)
