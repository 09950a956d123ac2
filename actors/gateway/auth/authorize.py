"""May this user do that? From a request's target to attributes, from a refusal to kube-apiserver's exact sentence."""

from __future__ import annotations

import msgspec

from actors.api.errors import BadRequest, Forbidden
from actors.api.field_selector import parse_fields
from actors.api.rbac import Attributes
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import User
from actors.gateway.options import Query
from actors.gateway.target import Target

#: What a client without any credentials may ask: whether the server lives, and its version.
OPEN_PATHS = frozenset({"version", "healthz", "livez", "readyz"})


def is_open(target: Target) -> bool:
    return not target.plural and target.verb == "get" and bool(target.segments) and target.segments[0] in OPEN_PATHS


#: Of these a field selector tells rules and nodes what is asked for (apiserver pkg/endpoints/request/requestinfo.go).
_SELECTING = frozenset({"list", "watch", "deletecollection"})


def attributes_of(target: Target, query: Query | None = None) -> Attributes:
    """Of one namespace itself the namespace is its name, as kube-apiserver has it; a past pod's log is its log.

    With the query, a list or watch of `metadata.name=x` asks for x, which rules may name.
    """
    asked = _attributes_of(target)
    if not query or target.verb not in _SELECTING or "fieldSelector" not in query:
        return asked
    fields = selected_fields(query["fieldSelector"][0])
    name = asked.name if target.verb == "deletecollection" else asked.name or dict(fields).get("metadata.name", "")
    return msgspec.structs.replace(asked, fields=fields, name=name)


def selected_fields(text: str) -> tuple[tuple[str, str], ...]:
    """The fields that a field selector holds to one value; none of what is no selector: whoever reads it refuses it."""
    try:
        return tuple((term.path, term.value) for term in parse_fields(text) if term.operator == "=")
    except BadRequest:
        return ()


def _attributes_of(target: Target) -> Attributes:
    match target.segments:
        case ("raypod", "v1", "logs", namespace, pod):
            return Attributes(verb=target.verb, resource="pods", subresource="log", namespace=namespace, name=pod)
    if not target.plural:
        return Attributes(verb=target.verb, path=target.path)
    is_namespace = target.plural == "namespaces" and not target.group and not target.namespace
    return Attributes(
        verb=target.verb,
        group=target.group,
        resource=target.plural,
        subresource=target.subresource,
        namespace=target.name if is_namespace else target.namespace,
        name=target.name or target.selected,
    )


def check(policy: Policy, user: User, asked: Attributes) -> None:
    """Raises Forbidden."""
    decision = policy.decide(user, asked)
    if decision.allowed:
        return
    message = forbidden_message(user, asked)
    message += f": {decision.reason}" if decision.reason else ""
    raise Forbidden(message, name=asked.name, group=asked.group, kind=asked.resource)


def forbidden_message(user: User, asked: Attributes) -> str:
    """kube-apiserver's sentence, which clients match on."""
    if not asked.resource:
        return f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    what = f'{resource} "{asked.name}"' if asked.name else resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return (
        f'{what} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" '
        f'in API group "{asked.group}" {where}'
    )
