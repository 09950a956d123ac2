"""Groups of Kubernetes' own: a definition in one of them says who has approved it (KEP-1111)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.validation.causes import required, wrong

ANNOTATION = "api-approved.kubernetes.io"
_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"
_MISSING = f'protected groups must have approval annotation "{ANNOTATION}", {_SEE}'
_INVALID = (
    f'protected groups must have approval annotation "{ANNOTATION}" with either a URL or a reason starting with '
    f'"unapproved", {_SEE}'
)


class State(StrEnum):
    """The values are the reasons of the condition."""

    APPROVED = "ApprovedAnnotation"
    BYPASSED = "UnapprovedAnnotation"
    INVALID = "InvalidAnnotation"
    MISSING = "MissingAnnotation"


class Approval(NamedTuple):
    state: State
    message: str


def is_protected(group: str) -> bool:
    return any(group == name or group.endswith(f".{name}") for name in ("k8s.io", "kubernetes.io"))


def approval_of(obj: Object) -> Approval | None:
    """None where nobody need approve."""
    spec, metadata = obj.get("spec"), obj.get("metadata")
    if not isinstance(spec, dict) or not isinstance(metadata, dict) or not is_protected(str(spec.get("group") or "")):
        return None
    annotation = str((metadata.get("annotations") or {}).get(ANNOTATION) or "")
    if not annotation:
        return Approval(State.MISSING, _MISSING)
    if annotation.startswith("unapproved"):
        return Approval(State.BYPASSED, f'not approved: "{annotation}"')
    try:
        parts = urlsplit(annotation)
    except ValueError:
        return Approval(State.INVALID, _INVALID)
    if parts.scheme and parts.netloc:
        return Approval(State.APPROVED, f"approved in {annotation}")
    return Approval(State.INVALID, _INVALID)


def check_approval(obj: Object, old: Object | None) -> Iterator[Cause]:
    """What was so before may stay so."""
    found = approval_of(obj)
    if found is None or (old is not None and found == approval_of(old)):
        return
    path = f"metadata.annotations[{ANNOTATION}]"
    if found.state is State.MISSING:
        yield required(path, found.message)
    elif found.state is State.INVALID:
        yield wrong(path, obj["metadata"]["annotations"][ANNOTATION], found.message)
