"""EndpointSlices of one keeper: endpoints of the same ports and family, dealt out to slices of limited size.

As few slices are written as can be: an endpoint stays where it is, what is new fills the slices that change anyway,
then one that has room for all of it, then new ones (k8s.io/endpointslice reconcileByPortMapping).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import ENDPOINT_SLICE
from actors.api.meta import Resource, key_in
from actors.api.services import KEEPER_LABEL, SERVICE_LABEL, EndpointSlice
from actors.controllers.pods import derive_suffix, owner_reference
from actors.reconcile.actions import Action, Create, Delete, Patch
from actors.reconcile.view import View

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS_LABEL = "service.kubernetes.io/headless"
_NAME_CHARS_MAX = 247


class Group(NamedTuple):
    """What the endpoints of one slice have in common: the address family, and ports as they stand in the slice."""

    family: str
    ports: tuple[Object, ...]

    @property
    def mark(self) -> bytes:
        """The order of ports is of no meaning."""
        rows = sorted(msgspec.json.encode(port, order="deterministic") for port in self.ports)
        return self.family.encode() + b"\0".join(rows)


class Wanted(NamedTuple):
    """Of one group, endpoints as they stand in a slice. A group without any is written as a slice that is empty."""

    group: Group
    endpoints: list[Object]


class Terms(NamedTuple):
    """What all slices of a keeper have: labels, annotations, how many endpoints at most, when what changed happened."""

    labels: dict[str, str]
    annotations: dict[str, str]
    endpoints_max: int


def slices_of(service: str, namespace: str, keeper: str, view: View) -> list[EndpointSlice]:
    """Those of a Service that `keeper` keeps."""
    return [
        one
        for one in view.within(EndpointSlice, namespace)
        if one.metadata.label(SERVICE_LABEL) == service and one.metadata.label(KEEPER_LABEL) == keeper
    ]


def keep_slices(
    owner: Resource, wanted: Sequence[Wanted], known: Sequence[EndpointSlice], terms: Terms, view: View
) -> Iterable[Action]:
    """Makes `known` hold what is wanted; those that `owner` does not own go."""
    stays: set[str] = set()
    names = _free_names(owner, view)
    by_mark: dict[bytes, list[EndpointSlice]] = {}
    for one in known:
        if not one.metadata.is_deleting and _owns(owner, one):
            by_mark.setdefault(Group(one.address_type, one.ports or ()).mark, []).append(one)
    for group, endpoints in wanted:
        there = by_mark.get(group.mark, [])
        packed = pack({one.metadata.name: one.endpoints or () for one in there}, endpoints, terms.endpoints_max)
        held = {one.metadata.name: one for one in there}
        for name, content in packed.items():
            stays.add(name)
            if name in held:
                yield from _change(held[name], content, terms)
            else:
                yield _make(owner, next(names), group, content, terms)
    for one in known:
        if one.metadata.name not in stays and not one.metadata.is_deleting:
            yield Delete(key=key_in(ENDPOINT_SLICE.resource, one.metadata), uid=one.metadata.uid)


def pack(known: Mapping[str, Sequence[Object]], wanted: Sequence[Object], most: int) -> dict[str, list[Object]]:
    """What each slice is to hold, by its name; new ones have names that begin with a blank. A slice that is not named
    is not needed. Without endpoints one empty slice is left."""
    left = {identify(endpoint): endpoint for endpoint in wanted}
    kept = {name: [left.pop(mark) for e in rows if (mark := identify(e)) in left] for name, rows in known.items()}
    changed = [name for name, rows in kept.items() if rows and rows != [*known[name]]]
    whole = [name for name, rows in kept.items() if rows and rows == [*known[name]]]
    held = {name: rows for name, rows in kept.items() if rows}
    new = list(left.values())
    for name in sorted(changed, key=lambda name: (-len(held[name]), name)):
        room = max(most - len(held[name]), 0)
        held[name], new = held[name] + new[:room], new[room:]
    while new:
        fits = [name for name in whole if len(held[name]) + len(new) <= most]
        name = max(fits, key=lambda name: (len(held[name]), name), default=f" {len(held)}")
        held[name], new = held.get(name, []) + new[:most], new[most:]
    if not held:
        held[next((name for name, rows in known.items() if not rows), " ")] = []
    return held


def identify(endpoint: Object) -> tuple[Any, ...]:
    """By what an endpoint is the same one still."""
    target = endpoint.get("targetRef") or {}
    addresses = tuple(sorted(endpoint.get("addresses") or ()))
    return addresses, endpoint.get("hostname"), target.get("namespace"), target.get("name"), target.get("uid")


def _owns(owner: Resource, one: EndpointSlice) -> bool:
    return any(ref.uid == owner.metadata.uid for ref in one.metadata.owner_references or ())


def _change(one: EndpointSlice, endpoints: list[Object], terms: Terms) -> Iterable[Patch]:
    """The trigger time is of what changes now: it alone is no reason to write."""
    labels, meta = one.metadata.labels or {}, one.metadata
    if endpoints == [*(one.endpoints or ())] and labels == terms.labels:
        return
    annotations = {TRIGGER_TIME: None, **terms.annotations}
    told = {"labels": {**dict.fromkeys(labels), **terms.labels}, "annotations": annotations}
    patch = {"metadata": told, "endpoints": endpoints}
    yield Patch(key=key_in(ENDPOINT_SLICE.resource, meta), patch=patch, uid=meta.uid, revision=meta.revision)


def _make(owner: Resource, name: str, group: Group, endpoints: list[Object], terms: Terms) -> Create:
    meta = owner.metadata
    metadata = {
        "name": name,
        "generateName": f"{meta.name}-",
        "namespace": meta.namespace,
        "labels": terms.labels,
        "annotations": terms.annotations,
        "ownerReferences": [owner_reference(owner)],
    }
    obj = {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": metadata,
        "addressType": group.family,
        "endpoints": endpoints,
        "ports": list(group.ports),
    }
    return Create(resource=ENDPOINT_SLICE.resource, namespace=meta.namespace, object=obj)


def _free_names(owner: Resource, view: View) -> Iterator[str]:
    meta, ordinal = owner.metadata, 0
    while True:
        name = f"{meta.name[:_NAME_CHARS_MAX]}-{derive_suffix(meta.uid, 'slice', ordinal)}"
        if view.at(Key(ENDPOINT_SLICE.resource, meta.namespace, name)) is None:
            yield name
        ordinal += 1
