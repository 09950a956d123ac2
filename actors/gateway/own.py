"""The API group raypod.io/v1: what has no place in Kubernetes' own groups. Named in `docs/time-travel.md`.

GET  log     the log of revisions as JSON lines
"""

from __future__ import annotations

from aiohttp import web

from actors.api.errors import MethodNotAllowed, NotFound
from actors.gateway.call import Call
from actors.gateway.history import export_log

GROUP_VERSION = ("raypod.io", "v1")
_VERBS = {"log": ("list", export_log)}


async def serve(call: Call) -> web.StreamResponse:
    """Raises NotFound, MethodNotAllowed."""
    target = call.target
    if target.plural not in _VERBS or target.name or target.namespace:
        raise NotFound("the server could not find the requested resource")
    verb, handler = _VERBS[target.plural]
    if target.verb != verb:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    return await handler(call)
