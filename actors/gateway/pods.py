"""Bindings: how a pod gets its node."""

from __future__ import annotations

from aiohttp import web

from actors.api.codec import Object
from actors.api.errors import Cause, Invalid
from actors.api.key import Key
from actors.api.kinds import BINDING, POD, Kind
from actors.gateway.call import Call
from actors.gateway.options import WriteOptions, parse_write
from actors.gateway.writing import read_object
from actors.reconcile.actions import Patch

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


async def create_binding(call: Call) -> web.StreamResponse:
    """POST pods/x/binding."""
    options = parse_write(call.query)
    obj = await read_object(call, BINDING, options)
    return await _bind(call, obj, call.target.name, options)


async def bind_pod(call: Call, kind: Kind) -> web.StreamResponse:
    """POST bindings: the pod is the one that the Binding is named after."""
    options = parse_write(call.query)
    obj = await read_object(call, kind, options)
    name = obj["metadata"].get("name")
    if not name:
        cause = Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
        raise Invalid(f'Binding "" is invalid: metadata.name: {cause.message}', kind=kind.kind, causes=[cause])
    return await _bind(call, obj, str(name), options)


async def _bind(call: Call, obj: Object, name: str, options: WriteOptions) -> web.StreamResponse:
    """Conflict when the pod already has a node."""
    target = obj.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        cause = Cause("target.kind", 'Unsupported value: supported values: "Node"', "FieldValueNotSupported")
        raise Invalid(f'Binding "{name}" is invalid: target.kind: {cause.message}', causes=[cause])
    if not target.get("name"):
        cause = Cause("target.name", "Required value", "FieldValueRequired")
        raise Invalid(f'Binding "{name}" is invalid: target.name: Required value', causes=[cause])
    patch = {"spec": {"nodeName": target["name"]}}
    annotations = obj["metadata"].get("annotations")
    if annotations:
        patch["metadata"] = {"annotations": annotations}
    write = Patch(
        key=Key(POD.resource, call.target.namespace, name),
        patch=patch,
        subresource="binding",
        uid=obj["metadata"].get("uid", ""),
        dry_run=options.dry_run,
        manager=call.manager,
    )
    await call.commit_one(write)
    return call.answer_value({**SUCCESS, "code": 201}, 201)
