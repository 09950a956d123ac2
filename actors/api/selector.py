"""Label and field selectors, from text (`a in (b,c),!d`) and from `spec.selector` (apimachinery pkg/labels, fields).

A matcher is a frozen value; an empty one matches everything. Unsupported or malformed text is a BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from actors.api.errors import BadRequest
from actors.api.meta import LabelSelector

Labels = Mapping[str, str] | None

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_SET_FORM = re.compile(r"\s*(\S+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL_FORM = re.compile(r"\s*([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)\s*$")
_EXISTS_FORM = re.compile(r"\s*(!?)\s*([^\s=!(),]+)\s*$")
_NAME = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_SELECTOR_CHARS_MAX = 64 * 1024


class Requirement(msgspec.Struct, frozen=True):
    """`operator`: in, notin, exists, !, gt, lt (the last two for node affinity)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key) if labels else None
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        return _compares(value, self.operator, self.values)


def _compares(value: str | None, operator: str, bounds: tuple[str, ...]) -> bool:
    try:
        left, right = int(value or ""), int(bounds[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "gt" else left < right


class LabelMatcher(msgspec.Struct, frozen=True):
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_empty(self) -> bool:
        return not self.requirements


def _split(text: str) -> list[str]:
    """At commas that are not inside parentheses."""
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _parse_requirement(part: str) -> Requirement:
    if match := _SET_FORM.match(part):
        key, operator, values = match.groups()
        requirement = Requirement(key, operator, tuple(value.strip() for value in values.split(",")))
    elif match := _EQUAL_FORM.match(part):
        key, sign, value = match.groups()
        requirement = Requirement(key, "notin" if sign == "!=" else "in", (value,))
    elif match := _EXISTS_FORM.match(part):
        requirement = Requirement(match[2], match[1] or "exists")
    else:
        raise BadRequest(
            f"unable to parse requirement: {part.strip()!r}: use key=value, key!=value, key in (a,b), key, !key"
        )
    if not _NAME.match(requirement.key):
        raise BadRequest(f"unable to parse requirement: {requirement.key!r} is not a label key")
    return requirement


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> LabelMatcher:
    """Of a `labelSelector` query parameter. Raises BadRequest."""
    if len(text) > _SELECTOR_CHARS_MAX:
        raise BadRequest(f"labelSelector is longer than {_SELECTOR_CHARS_MAX} characters")
    if not text.strip():
        return LabelMatcher()
    return LabelMatcher(tuple(_parse_requirement(part) for part in _split(text)))


def from_selector(selector: LabelSelector | None) -> LabelMatcher:
    """Of `spec.selector`. Raises BadRequest for an operator that Kubernetes does not know."""
    if selector is None:
        return LabelMatcher()
    equal = [Requirement(key, "in", (value,)) for key, value in (selector.match_labels or {}).items()]
    for expression in selector.match_expressions or ():
        if expression.operator not in _OPERATORS:
            raise BadRequest(f"{expression.operator!r} is not a valid label selector operator")
        equal.append(Requirement(expression.key, _OPERATORS[expression.operator], expression.values or ()))
    return LabelMatcher(tuple(equal))


def format_labels(matcher: LabelMatcher) -> str:
    """The text that `parse_labels` reads back."""
    forms = {"exists": "{0}", "!": "!{0}", "in": "{0} in ({1})", "notin": "{0} notin ({1})"}
    return ",".join(forms[r.operator].format(r.key, ",".join(r.values)) for r in matcher.requirements)


_META_FIELDS = frozenset({"metadata.name", "metadata.namespace"})
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
#: Fields that can be selected on, per resource, as Kubernetes documents them; with their default when absent.
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
    "jobs.batch": {"status.successful": "0"},
    "replicasets.apps": {"status.replicas": "0"},
}


class FieldRequirement(msgspec.Struct, frozen=True):
    path: str
    operator: str  # "=" or "!="
    value: str


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> tuple[FieldRequirement, ...]:
    """Of a `fieldSelector` query parameter. Raises BadRequest."""
    requirements = []
    for part in text.split(",") if text.strip() else ():
        match = re.match(r"\s*([\w.]+)\s*(==|=|!=)(.*)$", part)
        if match is None:
            raise BadRequest(f"invalid field selector {part!r}: use path=value or path!=value")
        requirements.append(FieldRequirement(match[1], "!=" if match[2] == "!=" else "=", match[3].strip()))
    return tuple(requirements)


def _field_text(obj: Mapping[str, Any], path: str, default: str) -> str:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("component")
    if value is None:
        return default
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_fields(fields: tuple[FieldRequirement, ...], resource: str) -> None:
    """Raises BadRequest for a path that `resource` cannot be selected by."""
    known = FIELDS.get(resource, {})
    for requirement in fields:
        if requirement.path not in _META_FIELDS and requirement.path not in known:
            raise BadRequest(f"field label not supported: {requirement.path}")


def matches_fields(fields: tuple[FieldRequirement, ...], resource: str, obj: Mapping[str, Any]) -> bool:
    """Whether the decoded object meets every requirement. Raises BadRequest as `check_fields`."""
    check_fields(fields, resource)
    known = FIELDS.get(resource, {})
    return all((_field_text(obj, r.path, known.get(r.path, "")) == r.value) == (r.operator == "=") for r in fields)
