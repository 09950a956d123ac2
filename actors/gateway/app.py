"""From an HTTP request to its handler, and from every failure to a Status. The one place that catches Exception.

Order: path and query are read, the client is authenticated and authorized, then routed by the table of kinds.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from actors.admission.request import CONNECT
from actors.api.errors import ApiError, BadRequest, InternalError, MethodNotAllowed, NotFound, Timeout
from actors.api.field_selector import exact_fields, exact_name, parse_fields
from actors.api.kinds import BINDING, COMPONENT_STATUS, NODE_METRICS, POD_METRICS, Kind
from actors.gateway import extras, own
from actors.gateway.audit import Entry
from actors.gateway.auth.authorize import attributes_of
from actors.gateway.batch import ItemCall
from actors.gateway.call import JSON_TYPE, Backend, Call
from actors.gateway.components import read_components
from actors.gateway.compression import compressed
from actors.gateway.connecting import CONNECTIONS, connection_options
from actors.gateway.deleting import delete_collection, delete_object
from actors.gateway.documents import read_document
from actors.gateway.evicting import create_eviction
from actors.gateway.flow.control import BYTES_A_SEAT, SEATS_MAX
from actors.gateway.history import read_history
from actors.gateway.logs import read_pod_log
from actors.gateway.media import PLAIN_FORMS
from actors.gateway.metrics import read_metrics
from actors.gateway.options import Query, flag_of, parse_query, text_of, timeout_of
from actors.gateway.pods import bind_pod, create_binding
from actors.gateway.proxy.serve import serve_proxy
from actors.gateway.reading import get_object, list_objects
from actors.gateway.render import encode
from actors.gateway.reviews import create_review
from actors.gateway.served import REVIEWS, STATIC, SUBRESOURCES
from actors.gateway.stream import AUDIT_ID, STREAMING
from actors.gateway.streams.pod import open_attach, open_exec
from actors.gateway.streams.portforward import open_portforward
from actors.gateway.target import Target, parse_target
from actors.gateway.token_requests import create_token
from actors.gateway.watching import watch_objects
from actors.gateway.writing import create_object, patch_object, update_object

log = logging.getLogger(__name__)
Handler = Callable[[Call, Kind], Awaitable[web.StreamResponse]]
_NO_RESOURCE = "the server could not find the requested resource"
_NO_METHOD = "the server does not allow this method on the requested resource"
_OBJECT: dict[str, Handler] = {
    "get": get_object,
    "list": list_objects,
    "watch": watch_objects,
    "create": create_object,
    "update": update_object,
    "patch": patch_object,
    "delete": delete_object,
    "deletecollection": delete_collection,
}
#: Kinds that are answered and never kept.
_ANSWERED: dict[str, Handler] = {
    **{review.resource: create_review for review in REVIEWS},
    BINDING.resource: bind_pod,
    COMPONENT_STATUS.resource: read_components,
    NODE_METRICS.resource: read_metrics,
    POD_METRICS.resource: read_metrics,
}
_SUBRESOURCE: dict[tuple[str, str], Callable[[Call], Awaitable[web.StreamResponse]]] = {
    ("log", "get"): read_pod_log,
    ("binding", "create"): create_binding,
    ("token", "create"): create_token,
    ("eviction", "create"): create_eviction,
    ("exec", "get"): open_exec,
    ("exec", "create"): open_exec,
    ("attach", "get"): open_attach,
    ("attach", "create"): open_attach,
    ("portforward", "get"): open_portforward,
    ("portforward", "create"): open_portforward,
}


_SELECTING = frozenset({"list", "watch", "deletecollection"})
_NOT_IN_PATHS = re.compile(r"^\.{1,2}$|[/%]")
#: What a client may call its request; others are given an id.
_AUDIT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
#: What takes as long as its client likes.
_STREAMED = frozenset({"attach", "exec", "log", "portforward", "proxy"})


class App:
    """The request handler of the server. `failures` counts what should never happen."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.requests = 0
        self.failures = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        meter = self.backend.meter
        if meter is None:
            return await self._answer(request)
        code = 0
        meter.begin(request)
        try:
            response = await self._answer(request)
            code = response.status
            return response
        finally:
            meter.end(request, code)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Audit-Id", "")
        request[AUDIT_ID] = given if _AUDIT_ID.fullmatch(given) else self.backend.new_id()
        response = await self._audited(request)
        response.headers.setdefault("Audit-Id", request[AUDIT_ID])
        return await compressed(request, response)

    async def _audited(self, request: web.BaseRequest) -> web.StreamResponse:
        trail = self.backend.trail
        if trail is None:
            return await self._serve(request, None)
        entry = trail.begin(request[AUDIT_ID], request.raw_path, request.headers, request.remote or "")
        response: web.StreamResponse | None = None
        try:
            response = await self._serve(request, entry)
        finally:
            tell_audit(entry, response)
        return response

    async def _serve(self, request: web.BaseRequest, entry: Entry | None) -> web.StreamResponse:
        try:
            return await _in_turn(await self._call(request, entry))
        except ApiError as error:
            return answer_failure(request, error)  # of what is not even let in
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            self.failures += 1
            log.exception("%s %s", request.method, request.path_qs[:500])
            return answer_failure(request, InternalError("an internal error occurred: the gateway's log tells more"))

    async def _call(self, request: web.BaseRequest, entry: Entry | None) -> Call:
        raw_path, _, raw_query = request.raw_path.partition("?")
        query = parse_query(raw_query)
        target = with_selected(parse_target(request.method, raw_path, flag_of(query, "watch")), query)
        meter = self.backend.meter
        if meter is not None:
            meter.asks(request, target)
        certificate, now = peer_certificate(request), self.backend.clock()
        user = await self.backend.access.admit(certificate, request.headers, target, now, entry)
        call = Call(self.backend, request, target, query, user, audit=entry)
        if meter is not None:
            meter.may(call)
        return call


def with_selected(target: Target, query: Query) -> Target:
    """A role that names objects lets them be listed and watched by name (requestinfo.go); nodes must say of which node
    the pods are."""
    if "fieldSelector" not in query or target.verb not in _SELECTING:
        return target
    try:
        terms = parse_fields(text_of(query, "fieldSelector"))
    except BadRequest:
        return target  # whoever may ask at all is told so
    name = "" if target.name or target.verb == "deletecollection" else exact_name(terms)
    selected = "" if _NOT_IN_PATHS.search(name) else name
    return msgspec.structs.replace(target, selected=selected, fields=exact_fields(terms))


def tell_audit(entry: Entry, response: web.StreamResponse | None) -> None:
    """How a request ended; 0 when the client was gone before there was an answer."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    code = response.status if response is not None else 0
    failure = json_object(body) if code >= 400 else {}
    entry.completed(code, body, str(failure.get("message", "")), str(failure.get("reason", "")))


def json_object(text: bytes) -> dict[str, Any]:
    """Of an answer of ours; {} of anything else."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def peer_certificate(request: web.BaseRequest) -> Mapping[str, Any] | None:
    """As `ssl.SSLSocket.getpeercert` tells it, and itself under `der`."""
    transport = request.transport
    told: Mapping[str, Any] | None = transport.get_extra_info("peercert") if transport is not None else None
    if not told or transport is None:
        return told
    tls = transport.get_extra_info("ssl_object")
    return {**told, "der": tls.getpeercert(binary_form=True)} if tls is not None else told


async def _in_turn(call: Call) -> web.StreamResponse:
    """When its priority level has seats for it; what lasts as long as its client likes takes none. A list's size tells
    how many the next one like it takes; refusals tell by what they were classified, too. Raises TooManyRequests."""
    flow, target = call.backend.flow, call.target
    if flow is None or target.subresource in _STREAMED or target.segments[:2] == extras.PREFIX:
        return await _answered(call)
    is_list, limited = target.verb == "list", "limit" in call.query
    seats = flow.seats_of(target.group, target.plural, limited=limited) if is_list else seats_of_body(call.request)
    granted = call.granted = flow.arrive(call.user, attributes_of(target), seats)
    if granted is None:
        return await _answered(call)
    try:
        if granted.started is not None:
            await flow.wait(granted)
        response = await _route_in_time(call)
    except ApiError as error:
        response = call.warned(answer_failure(call.request, error))
    finally:
        granted.leave()
    if not response.prepared:
        response.headers.update(granted.headers)
    return response


def seats_of_body(request: web.BaseRequest) -> int:
    """Large bodies keep the gateway and the store busy; of one whose length is not told the worst is taken."""
    length = request.content_length
    if length is None:
        return SEATS_MAX if request.body_exists else 1
    return min(SEATS_MAX, 1 + length // BYTES_A_SEAT)


async def _answered(call: Call) -> web.StreamResponse:
    try:
        return await _route_in_time(call)
    except ApiError as error:
        return call.warned(answer_failure(call.request, error))


async def _route_in_time(call: Call) -> web.StreamResponse:
    """Within `timeout`, when the client has named one; what streams takes the time that it takes."""
    if "timeout" not in call.query or call.target.verb == "watch" or call.target.subresource in _STREAMED:
        return await route(call)
    allowed = timeout_of(call.query)
    try:
        async with asyncio.timeout(allowed):
            return await route(call)
    except TimeoutError as error:
        raise Timeout("Timeout: request did not complete within the requested timeout") from error


async def route(call: Call) -> web.StreamResponse:
    target = call.target
    if (remote := _remote_of(call)) is not None:
        return await remote
    if target.segments[:2] == extras.PREFIX:
        return await extras.serve_extra(call)
    if (target.group, target.version) == own.GROUP_VERSION:
        return await own.serve(call, answer_item)
    if not target.plural:
        if target.verb != "get":
            raise MethodNotAllowed(_NO_METHOD)
        return await read_document(call)
    kind = await find_kind(call)
    check_scope(kind, target)
    if target.subresource:
        return await _route_subresource(call, kind)
    if not kind.is_listed:
        call.form(PLAIN_FORMS)
    misplaced = target.verb in ("create", "update", "patch") and bool(target.name) == (target.verb == "create")
    if misplaced or target.verb not in kind.verbs:
        raise MethodNotAllowed(_NO_METHOD)
    return await (_OBJECT[target.verb] if kind.stored else _ANSWERED[kind.resource])(call, kind)


def _remote_of(call: Call) -> Awaitable[web.StreamResponse] | None:
    """The answer of the server that an APIService names for this path, where there is one."""
    aggregator = call.backend.aggregator
    match call.target.segments:
        case ("apis", group, version, *_) | ("openapi", "v3", "apis", group, version) if aggregator is not None:
            service = aggregator.find(group, version)
            if service is not None and isinstance(call, ItemCall):
                raise BadRequest(f"{group}/{version} is served by another server: a batch cannot write to it")
            return aggregator.pass_on(call, service) if service is not None else None
    return None


async def answer_item(call: Call) -> web.StreamResponse:
    """A request within another one's: authorized, routed and written down as if it had come alone."""
    entry = call.audit = call.audit and call.audit.within(call.target, attributes_of(call.target))
    try:
        await call.backend.access.check(call.user, call.target)
        response = await route(call)
    except ApiError as error:
        if entry is not None:
            entry.completed(error.code, encode(error.to_status()), error.message, error.reason)
        raise
    if entry is not None:
        tell_audit(entry, response)
    return response


async def find_kind(call: Call) -> Kind:
    """Of the table, else of the definitions as they are now. Raises NotFound."""
    at = (call.target.group, call.target.version, call.target.plural)
    kind = STATIC.find(*at) or (await call.backend.custom.served()).kind_at(*at)
    if kind.deprecation:
        call.warnings.append(kind.deprecation)
    call.kind = kind
    return kind


async def _route_subresource(call: Call, kind: Kind) -> web.StreamResponse:
    target = call.target
    if (target.subresource, target.verb) == ("history", "get"):
        return await read_history(call, kind)
    if target.subresource not in kind.subresources:
        raise NotFound(_NO_RESOURCE)
    if target.subresource == "proxy":
        return await serve_proxy(call)
    if target.verb not in SUBRESOURCES[target.subresource].verbs:
        raise MethodNotAllowed(_NO_METHOD)
    if target.subresource in CONNECTIONS:
        await call.admitted(connection_options(kind, target, call.query), CONNECT)
    special = _SUBRESOURCE.get((target.subresource, target.verb))
    return await (special(call) if special else _OBJECT[target.verb](call, kind))


def check_scope(kind: Kind, target: Target) -> None:
    """Raises NotFound for a namespace where there is none, and for a name without the namespace it needs."""
    if bool(target.namespace) and not kind.namespaced:
        raise NotFound(_NO_RESOURCE)
    if kind.namespaced and target.name and not target.namespace:
        raise NotFound(_NO_RESOURCE)


def answer_failure(request: web.BaseRequest, error: ApiError) -> web.Response:
    """A Status; or, when a stream has begun, its end in a way that the client notices."""
    if not request.get(STREAMING):
        return answer_error(error)
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError(error.message)


def answer_error(error: ApiError) -> web.Response:
    response = web.Response(body=encode(error.to_status()), status=error.code, headers={"Content-Type": JSON_TYPE})
    response.headers["Cache-Control"] = "no-cache, private"
    if error.retry_after_seconds:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
