"""May this user do that? From a request's target to attributes, from a refusal to kube-apiserver's exact sentence."""

from __future__ import annotations

from actors.api.errors import Forbidden
from actors.api.rbac import Attributes
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import User
from actors.gateway.target import Target

#: What a client without any credentials may ask: whether the server lives, and its version.
OPEN_PATHS = frozenset({"version", "healthz", "livez", "readyz"})


def is_open(target: Target) -> bool:
    return not target.plural and target.verb == "get" and bool(target.segments) and target.segments[0] in OPEN_PATHS


def attributes_of(target: Target) -> Attributes:
    """Of one namespace itself the namespace is its name, as kube-apiserver has it; a past pod's log is its log."""
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
        fields=target.fields,
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
