"""POST, PUT, PATCH, DELETE: bodies become store writes. What the write means is the store's to decide."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from actors.api.codec import Object, decode
from actors.api.conversion import to_stored
from actors.api.errors import BadRequest, Cause, Invalid, MethodNotAllowed
from actors.api.key import Stored
from actors.api.kinds import SIGNING_REQUEST, Kind
from actors.api.validation.events import check_new_event
from actors.gateway import render
from actors.gateway.auth.escalation import Write, guard_write
from actors.gateway.auth.signing import guard_request
from actors.gateway.body import parse_value
from actors.gateway.call import Call
from actors.gateway.duplicates import NONE, Repeats, find_repeats
from actors.gateway.fields import Admitted, admit_applied, admit_object, admit_operations, admit_patch
from actors.gateway.media import OBJECT_BODIES, OBJECT_FORMS, PATCH_BODIES, PLAIN_FORMS, Body
from actors.gateway.options import WriteOptions, parse_write
from actors.gateway.reading import content_type, key_of
from actors.gateway.served import SUBRESOURCES
from actors.reconcile.actions import Create, Patch, PatchType, Reply, Update
from actors.store.admission.subresource import scale_of

_EVENTS = "events.k8s.io"
SCALE = Kind("autoscaling", "v1", "Scale", "scales")
_PATCH_TYPES = {
    Body.MERGE: PatchType.MERGE,
    Body.JSON_PATCH: PatchType.JSON,
    Body.STRATEGIC: PatchType.STRATEGIC,
    Body.APPLY: PatchType.APPLY,
}


async def create_object(call: Call, kind: Kind) -> web.StreamResponse:
    if kind.namespaced and not call.target.namespace:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    call.form(OBJECT_FORMS)
    options = parse_write(call.query)
    obj = await read_object(call, kind, options)
    metadata = obj["metadata"]
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    if not metadata.get("name") and not metadata.get("generateName"):
        raise _name_required(kind)
    _check_namespace(call, kind, metadata)
    obj = in_own_terms(obj, kind)
    if kind.group == _EVENTS:
        check_new_event(obj, kind)
    write = Create(
        resource=kind.storage.resource,
        namespace=call.target.namespace,
        object=obj,
        dry_run=options.dry_run,
        manager=call.manager,
    )
    reply = await call.commit_one(await guard(call, kind, write))
    return await answer_stored(call, kind, reply.stored, 201)


async def update_object(call: Call, kind: Kind) -> web.StreamResponse:
    call.form(OBJECT_FORMS)
    options = parse_write(call.query, "UpdateOptions")
    subresource = call.target.subresource
    obj = await read_object(call, SCALE if subresource == "scale" else kind, options)
    metadata = obj["metadata"]
    name = metadata.setdefault("name", call.target.name)
    if name != call.target.name:
        raise BadRequest(
            f"the name of the object ({str(name)[:253]}) does not match the name on the URL ({call.target.name})"
        )
    _check_namespace(call, kind, metadata)
    write = Update(
        key=key_of(kind, call.target),
        object=in_own_terms(obj, kind),
        api_version=kind.api_version if kind.stored_as else "",
        subresource=subresource,
        dry_run=options.dry_run,
        manager=call.manager,
    )
    reply = await call.commit_one(await guard(call, kind, write))
    return await answer_stored(call, kind, reply.stored, 201 if _is_new(reply, options) else 200)


def _is_new(reply: Reply, options: WriteOptions) -> bool:
    stored = reply.stored
    if stored is None or not reply.changed:
        return False
    return stored.revision == 0 if options.dry_run else stored.created_revision == stored.revision


async def patch_object(call: Call, kind: Kind) -> web.StreamResponse:
    body = call.body_type(PATCH_BODIES - {Body.STRATEGIC} if kind.is_custom else PATCH_BODIES)
    call.form(OBJECT_FORMS)
    options = parse_write(call.query, "PatchOptions", apply=body is Body.APPLY)
    text = await call.read_body()
    shape = SCALE if call.target.subresource == "scale" else kind
    admitted = await call.backend.large_bodies.read(len(text), _admit_patch, call, shape, text, body, options)
    call.warnings += admitted.warnings
    write = Patch(
        key=key_of(kind, call.target),
        patch=admitted.value,
        api_version=kind.api_version if kind.stored_as else "",
        type=_PATCH_TYPES[body],
        subresource=call.target.subresource,
        force=options.force,
        dry_run=options.dry_run,
        manager=call.manager,
    )
    reply = await call.commit_one(await guard(call, kind, write))
    return await answer_stored(call, kind, reply.stored, 201 if _is_new(reply, options) else 200)


async def guard(call: Call, kind: Kind, write: Write) -> Write:
    """What is about rights may only be written by those who hold them."""
    policy = await call.backend.access.policy_for(call.user)
    if kind is SIGNING_REQUEST:
        return await guard_request(call.store, policy, call.user, write)
    return await guard_write(call.store, policy, call.user, kind, write)


def _admit_patch(call: Call, kind: Kind, text: bytes, body: Body, options: WriteOptions) -> Admitted:
    value = parse_value(text, body)
    if body is Body.JSON_PATCH:
        return admit_operations(value, kind, options.validation)
    repeats = _repeats(text, body, value, options)
    if body is not Body.APPLY:
        return admit_patch(value, kind, options.validation, repeats)
    check_versioned(value, kind)
    obj = identify(value, kind)
    _check_namespace(call, kind, obj["metadata"])
    return admit_applied(obj, kind, options.validation, repeats)


def _repeats(text: bytes, body: Body, value: Any, options: WriteOptions) -> Repeats:
    return find_repeats(text, body, value) if options.validation != "Ignore" else NONE


async def read_object(call: Call, kind: Kind, options: WriteOptions) -> Object:
    """The body as an object of `kind`, without unknown fields. Raises BadRequest and its like."""
    body = call.body_type(OBJECT_BODIES)
    text = await call.read_body()
    admitted = await call.backend.large_bodies.read(len(text), _admit_object, call, kind, text, body, options)
    call.warnings += admitted.warnings
    read: Object = admitted.value
    return read


def _admit_object(call: Call, kind: Kind, text: bytes, body: Body, options: WriteOptions) -> Admitted:
    value = parse_value(text, body)
    repeats = _repeats(text, body, value, options)
    obj = identify(value, kind)
    if call.audit is not None:
        call.audit.about(obj)
    return admit_object(obj, kind, options.validation, repeats)


def in_own_terms(obj: Object, kind: Kind) -> Object:
    """As the store takes it; a custom resource in the version of its client, which admission knows how to commit."""
    return obj if kind.is_custom else to_stored(obj, kind)


def check_versioned(value: Any, kind: Kind) -> None:
    """An applied configuration says itself what it is: its fields are owned in that version, whatever the path says
    (managedfields/internal/structuredmerge.go). Raises BadRequest."""
    if not isinstance(value, dict):
        return  # who reads it says so
    version = value.get("apiVersion") or ""
    if version != kind.api_version:
        raise BadRequest(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {str(version)[:100]}, expected: {kind.api_version}"
        )
    if not value.get("kind"):
        raise BadRequest("failed to create typed patch object: Object 'Kind' is missing")


def identify(value: Any, kind: Kind) -> Object:
    """With kind, apiVersion and metadata, filled in from the URL when the client left them out."""
    if not isinstance(value, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind.kind}): not an object")
    named = (value.get("apiVersion") or kind.api_version, value.get("kind") or kind.kind)
    if named != (kind.api_version, kind.kind):
        raise BadRequest(
            f'{str(named[1])[:100]} in version "{str(named[0])[:100]}" cannot be handled as a {kind.kind}: '
            f"the path is that of {kind.api_version}, Kind={kind.kind}"
        )
    metadata = value.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: metadata: not an object'
        )
    return {**value, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": dict(metadata or {})}


def _check_namespace(call: Call, kind: Kind, metadata: Object) -> None:
    expected = call.target.namespace
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif (metadata.get("namespace") or expected) != expected:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata["namespace"] = expected


def _name_required(kind: Kind) -> Invalid:
    cause = Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
    message = f'{kind.kind} "" is invalid: metadata.name: {cause.message}'
    return Invalid(message, group=kind.group, kind=kind.kind, causes=[cause])


async def answer_stored(call: Call, kind: Kind, stored: Stored | None, code: int) -> web.Response:
    if stored is None:
        return call.answer_value({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, code)
    if call.target.subresource == "scale":
        return call.answer_value(scale_of(decode(await call.backend.views.show_one(stored, kind)), kind), code)
    form = call.form(OBJECT_FORMS if call.target.subresource in ("", *SUBRESOURCES) else PLAIN_FORMS)
    shown = await call.backend.views.show_one(stored, kind)
    return call.answer(render.single(kind, shown, form, call.now, call.include), code, content_type(form))
