"""Cluster addresses: each that is held is an IPAddress object, named after it, whose parentRef is the Service.

To take one is to create that object in the Service's own commit; to find out whether it is free is to look it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from actors.api.clock import format_time
from actors.api.codec import Object, decode
from actors.api.errors import InternalError
from actors.api.key import Key
from actors.api.kinds import IP_ADDRESS
from actors.api.validation import invalid
from actors.api.validation.causes import wrong
from actors.store.admission.outcome import Context, Put, Remove
from actors.store.admission.services.families import family_of
from actors.store.admission.services.ranges import family, free_address, holds, ready_networks

_LABELS = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"


def key_of_address(address: str) -> Key:
    return Key(IP_ADDRESS.resource, "", str(ip_address(address)))


def held_addresses(service: Object | None) -> list[str]:
    """Those of a Service's `clusterIPs` that are addresses."""
    spec = (service or {}).get("spec") or {}
    return [address for address in spec.get("clusterIPs") or () if address not in ("", "None")]


def with_addresses(service: Object, key: Key, held: Sequence[str], context: Context) -> Object:
    """The Service with an address for each of its families; `held`: those that it has already.

    Raises Invalid for one that another has or that is in no range, InternalError when all are taken.
    """
    spec = service["spec"]
    wanted = list(spec.get("clusterIPs") or ())
    if wanted[:1] == ["None"]:
        return service
    seed = 0
    for position, of_family in enumerate(spec["ipFamilies"]):
        if position < len(wanted):
            if wanted[position] not in held:
                _check(service, wanted[position], key, context)
            continue
        networks = [network for network in ready_networks(context) if family(network) == of_family]
        seed = seed or int(context.ids.uid().replace("-", ""), 16)
        found = free_address(networks, seed, lambda address: context.lookup(key_of_address(address)) is not None)
        if found is None:
            raise InternalError("failed to allocate a serviceIP: range is full")
        wanted.append(found)
    return {**service, "spec": {**spec, "clusterIP": wanted[0], "clusterIPs": wanted}}


def _check(service: Object, address: str, key: Key, context: Context) -> None:
    if not any(holds(network, address) for network in ready_networks(context)):
        why = "the provided network does not match the current range"
    elif (stored := context.lookup(key_of_address(address))) is not None and not is_of(decode(stored), key):
        why = "provided IP is already allocated"
    else:
        return
    told = f"failed to allocate IP {address}: {why}"
    raise invalid(service, (wrong("spec.clusterIPs", service["spec"]["clusterIPs"], told),))


def is_of(address: Object, service: Key) -> bool:
    """Whether the IPAddress is that Service's."""
    parent = (address.get("spec") or {}).get("parentRef") or {}
    named = (parent.get("group", ""), parent.get("resource"), parent.get("namespace", ""), parent.get("name"))
    return named == ("", "services", service.namespace, service.name)


def taken(address: str, service: Key, context: Context) -> Iterator[Put]:
    """What is to be written for an address that the Service has; nothing where that is there."""
    key = key_of_address(address)
    if context.lookup(key) is None:
        parent = {"resource": "services", "namespace": service.namespace, "name": service.name}
        metadata = {
            "name": key.name,
            "uid": context.ids.uid(),
            "creationTimestamp": format_time(context.now),
            "labels": {_FAMILY_LABEL: family_of(address), **_LABELS},
        }
        fields = {"apiVersion": IP_ADDRESS.api_version, "kind": IP_ADDRESS.kind}
        yield Put(key, {"metadata": metadata, **fields, "spec": {"parentRef": parent}})


def released(address: str, service: Key, context: Context) -> Iterator[Remove]:
    stored = context.lookup(key_of_address(address))
    if stored is not None and is_of(found := decode(stored), service):
        yield Remove(stored.key, found)
