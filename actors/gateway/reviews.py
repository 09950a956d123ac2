"""Reviews of oneself (authorization.k8s.io, authentication.k8s.io): answered from `auth`, stored nowhere."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.gateway.auth import MASTERS, User, authorize
from actors.gateway.body import parse_value
from actors.gateway.call import Call
from actors.gateway.media import OBJECT_BODIES
from actors.gateway.options import parse_write
from actors.gateway.served import SELF_ACCESS_REVIEW, SELF_REVIEW
from actors.gateway.target import Target
from actors.gateway.writing import identify

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_OPEN_PATHS = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/api", "/apis"]}


async def create_review(call: Call, kind: Kind) -> web.StreamResponse:
    parse_write(call.query)
    body = call.body_type(OBJECT_BODIES)
    obj = identify(parse_value(await call.read_body(), body), kind)
    spec = obj.get("spec") if isinstance(obj.get("spec"), dict) else {}
    return call.answer_value({**obj, "status": _status(kind, spec or {}, call.user)}, 201)


def _status(kind: Kind, spec: Object, user: User) -> Object:
    if kind is SELF_REVIEW:
        return {"userInfo": {"username": user.name, "groups": list(user.groups)}}
    if kind is SELF_ACCESS_REVIEW:
        return {"allowed": authorize(user, _target_of(spec))}
    if MASTERS in user.groups:
        return {"resourceRules": [_EVERYTHING], "nonResourceRules": [_EVERY_PATH], "incomplete": False}
    return {"resourceRules": [], "nonResourceRules": [_OPEN_PATHS], "incomplete": False}


def _target_of(spec: Object) -> Target:
    """What is asked about, as the request that would do it."""
    paths = _texts(spec.get("nonResourceAttributes"))
    if paths:
        path = paths.get("path", "")
        return Target(verb=paths.get("verb", ""), path=path, segments=tuple(filter(None, path.split("/"))))
    asked = _texts(spec.get("resourceAttributes"))
    return Target(
        verb=asked.get("verb", ""),
        path="",
        group=asked.get("group", ""),
        version=asked.get("version", ""),
        namespace=asked.get("namespace", ""),
        plural=asked.get("resource", "*"),
        name=asked.get("name", ""),
        subresource=asked.get("subresource", ""),
    )


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}
