"""The API group raypod.io/v1: what has no place in Kubernetes' own groups. See docs/time-travel.md and docs/batch.md.

GET  log     the log of revisions as JSON lines
POST batch   many writes in one request
"""

from __future__ import annotations

from aiohttp import web

from actors.api.errors import MethodNotAllowed, NotFound
from actors.gateway.batch import Answer, apply_batch
from actors.gateway.call import Call
from actors.gateway.history import export_log

GROUP_VERSION = ("raypod.io", "v1")


async def serve(call: Call, answer: Answer) -> web.StreamResponse:
    """`answer` serves a request within this one. Raises NotFound, MethodNotAllowed."""
    target = call.target
    if target.plural not in ("log", "batch") or target.name or target.namespace:
        raise NotFound("the server could not find the requested resource")
    match target.plural, target.verb:
        case "log", "list":
            return await export_log(call)
        case "batch", "create":
            return await apply_batch(call, answer)
    raise MethodNotAllowed("the server does not allow this method on the requested resource")
