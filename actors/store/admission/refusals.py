"""Kubernetes' own sentences for writes that are refused (apimachinery pkg/api/errors, apiserver pkg/registry)."""

from __future__ import annotations

from collections.abc import Sequence

from actors.api.errors import AlreadyExists, BadRequest, Cause, Conflict, Forbidden, Invalid, NotFound
from actors.api.key import Key
from actors.api.kinds import Kind

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', name=name, group=kind.group, kind=kind.plural)


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.resource} "{name}" already exists', name=name, group=kind.group, kind=kind.plural)


def conflict(kind: Kind, key: Key, why: str, subresource: str = "") -> Conflict:
    what = f"{kind.resource}/{subresource}" if subresource else kind.resource
    return Conflict(
        f'Operation cannot be fulfilled on {what} "{key.name}": {why}',
        name=key.name,
        group=kind.group,
        kind=kind.plural,
    )


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[Cause] = ()) -> Forbidden:
    return Forbidden(
        f'{kind.resource} "{name}" is forbidden: {why}', name=name, group=kind.group, kind=kind.plural, causes=causes
    )


def terminating(kind: Kind, name: str, namespace: str) -> Forbidden:
    cause = Cause("metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating")
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(kind, name, why, (cause,))


def wrong_type(kind: Kind, api_version: object, kind_name: object) -> BadRequest:
    return BadRequest(
        f"the object provided is unrecognized (must be of type {kind.kind}): got apiVersion {api_version!r} "
        f"and kind {kind_name!r}, expected {kind.api_version!r} and {kind.kind!r}"
    )


def uid_differs(kind: Kind, key: Key, wanted: str, found: str) -> Conflict:
    return conflict(kind, key, f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}")


def negative_scale(name: str, replicas: int) -> Invalid:
    cause = Cause("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
    message = f'Scale.autoscaling "{name}" is invalid: {cause.field}: {cause.message}'
    return Invalid(message, name=name, group="autoscaling", kind="Scale", causes=[cause])
