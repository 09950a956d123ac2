"""DELETE of one object and of a collection, with DeleteOptions from the body (JSON, YAML, protobuf) or the query."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from actors.api.codec import Object
from actors.api.conversion import shown
from actors.api.errors import BadRequest, from_status
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.gateway import render
from actors.gateway.body import parse_value
from actors.gateway.call import Call
from actors.gateway.media import OBJECT_BODIES, OBJECT_FORMS
from actors.gateway.options import Query, flag_of, integer_of, parse_dry_run, parse_list, revision_of, text_of
from actors.gateway.reading import content_type, key_of, selection_of
from actors.reconcile.actions import Delete, Propagation

_BATCH = 500
#: Kinds whose deletion is answered with the object; the others get a Status once they are gone.
_ANSWERED_WITH_OBJECT = frozenset({"pods", "services", "serviceaccounts"})


class Preconditions(msgspec.Struct, frozen=True, rename="camel"):
    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    grace_period_seconds: int | None = None
    propagation_policy: Propagation | None = None
    orphan_dependents: bool | None = None
    preconditions: Preconditions | None = None
    dry_run: tuple[str, ...] | None = None


def parse_options(value: Any, query: Query) -> DeleteOptions:
    """The body wins over the query. Raises BadRequest."""
    merged: Object = {}
    if (grace := integer_of(query, "gracePeriodSeconds")) is not None:
        merged["gracePeriodSeconds"] = grace
    if policy := text_of(query, "propagationPolicy"):
        merged["propagationPolicy"] = policy
    if "orphanDependents" in query:
        merged["orphanDependents"] = flag_of(query, "orphanDependents")
    if "dryRun" in query:
        merged["dryRun"] = list(query["dryRun"])
    try:
        return msgspec.convert({**merged, **(value or {})}, DeleteOptions)
    except msgspec.ValidationError as error:
        raise BadRequest(f"DeleteOptions cannot be handled: {error}") from error


async def read_options(call: Call) -> DeleteOptions:
    text = await call.read_body()
    value = parse_value(text, call.body_type(OBJECT_BODIES)) if text.strip() else {}
    if not isinstance(value, dict):
        raise BadRequest("DeleteOptions cannot be handled: not an object")
    return parse_options(value, call.query)


def delete_of(key: Key, options: DeleteOptions, manager: str) -> Delete:
    wanted = options.preconditions or Preconditions()
    policy = options.propagation_policy
    if policy is None and options.orphan_dependents is not None:
        policy = Propagation.ORPHAN if options.orphan_dependents else Propagation.BACKGROUND
    return Delete(
        key=key,
        uid=wanted.uid or "",
        revision=revision_of(wanted.resource_version or ""),
        grace_period_seconds=options.grace_period_seconds,
        propagation=policy,
        dry_run=parse_dry_run(options.dry_run or ()),
        manager=manager,
    )


async def delete_object(call: Call, kind: Kind) -> web.StreamResponse:
    form = call.form(OBJECT_FORMS)
    options = await read_options(call)
    reply = await call.commit_one(delete_of(key_of(kind, call.target), options, call.manager))
    stored = reply.stored
    if stored is not None and (not reply.removed or kind.resource in _ANSWERED_WITH_OBJECT):
        body = render.single(kind, shown(stored, kind), form, call.now, call.include)
        return call.answer(body, content_type=content_type(form))
    return call.answer_value(_success(kind, call.target.name, stored))


def _success(kind: Kind, name: str, stored: Stored | None) -> Object:
    details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": stored.uid if stored else ""}
    shown = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}


async def delete_collection(call: Call, kind: Kind) -> web.StreamResponse:
    """All that is selected now; each by its uid, so that what is created meanwhile stays."""
    form = call.form(OBJECT_FORMS)
    options = await read_options(call)
    selected = parse_list(call.query)
    page = await call.store.list(selection_of(kind, call.target, selected), limit=selected.limit)
    gone: list[Stored] = []
    for start in range(0, len(page.items), _BATCH):
        gone += await _delete_batch(call, page.items[start : start + _BATCH], options)
    metadata = render.list_metadata(page.revision)
    chunks = render.collection(kind, [shown(item, kind) for item in gone], metadata, form, call.now, call.include)
    return call.answer(b"".join(chunks), content_type=content_type(form))


async def _delete_batch(call: Call, items: tuple[Stored, ...], options: DeleteOptions) -> list[Stored]:
    plain = msgspec.structs.replace(options, preconditions=None)
    writes = [msgspec.structs.replace(delete_of(item.key, plain, call.manager), uid=item.uid) for item in items]
    replies = await call.commit(writes)
    for reply in replies:
        if reply.error is not None and reply.error.get("reason") not in ("NotFound", "Conflict"):
            raise from_status(reply.error)
    return [reply.stored for reply in replies if reply.stored is not None]
