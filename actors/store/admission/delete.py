"""The end of an object, as Kubernetes does it (apiserver pkg/registry/rest/delete.go): at once, or when the last
finalizer is gone, or for a bound pod when its node confirms with grace 0. A grace period only shrinks.
"""

from __future__ import annotations

from actors.api import kinds
from actors.api.clock import LAST_MS, Millis, format_time, parse_time
from actors.api.codec import Object, decode
from actors.api.crd.names import terminating
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.reconcile.actions import Delete, Propagation
from actors.store.admission import custom, refusals
from actors.store.admission.outcome import Context, Keep, Outcome, Put, Remove
from actors.store.admission.plugin import Operation, Request
from actors.store.admission.pod import plan_grace_seconds
from actors.store.admission.update import is_released

FOREGROUND_FINALIZER = "foregroundDeletion"
ORPHAN_FINALIZER = "orphan"


def admit_delete(write: Delete, context: Context) -> Outcome:
    """Raises NotFound, Conflict, Forbidden."""
    kind = context.kind_of(write.key.resource)
    stored = context.lookup(write.key)
    if stored is None:
        raise refusals.not_found(kind, write.key.name)
    _check_preconditions(write, stored, kind)
    if context.amended is not None and context.amended.revision != stored.revision:
        raise refusals.conflict(kind, stored.key, refusals.MODIFIED)
    old = decode(stored)
    context.plugins.validate(Request(Operation.DELETE, kind, stored.key, context, old), old)
    del old["metadata"]["resourceVersion"]
    new = _with_propagation(old, write.propagation)
    new = _dying(new, kind, write.grace_period_seconds, context.now)
    if kind is custom.DEFINITION and "deletionTimestamp" not in old["metadata"]:
        new = terminating(new, format_time(context.now))
    if is_released(new, kind):
        return Remove(stored.key, new)
    return Keep(stored) if new == old else Put(stored.key, new)


def _check_preconditions(write: Delete, stored: Stored, kind: Kind) -> None:
    if write.uid and write.uid != stored.uid:
        why = (
            f"the UID in the precondition ({write.uid}) does not match the UID in record ({stored.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise refusals.conflict(kind, stored.key, why)
    if write.revision and write.revision != stored.revision:
        why = (
            f"the ResourceVersion in the precondition ({write.revision}) does not match the ResourceVersion in "
            f"record ({stored.revision}). The object might have been modified"
        )
        raise refusals.conflict(kind, stored.key, why)


def _with_propagation(obj: Object, propagation: Propagation | None) -> Object:
    """How dependents go is told to the garbage collector by a finalizer, which it removes when it is done."""
    if propagation is None:
        return obj
    wanted = {Propagation.FOREGROUND: [FOREGROUND_FINALIZER], Propagation.ORPHAN: [ORPHAN_FINALIZER]}
    before = obj["metadata"].get("finalizers") or []
    added = wanted.get(propagation, [])
    kept = [name for name in before if name not in (FOREGROUND_FINALIZER, ORPHAN_FINALIZER) or name in added]
    finalizers = kept + [name for name in added if name not in kept]
    metadata = {name: value for name, value in obj["metadata"].items() if name != "finalizers"}
    return {**obj, "metadata": {**metadata, "finalizers": finalizers} if finalizers else metadata}


def _dying(obj: Object, kind: Kind, requested: int | None, now: Millis) -> Object:
    """With the time at which it must be gone; an earlier one when it was already dying."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata:
        grace = plan_grace_seconds(obj, requested) if kind is kinds.POD else 0
        if "generation" in metadata:
            metadata = {**metadata, "generation": metadata["generation"] + 1}
        return _terminating({**obj, "metadata": metadata}, kind, grace, now + grace * 1000)
    left = metadata.get("deletionGracePeriodSeconds", 0)
    if kind is not kinds.POD or requested is None or max(requested, 0) >= left:
        return obj
    started = parse_time(metadata["deletionTimestamp"]) - left * 1000
    grace = 1 if requested < 0 else requested
    return _terminating(obj, kind, grace, started + grace * 1000)


def _terminating(obj: Object, kind: Kind, grace: int, gone_at: Millis) -> Object:
    metadata = {
        **obj["metadata"],
        "deletionTimestamp": format_time(min(gone_at, LAST_MS)),
        "deletionGracePeriodSeconds": grace,
    }
    if kind is not kinds.NAMESPACE:
        return {**obj, "metadata": metadata}
    del metadata["deletionGracePeriodSeconds"]
    return {**obj, "metadata": metadata, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
