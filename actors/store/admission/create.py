"""A new object: identity, defaults, validation; its API namespace must exist and not be terminating."""

from __future__ import annotations

from actors.api import kinds
from actors.api.clock import format_time
from actors.api.codec import Object, lens_kept
from actors.api.crd.check import validate_definition
from actors.api.crd.kinds import CustomKind
from actors.api.defaulting import default
from actors.api.errors import BadRequest, Cause
from actors.api.key import Key
from actors.api.kinds import Kind
from actors.api.namespaces import Namespace
from actors.api.validation import invalid, typed, validate
from actors.reconcile.actions import Create
from actors.store.admission import custom, metadata, policies, refusals
from actors.store.admission.alike import Alike
from actors.store.admission.outcome import Context, Put
from actors.store.admission.ownership import owned_by_create
from actors.store.admission.plugin import Operation, Request
from actors.store.admission.pod import with_gates_told
from actors.store.admission.services.linked import linked

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
NAMESPACE_FINALIZER = "kubernetes"
_ALIKE = Alike()
_NAME_CHARS_MAX = 63
_NAME_ATTEMPTS = 8
#: Kinds whose creator also tells their status: a node registers itself with its capacity.
_STATUS_ON_CREATE = frozenset({kinds.NODE})


def admit_create(write: Create, context: Context) -> Put:
    """Raises AlreadyExists, NotFound and Forbidden (namespace), Invalid, BadRequest."""
    kind = context.kind_of(write.resource)
    amended = context.amended.object if context.amended else None
    obj = metadata.check_type(write.object if amended is None else amended, kind)
    namespace = _namespace_of(write, obj, kind)
    key = name_new(kind, namespace, obj, context)
    _check_namespace(kind, key, context)
    now = format_time(context.now)
    uid = context.ids.uid() if amended is None else str(obj["metadata"]["uid"])
    obj = metadata.with_identity(obj, key, uid, now, counts_generations=kind.counts_generations)
    request = Request(Operation.CREATE, kind, key, context)
    spec_fields: Object | None = None
    if isinstance(kind, CustomKind):
        custom.check_creatable(context, kind)
        obj = custom.shaped(_without_status(obj, kind), kind)
    elif kind is kinds.POD:
        obj, spec_fields = _ALIKE.default(_with_first_status(obj, kind))
    else:
        obj = default(typed(_with_first_status(obj, kind)))
    if amended is None:  # what admission adds is nobody's
        obj = owned_by_create(obj, kind, write.manager, now, spec_fields)
    obj = context.plugins.mutate(request, obj)
    if kind is kinds.POD:
        obj = with_gates_told(obj)
    elif kind is kinds.SERVICE:
        obj = linked(obj, None)
    if context.checks and (causes := _find_problems(obj, kind)):
        raise invalid(obj, causes)
    if context.lookup(key) is not None:
        raise refusals.already_exists(kind, key.name)
    if not context.draft:
        context.plugins.validate(request, obj)
    if kind is custom.DEFINITION and not context.draft:
        obj = custom.settled(custom.guarded(obj), context)
    if kind is policies.POLICY and not context.draft:
        obj = policies.settled(obj, None, context)
    return Put(key, obj)


def _find_problems(obj: Object, kind: Kind) -> list[Cause]:
    if isinstance(kind, CustomKind):
        return custom.find_problems(obj, kind)
    if kind is kinds.POD:
        return _ALIKE.find_problems(obj)
    return [*validate(obj), *(validate_definition(obj) if kind is custom.DEFINITION else ())]


def _namespace_of(write: Create, obj: Object, kind: Kind) -> str:
    given = metadata.read_meta(obj).namespace
    if not kind.namespaced:
        if write.namespace or given:
            raise BadRequest(f"{kind.resource} are cluster-scoped: a namespace may not be given")
        return ""
    if write.namespace and given and given != write.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if not (namespace := write.namespace or given):
        raise BadRequest("an empty namespace may not be set during creation")
    return namespace


def name_new(kind: Kind, namespace: str, obj: Object, context: Context) -> Key:
    """`metadata.name`, or `generateName` and a suffix that makes a free name."""
    meta = metadata.read_meta(obj)
    if meta.name:
        return Key(kind.resource, namespace, meta.name)
    if not meta.generate_name:
        cause = Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
        raise invalid(obj, (cause,))
    for _ in range(_NAME_ATTEMPTS):
        suffix = context.ids.suffix()
        key = Key(kind.resource, namespace, meta.generate_name[: _NAME_CHARS_MAX - len(suffix)] + suffix)
        if context.lookup(key) is None:
            return key
    raise refusals.already_exists(kind, key.name)


def _check_namespace(kind: Kind, key: Key, context: Context) -> None:
    if not kind.namespaced:
        return
    stored = context.lookup(Key(kinds.NAMESPACE.resource, "", key.namespace))
    if stored is None:
        raise refusals.not_found(kinds.NAMESPACE, key.namespace)
    found = lens_kept(stored, Namespace)
    if found.metadata.is_deleting or found.status.phase == "Terminating":
        raise refusals.terminating(kind, key.name, key.namespace)


def _without_status(obj: Object, kind: Kind) -> Object:
    return {name: value for name, value in obj.items() if name != "status" or "status" not in kind.subresources}


def _with_first_status(obj: Object, kind: Kind) -> Object:
    """Status is the controllers' to tell: what the creator says about it is dropped."""
    if "status" not in kind.subresources or kind in _STATUS_ON_CREATE:
        return obj
    fresh = {name: value for name, value in obj.items() if name != "status"}
    if kind is kinds.POD:
        return {**fresh, "status": {"phase": "Pending"}}
    if kind is not kinds.NAMESPACE:
        return {**fresh, "status": {}}
    labels = {**(fresh["metadata"].get("labels") or {}), NAMESPACE_LABEL: fresh["metadata"]["name"]}
    spec = {**(fresh.get("spec") or {}), "finalizers": [NAMESPACE_FINALIZER]}
    return {**fresh, "metadata": {**fresh["metadata"], "labels": labels}, "spec": spec, "status": {"phase": "Active"}}
