"""A change of an existing object, by replacement or by patch: what may change, who may change it, what it becomes.

Both end in `finish_update`, so no rule depends on the way in which a client words its change.
"""

from __future__ import annotations

from actors.api import kinds
from actors.api.clock import format_time
from actors.api.codec import Object, decode
from actors.api.conversion import to_stored, to_view
from actors.api.crd.check import validate_definition
from actors.api.crd.kinds import CustomKind
from actors.api.defaulting import default
from actors.api.errors import BadRequest, Cause, Invalid, NotFound, UnsupportedMediaType
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.patch import apply_json, apply_merge
from actors.api.strategic_patch import apply_strategic
from actors.api.validation import invalid, typed, validate
from actors.api.validation.events import check_event_change
from actors.reconcile.actions import Amended, Create, Patch, PatchType, Update
from actors.store.admission import custom, metadata, policies, refusals
from actors.store.admission.create import admit_create
from actors.store.admission.outcome import Context, Keep, Outcome, Put, Remove
from actors.store.admission.ownership import find_malformed, owned_by_update
from actors.store.admission.plugin import Operation, Request
from actors.store.admission.pod import bound, find_frozen_fields
from actors.store.admission.services.linked import linked
from actors.store.admission.subresource import SERVED, changed_part, scale_of, with_replicas

_EVENTS = "events.k8s.io"
#: Kinds whose PUT makes what is not there (their strategies' AllowCreateOnUpdate).
_MADE_BY_UPDATE = frozenset(
    {
        "endpoints",
        "events",
        "leases.coordination.k8s.io",
        "limitranges",
        "podtemplates",
        "services",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
    }
)
#: Kinds whose PUT must say which revision it replaces (AllowUnconditionalUpdate is false).
_CONDITIONAL = frozenset(
    {
        "leases.coordination.k8s.io",
        "poddisruptionbudgets.policy",
        "customresourcedefinitions.apiextensions.k8s.io",
        "apiservices.apiregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    }
)


def admit_update(write: Update, context: Context) -> Outcome:
    """Raises NotFound, Conflict, Invalid, BadRequest."""
    kind = context.kind_of(write.key.resource)
    stored = context.lookup(write.key)
    if stored is None:
        return _made_by_update(write, kind, context)
    check_subresource(kind, write.subresource)
    if write.subresource == "scale":
        return _finish_scale(write.object, stored, kind, write.manager, context)
    given = metadata.check_type(write.object, kind)
    is_conditional = kind.is_custom or kind.resource in _CONDITIONAL
    if is_conditional and metadata.read_meta(given).resource_version in ("", "0"):
        cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise invalid(decode(stored), (cause,))
    old = decode_as(stored, kind)
    check_view(given, old, kind.view(write.api_version))
    return finish_update(given, stored, old, kind, write.subresource, write.manager, context)


def check_view(given: Object, old: Object, view: Kind) -> None:
    """What only one version of a kind wants of a change. Raises Invalid."""
    if view.group == _EVENTS:
        check_event_change(given, old, view)


def _made_by_update(write: Update, kind: Kind, context: Context) -> Outcome:
    if write.subresource or kind.resource not in _MADE_BY_UPDATE:
        raise refusals.not_found(kind, write.key.name)
    _, namespace, name = write.key
    given = metadata.check_type(write.object, kind)
    obj = {**given, "metadata": {**given["metadata"], "name": name}}
    metadata.check_target(given, write.key)
    return admit_create(Create(resource=kind.resource, namespace=namespace, object=obj, manager=write.manager), context)


def admit_patch(write: Patch, context: Context) -> Outcome:
    """All kinds of patch but server-side apply. Raises NotFound, Conflict, Invalid, BadRequest."""
    kind = context.kind_of(write.key.resource)
    stored = context.lookup(write.key)
    if stored is None:
        raise refusals.not_found(kind, write.key.name)
    check_subresource(kind, write.subresource)
    metadata.check_preconditions(kind, stored, write.uid, write.revision)
    old = decode_as(stored, kind)
    if write.subresource == "binding":
        new = bound(old, write.patch, stored, kind, context.now)
        return _finish(kind, stored, old, new, write.manager, context, write.subresource)
    if write.subresource == "scale":
        return _finish_scale(_patched(scale_of(old, kind), write), stored, kind, write.manager, context)
    view = kind.view(write.api_version)
    patched = metadata.check_type(to_stored(_patched(to_view(old, view), write, kind.is_custom), view), kind, old)
    check_view(patched, old, view)
    return finish_update(patched, stored, old, kind, write.subresource, write.manager, context)


def decode_as(stored: Stored, kind: Kind) -> Object:
    """What was stored under an earlier storage version of a custom resource is of this one now."""
    return {**decode(stored), "apiVersion": kind.api_version}


def check_subresource(kind: Kind, subresource: str) -> None:
    """Raises NotFound for one that the kind has not, or that is not written through the store."""
    if subresource and (subresource not in kind.subresources or subresource not in SERVED):
        raise NotFound(f"the server could not find the requested resource: {kind.resource}/{subresource}")


def _patched(target: Object, write: Patch, is_custom: bool = False) -> Object:
    if write.type is PatchType.JSON:
        result = apply_json(target, write.patch)
    elif write.type is PatchType.STRATEGIC and not is_custom:
        result = apply_strategic(target, write.patch, target["apiVersion"], target["kind"])
    elif write.type is PatchType.MERGE:
        if not isinstance(write.patch, dict):
            raise BadRequest("a merge patch is a JSON object")
        result = apply_merge(target, write.patch)
    else:
        raise UnsupportedMediaType(f"{write.type} cannot be used here")
    if not isinstance(result, dict):
        raise BadRequest("the patch leaves no JSON object")
    return result


def finish_update(
    given: Object, stored: Stored, old: Object, kind: Kind, subresource: str, manager: str, context: Context
) -> Outcome:
    """From the object that a client wants to the one that it gets. `old` is `stored`, decoded."""
    meta = metadata.read_meta(given)
    metadata.check_target(given, stored.key)
    metadata.check_preconditions(kind, stored, meta.uid, meta.resource_version)
    if causes := [*metadata.find_immutable(old, given), *find_malformed(old, given)]:
        raise invalid(old, causes)
    new = changed_part(old, metadata.carried_over(old, given), kind, subresource)
    return _finish(kind, stored, old, new, manager, context, subresource)


def _finish(
    kind: Kind, stored: Stored, old: Object, new: Object, manager: str, context: Context, subresource: str = ""
) -> Outcome:
    """Defaults, validation and the books of the store (generation, managers), for every way to change an object."""
    if context.amended is not None:
        new = _amended(context.amended, kind, stored, old, subresource)
    del old["metadata"]["resourceVersion"]
    new["metadata"].pop("resourceVersion", None)
    request = Request(Operation.UPDATE, kind, stored.key, context, old, subresource)
    if isinstance(kind, CustomKind):
        new = context.plugins.mutate(request, custom.shaped(new, kind))
    else:
        new = typed(new, old)
        if _needs_defaults(old, new, subresource, kind):
            new = default(new)
        new = context.plugins.mutate(request, new)
        if kind is kinds.SERVICE and not subresource:
            new = linked(new, old)
    if context.checks and (causes := _find_problems(old, new, kind, subresource)):
        raise invalid(old, tuple(dict.fromkeys(causes)))
    if kind is custom.DEFINITION and not context.draft:
        new = custom.settled(new, context)
    if kind is policies.POLICY and not context.draft:
        new = policies.settled(new, old, context)
    if new == old:
        return Keep(stored)
    if not context.draft:
        context.plugins.validate(request, new)
    if subresource != "binding" and (context.amended is None or not context.amended.whole):
        new = metadata.counted(old, new, kind)  # a pod that gets its node is asked for nothing new (KEP-5067)
    if context.amended is None:
        new = owned_by_update(old, new, kind, manager, subresource, format_time(context.now))
    return Remove(stored.key, new) if is_released(new, kind) else Put(stored.key, new)


def _find_problems(old: Object, new: Object, kind: Kind, subresource: str) -> list[Cause]:
    causes = metadata.find_late_finalizers(old, new)
    if isinstance(kind, CustomKind):
        return causes + custom.find_problems(new, kind, old)
    causes += validate(new, old, subresource)
    if kind is custom.DEFINITION:
        causes += validate_definition(new, old)
    if kind is kinds.POD and not subresource:
        causes += find_frozen_fields(old, new)
    return causes


def _amended(amended: Amended, kind: Kind, stored: Stored, old: Object, subresource: str) -> Object:
    """What admission outside of the store has made of the write, held to what its way in may change."""
    if amended.revision != stored.revision or amended.object is None:
        raise refusals.conflict(kind, stored.key, refusals.MODIFIED)
    given = metadata.check_type(amended.object, kind)
    metadata.read_meta(given)
    if amended.whole:
        return {**given, "metadata": {**given["metadata"], **metadata.identity(old)}}
    part = "" if subresource == "scale" else subresource
    return changed_part(old, metadata.carried_over(old, given), kind, part)


def _needs_defaults(old: Object, new: Object, subresource: str, kind: Kind) -> bool:
    """What is stored has its defaults: they can only be missing where something was changed or taken away."""
    if subresource == "binding":
        return False
    if kind is kinds.SERVICE:  # the one kind with defaults deep within its status
        return True
    before, after = old.get("status") or {}, new.get("status") or {}
    return metadata.differs_in_content(old, new) or not before.keys() <= after.keys()


def is_released(obj: Object, kind: Kind) -> bool:
    """Nothing holds a dying object any longer: no finalizer, no grace left for its node."""
    meta = obj["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds", 0):
        return False
    return kind is not kinds.NAMESPACE or not (obj.get("spec") or {}).get("finalizers")


def _finish_scale(scale: Object, stored: Stored, kind: Kind, manager: str, context: Context) -> Outcome:
    spec = scale.get("spec") if isinstance(scale, dict) else None
    replicas = (spec if isinstance(spec, dict) else {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise Invalid(f'Scale "{stored.key.name}" is invalid: spec.replicas: must be an integer', kind="Scale")
    if replicas < 0:
        raise refusals.negative_scale(stored.key.name, replicas)
    obj = decode_as(stored, kind)
    given = scale.get("metadata") if isinstance(scale.get("metadata"), dict) else {}
    metadata.check_preconditions(kind, stored, (given or {}).get("uid"), (given or {}).get("resourceVersion"))
    return finish_update(with_replicas(obj, kind, replicas), stored, obj, kind, "scale", manager, context)
