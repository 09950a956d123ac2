"""What the store does with a write before it commits it: one pure function from a write to an outcome.

`admit` raises an ApiError for a write that is refused; `lookup` in its context shows the writes before it.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.api import kinds
from actors.reconcile.actions import Create, Delete, Patch, PatchType, StoreWrite, Update
from actors.store.admission.apply import admit_apply
from actors.store.admission.create import admit_create
from actors.store.admission.delete import admit_delete
from actors.store.admission.outcome import Context, Keep, Notes, Outcome, Put, Remove
from actors.store.admission.services import settle_address, settle_range, settle_service
from actors.store.admission.update import admit_patch, admit_update

__all__ = ["Context", "Keep", "Notes", "Outcome", "Put", "Remove", "admit"]


#: What a change of these kinds brings with it, whatever plugins are on.
_SETTLED: dict[str, Callable[[Put | Remove, Context], Put | Remove]] = {
    kinds.SERVICE.resource: settle_service,
    kinds.IP_ADDRESS.resource: settle_address,
    kinds.SERVICE_CIDR.resource: settle_range,
}


def admit(write: StoreWrite, context: Context) -> Outcome:
    """Raises ApiError."""
    context = context.for_write(write)
    outcome = _decide(write, context)
    if context.draft or isinstance(outcome, Keep):
        return outcome
    resource = write.resource if isinstance(write, Create) else write.key.resource
    if (settle := _SETTLED.get(resource)) is not None:
        outcome = settle(outcome, context)
    subresource = write.subresource if isinstance(write, Update | Patch) else ""
    return context.plugins.settle(outcome, context.kind_of(resource), context, subresource)


def _decide(write: StoreWrite, context: Context) -> Outcome:
    match write:
        case Create(resource=kinds.POD.resource):
            return context.twins.admit(write, context)
        case Create():
            return admit_create(write, context)
        case Update():
            return admit_update(write, context)
        case Patch(type=PatchType.APPLY):
            return admit_apply(write, context)
        case Patch():
            return admit_patch(write, context)
        case Delete():
            return admit_delete(write, context)
