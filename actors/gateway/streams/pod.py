"""From a request for a stream to the node's end of it: options, the pod, whether the client may."""

from __future__ import annotations

import msgspec
from aiohttp import web

from actors.api.codec import lens
from actors.api.errors import BadRequest
from actors.api.key import Key
from actors.api.kinds import POD
from actors.api.pod import Pod
from actors.api.streams import StreamRequest
from actors.gateway.call import Call
from actors.gateway.logs import choose_container
from actors.gateway.streams.options import parse_attach, parse_exec
from actors.gateway.streams.spdy_process import serve_spdy_process
from actors.gateway.streams.upgrade import WEBSOCKET, require_upgrade
from actors.gateway.streams.websocket import serve_websocket


async def read_pod(call: Call) -> Pod:
    """One that is on a node. Raises NotFound, BadRequest."""
    pod = lens(await call.store.get(Key(POD.resource, call.target.namespace, call.target.name)), Pod)
    if not pod.spec.node_name:
        raise BadRequest(f"pod {pod.metadata.name} does not have a host assigned")
    return pod


async def check_upgrade(call: Call) -> str:
    """A WebSocket is opened with GET, but what it does is create: who may only get may not (as of Kubernetes 1.35).

    Raises BadRequest, Forbidden.
    """
    upgrade = require_upgrade(call.request.headers)
    if call.target.verb == "get":
        await call.backend.access.check(call.user, msgspec.structs.replace(call.target, verb="create"))
    return upgrade


async def open_exec(call: Call) -> web.StreamResponse:
    return await _open_process(call, "exec")


async def open_attach(call: Call) -> web.StreamResponse:
    return await _open_process(call, "attach")


async def _open_process(call: Call, verb: str) -> web.StreamResponse:
    options = parse_exec(call.query) if verb == "exec" else parse_attach(call.query)
    pod = await read_pod(call)
    container = choose_container(pod, options.container)
    upgrade = await check_upgrade(call)
    request = StreamRequest(
        verb="exec" if verb == "exec" else "attach",
        namespace=call.target.namespace,
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        container=container,
        command=options.command,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr,
        tty=options.tty,
    )
    frames = await call.backend.nodes.open_stream(pod.spec.node_name, request)
    try:
        if upgrade == WEBSOCKET:
            return await serve_websocket(call, request, frames)
        return await serve_spdy_process(call, request, frames)
    finally:
        await frames.close()
