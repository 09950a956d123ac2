"""GET of one object and of a collection, with Kubernetes' meaning of resourceVersion, limit and continue."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from actors.api.clock import Millis, format_time, parse_time
from actors.api.codec import decode
from actors.api.crd.kinds import CustomKind
from actors.api.errors import BadRequest
from actors.api.field_selector import parse_fields
from actors.api.key import Key
from actors.api.kinds import EVENT, NAMESPACE, Kind
from actors.gateway import render
from actors.gateway.call import JSON_TYPE, YAML_TYPE, Call
from actors.gateway.continuing import seal, unseal
from actors.gateway.converted import rest_of, split_fields
from actors.gateway.large_lists import is_large, stream_list
from actors.gateway.media import OBJECT_FORMS, PLAIN_FORMS, Form
from actors.gateway.options import ListOptions, parse_list, revision_of, text_of
from actors.gateway.past import find_floor
from actors.gateway.target import Target
from actors.reconcile.watch import Selection
from actors.store.admission.subresource import scale_of
from actors.store.log import too_large_revision
from actors.store.port import Page
from actors.store.reading import expired_page

_REVISION_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 0.1
#: Selects nothing: what is wanted is the revision alone.
_NOTHING = Selection((NAMESPACE.resource,), fields="metadata.name=-")


def key_of(kind: Kind, target: Target) -> Key:
    return Key(kind.storage.resource, target.namespace, target.name)


def selection_of(kind: Kind, target: Target, options: ListOptions) -> Selection:
    """As far as the store can select: `rest_of` is for converted objects to answer."""
    if isinstance(kind, CustomKind):
        check_selectable(kind, options.fields)
    return Selection((kind.storage.resource,), target.namespace, options.labels, split_fields(kind, options.fields)[0])


def check_selectable(kind: CustomKind, fields: str) -> None:
    """Raises BadRequest for a field that the definition does not name; the store takes every one."""
    for requirement in parse_fields(fields):
        if requirement.path not in ("metadata.name", "metadata.namespace", *kind.selectable):
            raise BadRequest(f"field label not supported: {requirement.path[:200]}")


async def get_object(call: Call, kind: Kind) -> web.StreamResponse:
    """As it is now, which is no older than any resourceVersion that has been; or as it was, when that is asked for."""
    if past := await read_past_revision(call):
        (await find_floor(call)).check(past)
    wanted = revision_of(text_of(call.query, "resourceVersion"))
    stored = await call.store.get(key_of(kind, call.target), past)
    if not past and wanted > stored.revision:
        await wait_reached(call, wanted)
        stored = await call.store.get(key_of(kind, call.target))
    stored = await call.backend.views.show_one(stored, kind)
    if call.target.subresource == "scale":
        call.form(PLAIN_FORMS)
        return call.answer_value(scale_of(decode(stored), kind))
    form = call.form(OBJECT_FORMS)
    return call.answer(render.single(kind, stored, form, call.now, call.include), content_type=content_type(form))


def content_type(form: Form) -> str:
    return YAML_TYPE if form is Form.YAML else JSON_TYPE


async def list_objects(call: Call, kind: Kind) -> web.StreamResponse:
    options = parse_list(call.query)
    form = call.form(OBJECT_FORMS)
    if past := await read_past_revision(call):
        options = msgspec.structs.replace(options, revision_text=str(past), match="Exact")
    page = await read_shown(call, kind, options)
    metadata = render.list_metadata(page.revision, page.cursor, page.remaining)
    items = page.items
    weight = sum(len(item.body) for item in items)
    if call.backend.flow is not None:  # before it is sent: those that wait are to know
        call.backend.flow.weigh(call.target.group, call.target.plural, weight, limited="limit" in call.query)
    chunks = render.collection(kind, items, metadata, form, call.now, call.include)
    if form is not Form.YAML and is_large(call, items):
        return await stream_list(call, chunks, content_type(form))
    return call.answer(b"".join(chunks), content_type=content_type(form))


async def read_past_revision(call: Call) -> int:
    """The revision that is asked for, 0 for the present: `resourceVersion` with `resourceVersionMatch=Exact`, or `at`,
    a time in RFC 3339, which ages are then told from. Raises BadRequest, Invalid; Expired for what is not retained."""
    if text := text_of(call.query, "at"):
        call.shown_at = parse_past(text, call.now)
        return await call.store.revision_at(call.shown_at)
    if not call.query:
        return 0
    options = parse_list(call.query)
    return options.revision if options.match == "Exact" else 0


def parse_past(text: str, now: Millis) -> Millis:
    """Raises BadRequest for what is no time, or yet to come."""
    try:
        at = parse_time(text)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if at > now:
        raise BadRequest(f"{text} is in the future: it is {format_time(now)}")
    return at


async def read_shown(call: Call, kind: Kind, options: ListOptions) -> Page:
    """What is selected, in the shape of `kind`. Raises ApiError."""
    page = await _read_page(call, kind, options)
    items = tuple(await call.backend.views.show(page.items, kind))
    if kind.storage is EVENT and not (page.cursor or options.cursor):
        items = tuple(sorted(items, key=lambda event: event.created_revision))  # their names tell no order
    rest = rest_of(kind, options.fields)
    if rest is None:
        return msgspec.structs.replace(page, items=items)
    return msgspec.structs.replace(page, items=tuple(item for item in items if rest.matches(item)), remaining=0)


async def _read_page(call: Call, kind: Kind, options: ListOptions) -> Page:
    """Raises Timeout for a resourceVersion that the store has not reached, Expired for one it no longer has."""
    selection = selection_of(kind, call.target, options)
    wanted = options.revision
    exact = options.match == "Exact" or (wanted > 0 and options.limit > 0 and not options.match)
    if exact or options.cursor:
        cursor = unseal(options.cursor, call.now, call.backend.config.continue_seconds)
        revision = wanted if exact else 0
        floor = await find_floor(call)
        floor.check(revision)
        page = await call.store.list(selection, limit=options.limit, cursor=cursor, revision=revision)
        if cursor and page.revision < floor.revision:
            raise expired_page(cursor)
    else:
        page = await call.store.list(selection, limit=options.limit)
        if page.revision < wanted:
            await wait_reached(call, wanted)
            page = await call.store.list(selection, limit=options.limit)
    return msgspec.structs.replace(page, cursor=seal(page.cursor, call.now))


async def wait_reached(call: Call, wanted: int) -> None:
    """Until the store has reached a revision. Raises Timeout after as long as kube-apiserver waits for its cache."""
    until = asyncio.get_running_loop().time() + _REVISION_SECONDS
    while (page := await call.store.list(_NOTHING, limit=1)).revision < wanted:
        if asyncio.get_running_loop().time() >= until:
            raise too_large_revision(wanted, page.revision)
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
