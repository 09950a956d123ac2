"""DELETE of one object and of a collection, with DeleteOptions from the body (JSON, YAML, protobuf) or the query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from actors.api.codec import Object
from actors.api.errors import BadRequest, Cause, from_status
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.gateway import render
from actors.gateway.body import parse_value
from actors.gateway.call import Call
from actors.gateway.media import OBJECT_BODIES, OBJECT_FORMS, Body
from actors.gateway.options import (
    Query,
    dry_run_causes,
    flag_of,
    integer_of,
    invalid_options,
    parse_list,
    revision_of,
    text_of,
    unsupported,
)
from actors.gateway.reading import content_type, key_of, read_shown
from actors.reconcile.actions import Delete, Propagation

_BATCH = 500
#: Kinds whose deletion is answered with the object; the others get a Status once they are gone.
_ANSWERED_WITH_OBJECT = frozenset(
    {
        "pods",
        "services",
        "serviceaccounts",
        "persistentvolumes",
        "persistentvolumeclaims",
        "podtemplates",
        "resourcequotas",
        "storageclasses.storage.k8s.io",
    }
)
_POLICIES = ("Foreground", "Background", "Orphan")
#: Kinds whose dependents stay when nobody says otherwise, and what Kubernetes warns of then
#: (pkg/registry/batch/job/storage/storage.go; rest.OrphanDependents of the kinds' strategies).
_ORPHANING = {
    "replicationcontrollers": "",
    "jobs.batch": "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to "
    "remove them or set propagationPolicy=Orphan to suppress this warning",
}


class Preconditions(msgspec.Struct, frozen=True, rename="camel"):
    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = "DeleteOptions"
    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
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
        options = msgspec.convert({**merged, **(value or {})}, DeleteOptions)
    except msgspec.ValidationError as error:
        raise BadRequest(f"DeleteOptions cannot be handled: {error}") from error
    if options.kind not in ("", "DeleteOptions"):
        raise BadRequest(f"decoded object cannot be converted to DeleteOptions: it is a {options.kind[:100]}")
    if causes := [*_causes(options)]:
        raise invalid_options("DeleteOptions", causes)
    return options


def _causes(options: DeleteOptions) -> Iterator[Cause]:
    """apimachinery pkg/apis/meta/v1/validation: ValidateDeleteOptions."""
    policy = options.propagation_policy
    if policy is not None and options.orphan_dependents is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        yield Cause("propagationPolicy", f'Invalid value: "{policy[:50]}": {why}')
    if policy is not None and policy not in _POLICIES:
        yield unsupported("propagationPolicy", policy, (*_POLICIES, "nil"))
    yield from dry_run_causes(options.dry_run or ())


async def read_options(call: Call, kind: Kind) -> DeleteOptions:
    text = await call.read_body()
    body = call.body_type(OBJECT_BODIES) if text.strip() else Body.JSON
    value = await call.backend.large_bodies.read(len(text), parse_value, text, body) if text.strip() else {}
    if not isinstance(value, dict):
        raise BadRequest("DeleteOptions cannot be handled: not an object")
    options = parse_options(value, call.query)
    if options.propagation_policy is None and options.orphan_dependents is None:
        call.warnings += filter(None, [_ORPHANING.get(kind.resource)])
    return options


def delete_of(key: Key, options: DeleteOptions, manager: str, revision: int = 0) -> Delete:
    """`revision`, when given, is the precondition in place of the one that is asked for."""
    wanted = options.preconditions or Preconditions()
    policy = Propagation(options.propagation_policy) if options.propagation_policy else None
    if policy is None and options.orphan_dependents is not None:
        policy = Propagation.ORPHAN if options.orphan_dependents else Propagation.BACKGROUND
    if policy is None and key.resource in _ORPHANING:
        policy = Propagation.ORPHAN
    return Delete(
        key=key,
        uid=wanted.uid or "",
        revision=revision or revision_of(wanted.resource_version or ""),
        grace_period_seconds=options.grace_period_seconds,
        propagation=policy,
        dry_run="All" in (options.dry_run or ()),
        manager=manager,
    )


async def delete_object(call: Call, kind: Kind) -> web.StreamResponse:
    form = call.form(OBJECT_FORMS)
    options = await read_options(call, kind)
    reply = await call.commit_one(delete_of(key_of(kind, call.target), options, call.manager))
    stored = reply.stored
    if stored is not None and (not reply.removed or kind.resource in _ANSWERED_WITH_OBJECT):
        shown = await call.backend.views.show_one(stored, kind)
        body = render.single(kind, shown, form, call.now, call.include)
        waits = not reply.removed and options.orphan_dependents is False
        return call.answer(body, 202 if waits else 200, content_type(form))
    return call.answer_value(_success(kind, call.target.name, stored))


def _success(kind: Kind, name: str, stored: Stored | None) -> Object:
    details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": stored.uid if stored else ""}
    shown = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}


async def delete_collection(call: Call, kind: Kind) -> web.StreamResponse:
    """All that is selected now; each by its uid, so that what is created meanwhile stays."""
    form = call.form(OBJECT_FORMS)
    options = await read_options(call, kind)
    page = await read_shown(call, kind, parse_list(call.query))
    gone: list[Stored] = []
    for start in range(0, len(page.items), _BATCH):
        gone += await _delete_batch(call, page.items[start : start + _BATCH], options)
    metadata = render.list_metadata(page.revision)
    items = await call.backend.views.show(gone, kind)
    chunks = render.collection(kind, items, metadata, form, call.now, call.include)
    return call.answer(b"".join(chunks), content_type=content_type(form))


async def _delete_batch(call: Call, items: tuple[Stored, ...], options: DeleteOptions) -> list[Stored]:
    """Preconditions hold for each; without, one that another has replaced meanwhile is left to him."""
    asked = options.preconditions or Preconditions()
    writes = [delete_of(item.key, options, call.manager) for item in items]
    if not asked.uid:
        writes = [msgspec.structs.replace(write, uid=item.uid) for write, item in zip(writes, items, strict=True)]
    passed_over = {"NotFound"} if asked.uid or asked.resource_version else {"NotFound", "Conflict"}
    replies = await call.commit(writes)
    for reply in replies:
        if reply.error is not None and reply.error.get("reason") not in passed_over:
            raise from_status(reply.error)
    return [reply.stored for reply in replies if reply.stored is not None]
