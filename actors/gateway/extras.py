"""What raypod has and Kubernetes does not, under /raypod/v1: status, images per node, logs of pods that are gone.

GET  status                        GET  logs/{namespace}/{pod}?node=&uid=&container=&follow=&tailLines=...
GET  nodes/{node}/images           POST nodes/{node}/images  {"verb": "pull", "reference": "..."}
A pull or load that is not done yet is answered with its progress: post the same again until `done`.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from actors.api.errors import BadRequest, MethodNotAllowed, NotFound
from actors.api.images import ImageRequest
from actors.api.key import Key
from actors.api.kinds import NODE, POD
from actors.gateway.body import parse_value
from actors.gateway.call import Call
from actors.gateway.logs import read_past_log
from actors.gateway.media import Body
from actors.gateway.status import derive_status
from actors.reconcile.watch import Selection

PREFIX = ("raypod", "v1")


async def serve_extra(call: Call) -> web.StreamResponse:
    """Raises NotFound, MethodNotAllowed."""
    match call.target.verb, call.target.segments[len(PREFIX) :]:
        case "get", ("status",):
            return await _status(call)
        case "get", ("logs", namespace, pod):
            return await read_past_log(call, namespace, pod)
        case "get", ("nodes", node, "images"):
            return await _image(call, node, ImageRequest(verb="list"))
        case "create", ("nodes", node, "images"):
            return await _image(call, node, await _read_request(call))
        case _, ("status",) | ("logs", _, _) | ("nodes", _, "images"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
    raise NotFound("the server could not find the requested resource")


async def _status(call: Call) -> web.StreamResponse:
    nodes = await call.store.list(Selection((NODE.resource,)))
    pods = await call.store.list(Selection((POD.resource,)))
    return call.answer_value(derive_status(nodes.items, pods.items, await call.backend.cluster.actors()))


async def _read_request(call: Call) -> ImageRequest:
    body = call.body_type(frozenset({Body.JSON, Body.YAML}))
    try:
        request = msgspec.convert(parse_value(await call.read_body(), body), ImageRequest)
    except msgspec.ValidationError as error:
        raise BadRequest(f"not an image request: {error}") from error
    if request.verb in ("pull", "remove") and not request.reference:
        raise BadRequest(f"an image to {request.verb} is needed: set `reference`")
    if request.verb == "load" and not request.path:
        raise BadRequest("an archive on the node is needed: set `path`")
    return request


async def _image(call: Call, node: str, request: ImageRequest) -> web.StreamResponse:
    """A node that there is not is said so, where one that is away may come back."""
    await call.store.get(Key(NODE.resource, "", node))
    return call.answer_value(await call.backend.nodes.image(node, request))
