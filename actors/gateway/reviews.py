"""Reviews (authorization.k8s.io, authentication.k8s.io): answered from the policy and the tokens, stored nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

from actors.api.codec import Object
from actors.api.errors import BadRequest, Cause, Invalid
from actors.api.field_selector import exact_fields, parse_fields
from actors.api.kinds import Kind
from actors.api.rbac import Attributes, Rule
from actors.api.validation.reviews import validate_selectors
from actors.gateway.auth.jwt import TokenError
from actors.gateway.auth.user import User, node_of
from actors.gateway.call import Call
from actors.gateway.options import parse_write
from actors.gateway.writing import read_object

_SELF, _LOCAL = "SelfSubjectAccessReview", "LocalSubjectAccessReview"
_EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


async def create_review(call: Call, kind: Kind) -> web.StreamResponse:
    obj = await call.admitted(await read_object(call, kind, parse_write(call.query)))
    spec = obj.get("spec") if isinstance(obj.get("spec"), dict) else {}
    return call.answer_value({**obj, "status": await _status(call, kind, spec or {})}, 201)


async def _status(call: Call, kind: Kind, spec: Object) -> Object:
    if kind.kind == "SelfSubjectReview":
        return {"userInfo": call.user.to_info()}
    if kind.kind == "TokenReview":
        return await _token(call, spec)
    if kind.kind == "SelfSubjectRulesReview":
        return await _rules(call, spec)
    user, asked = _reviewed(call, kind, spec)
    decision = await call.backend.access.decide(user, asked)
    return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}


def _reviewed(call: Call, kind: Kind, spec: Object) -> tuple[User, Attributes]:
    """Raises Invalid, BadRequest (pkg/apis/authorization/validation)."""
    causes = list(_find_problems(kind, spec))
    if causes:
        told = [f"{cause.field}: {cause.message}" for cause in causes]
        listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        message = f'{kind.kind}.{kind.group} "" is invalid: {listed}'
        raise Invalid(message, group=kind.group, kind=kind.kind, causes=causes)
    asked = _attributes_of(spec)
    if kind.kind == _LOCAL and asked.namespace != call.target.namespace:
        raise BadRequest(f'spec.resourceAttributes.namespace must match namespace: "{call.target.namespace}"')
    return (call.user if kind.kind == _SELF else _user_in(spec)), asked


def _find_problems(kind: Kind, spec: Object) -> Iterable[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        rule = "Invalid value: cannot be specified in combination with resourceAttributes"
        yield Cause("spec.nonResourceAttributes", rule, "FieldValueInvalid")
    if resource is None and path is None:
        rule = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield Cause("spec.resourceAttributes", rule, "FieldValueInvalid")
    if isinstance(resource, dict):
        yield from validate_selectors(resource, "spec.resourceAttributes")
    if kind.kind != _SELF and not spec.get("user") and not spec.get("groups"):
        rule = "Invalid value: at least one of user or group must be specified"
        yield Cause("spec.user", rule, "FieldValueInvalid")
    if kind.kind == _LOCAL and path is not None:
        yield Cause(
            "spec.nonResourceAttributes", "Forbidden: disallowed on this kind of request", "FieldValueForbidden"
        )


def _user_in(spec: Object) -> User:
    groups = tuple(group for group in spec.get("groups") or () if isinstance(group, str))
    extra = spec.get("extra") if isinstance(spec.get("extra"), dict) else {}
    pairs = tuple((key, tuple(map(str, values))) for key, values in (extra or {}).items() if isinstance(values, list))
    return User(str(spec.get("user") or ""), groups, str(spec.get("uid") or ""), pairs)


def _attributes_of(spec: Object) -> Attributes:
    """What is asked about, as the request that would do it; a missing resource is every resource."""
    if spec.get("nonResourceAttributes") is not None:
        paths = _texts(spec["nonResourceAttributes"])
        return Attributes(verb=paths.get("verb", ""), path=paths.get("path", ""))
    asked = _texts(spec.get("resourceAttributes"))
    return Attributes(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=asked.get("resource", "*"),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
        fields=tuple(_selected((spec.get("resourceAttributes") or {}).get("fieldSelector"))),
    )


def _selected(selector: Any) -> Iterator[tuple[str, str]]:
    """What a FieldSelectorAttributes holds to one value; what it cannot tell narrows nothing."""
    if not isinstance(selector, dict):
        return
    if isinstance(raw := selector.get("rawSelector"), str):
        with suppress(BadRequest):
            yield from exact_fields(parse_fields(raw))
    for row in selector.get("requirements") or ():
        if isinstance(row, dict) and row.get("operator") == "In" and len(row.get("values") or ()) == 1:
            yield str(row.get("key", "")), str(row["values"][0])


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


async def _token(call: Call, spec: Object) -> Object:
    token, asked = spec.get("token"), spec.get("audiences") or []
    if not isinstance(token, str) or not token:
        raise BadRequest("token is required for TokenReview in authentication")
    if not isinstance(asked, list) or not all(isinstance(audience, str) for audience in asked):
        raise BadRequest("spec.audiences is a list of texts")
    try:
        verified = await call.backend.access.authenticator.verify(token, tuple(asked), call.now)
    except TokenError as error:
        return {"user": {}, "error": f"[invalid bearer token, {error}]"}
    return {"authenticated": True, "user": verified.user.to_info(), "audiences": list(verified.audiences)}


async def _rules(call: Call, spec: Object) -> Object:
    namespace = spec.get("namespace")
    if not isinstance(namespace, str) or not namespace:
        raise BadRequest("no namespace on request")
    policy = await call.backend.access.policy_for(call.user)
    rules = [*(_EVERYTHING if call.user.is_master else ()), *policy.rules_for(call.user, namespace)]
    untold = {"evaluationError": "node authorizer does not support user rule resolution"}
    is_node = node_of(call.user) is not None
    return {
        "resourceRules": [rule.to_object() for rule in dict.fromkeys(rules) if not rule.paths],
        "nonResourceRules": [rule.to_object() for rule in dict.fromkeys(rules) if rule.paths],
        "incomplete": is_node,
        **(untold if is_node else {}),
    }
