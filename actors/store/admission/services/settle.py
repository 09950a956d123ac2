"""One write of a Service, an IPAddress or a ServiceCIDR with all that must become so in the same commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from actors.api.clock import format_time
from actors.api.codec import Object, decode
from actors.api.key import Key
from actors.api.kinds import IP_ADDRESS, SERVICE, SERVICE_CIDR
from actors.api.validation.services import needs_cluster_ip
from actors.store.admission import refusals
from actors.store.admission.outcome import Context, Put, Remove
from actors.store.admission.services.addresses import (
    held_addresses,
    is_of,
    key_of_address,
    released,
    taken,
    with_addresses,
)
from actors.store.admission.services.families import with_families
from actors.store.admission.services.ports import with_node_ports
from actors.store.admission.services.ranges import configured_families, is_dying, only_here

RANGE_FINALIZER = "networking.k8s.io/service-cidr-finalizer"
_READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
_WAITING = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": (
        "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
    ),
}


# --- Services ---------------------------------------------------------------------------------------------------


def settle_service(outcome: Put | Remove, context: Context) -> Put | Remove:
    """With its families, addresses and node ports; those that it no longer has go. Raises Invalid, InternalError."""
    key, stored = outcome.key, context.lookup(outcome.key)
    old = decode(stored) if stored is not None else None
    new = _equipped(outcome.object, old, key, context) if isinstance(outcome, Put) else outcome.object
    wanted = held_addresses(new) if isinstance(outcome, Put) else []
    come = [write for address in wanted for write in taken(address, key, context)]
    left = [address for address in held_addresses(old) if address not in wanted]
    gone = [write for address in left for write in released(address, key, context)]
    return msgspec.structs.replace(outcome, object=new, also=(*come, *gone, *_ranges_done(gone, context)))


def _equipped(service: Object, old: Object | None, key: Key, context: Context) -> Object:
    if needs_cluster_ip(service["spec"]):
        service = with_families(service, old, configured_families(context))
        service = with_addresses(service, key, held_addresses(old), context)
    return with_node_ports(service, old, key, context)


# --- IPAddresses ------------------------------------------------------------------------------------------------


def settle_address(outcome: Put | Remove, context: Context) -> Put | Remove:
    """One that a Service has stays until that lets it go: there is no moment in which another could get it.

    Raises Forbidden.
    """
    if not isinstance(outcome, Remove):
        return outcome
    parent = (outcome.object.get("spec") or {}).get("parentRef") or {}
    service = Key(SERVICE.resource, str(parent.get("namespace", "")), str(parent.get("name", "")))
    stored = context.lookup(service)
    held = held_addresses(decode(stored)) if stored is not None and is_of(outcome.object, service) else []
    if outcome.key in map(key_of_address, held):
        why = f"it is the address of the Service {service.namespace}/{service.name}: delete that"
        raise refusals.forbidden(IP_ADDRESS, outcome.key.name, why)
    return msgspec.structs.replace(outcome, also=tuple(_ranges_done([outcome], context)))


# --- ServiceCIDRs -----------------------------------------------------------------------------------------------


def settle_range(outcome: Put | Remove, context: Context) -> Put | Remove:
    """A new one is ready at once; one that is deleted stays, and gives no more, while addresses of its own are held."""
    if not isinstance(outcome, Put):
        return outcome
    obj = outcome.object
    if context.lookup(outcome.key) is None:
        finalizers = [*(obj["metadata"].get("finalizers") or ())]
        if RANGE_FINALIZER not in finalizers:
            finalizers.append(RANGE_FINALIZER)
        obj = {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}
        return msgspec.structs.replace(outcome, object=_with_condition(obj, _READY, context))
    if "deletionTimestamp" not in obj["metadata"]:
        return outcome
    if only_here(obj, outcome.key.name, context):
        return msgspec.structs.replace(outcome, object=_with_condition(obj, _WAITING, context))
    return _let_go(outcome.key, obj)


def _ranges_done(gone: Sequence[Remove], context: Context) -> Iterator[Put | Remove]:
    """Ranges that were only waiting for these addresses."""
    if not gone:
        return
    keys = {write.key for write in gone}
    for stored in context.scan(SERVICE_CIDR.resource, ""):
        if is_dying(stored.body) and not only_here(obj := decode(stored), stored.key.name, context, keys):
            yield _let_go(stored.key, obj)


def _let_go(key: Key, obj: Object) -> Put | Remove:
    finalizers = [name for name in obj["metadata"].get("finalizers") or () if name != RANGE_FINALIZER]
    rest = {name: value for name, value in obj["metadata"].items() if name != "finalizers"}
    if finalizers:
        return Put(key, {**obj, "metadata": {**rest, "finalizers": finalizers}})
    return Remove(key, {**obj, "metadata": rest})


def _with_condition(obj: Object, condition: Object, context: Context) -> Object:
    """Of the one type that there is, told anew only when it changes."""
    status = obj.get("status") or {}
    others = [row for row in status.get("conditions") or () if row.get("type") != condition["type"]]
    before = [row for row in status.get("conditions") or () if row.get("type") == condition["type"]]
    if before and before[0].get("status") == condition["status"]:
        return obj
    told = {**condition, "lastTransitionTime": format_time(context.now)}
    return {**obj, "status": {**status, "conditions": [*others, told]}}
