"""Which objects concern which node: what its pods refer to, and what those volumes and claims refer to. Incremental.

node <- pod <- secret, configmap, claim, resourceclaim, serviceaccount    claim <- volume <- secret
node <- volumeattachment    node <- resourceslice
(plugin/pkg/auth/authorizer/node/graph.go). No path is longer than that, so a question is a look-up or two: for each
node it is counted how often its pods refer to what, and volumes are found by their claim and their Secrets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from actors.api.codec import decode, lens
from actors.api.key import Key, Stored
from actors.api.kinds import POD, SECRET
from actors.api.meta import Lens, Resource
from actors.api.pod_references import CLAIMS, is_mirror, references_of, volume_references

VOLUMES = "persistentvolumes"
ATTACHMENTS, SLICES = "volumeattachments.storage.k8s.io", "resourceslices.resource.k8s.io"
#: What the graph is made of.
RESOURCES = (POD.resource, VOLUMES, ATTACHMENTS, SLICES)
#: Only these can refer to more, or to other, objects once they are bound.
_GROWING = (b'"ephemeralContainers"', b'"resourceClaims"')


class _Spec(Lens, frozen=True):
    node_name: str = ""


class _Placed(Resource, frozen=True):
    """A pod, an attachment or a slice, as far as it says on which node it is."""

    spec: _Spec = _Spec()


class _Held(NamedTuple):
    """What one object adds. `node` "": it is on none, and only `refers` leads on."""

    uid: str
    node: str
    refers: tuple[Key, ...]


class Graph:
    def __init__(self) -> None:
        self._held: dict[Key, _Held] = {}
        #: (node, object): by how many ways.
        self._ways: Counter[tuple[str, Key]] = Counter()
        #: The volumes that refer to a Secret. (A volume's first reference is its claim.)
        self._volumes: dict[Key, set[Key]] = {}

    def put(self, stored: Stored) -> None:
        """As the object is now."""
        if stored.key.resource == VOLUMES:
            self._put_volume(stored)
            return
        known = self._held.get(stored.key)
        if known is not None and known.uid == stored.uid and not any(mark in stored.body for mark in _GROWING):
            return
        self.remove(stored.key)
        node = lens(stored, _Placed).spec.node_name
        if node:
            refers = tuple(_references(stored)) if stored.key.resource == POD.resource else ()
            self._held[stored.key] = _Held(stored.uid, node, refers)
            self._ways.update((node, key) for key in (stored.key, *refers))

    def remove(self, key: Key) -> None:
        held = self._held.pop(key, None)
        if held is None:
            return
        if key.resource == VOLUMES:
            self._forget_volume(key, held)
            return
        for way in ((held.node, key) for key in (key, *held.refers)):
            self._ways[way] -= 1
            if not self._ways[way]:
                del self._ways[way]

    def leads_to(self, node: str, key: Key) -> bool:
        """Whether there is a way from the object to the node."""
        if (node, key) in self._ways:
            return True
        if key.resource == VOLUMES:
            return self._claimed_on(node, key)
        return key.resource == SECRET.resource and any(
            self._claimed_on(node, volume) for volume in self._volumes.get(key, ())
        )

    def clear(self) -> None:
        self._held.clear()
        self._ways.clear()
        self._volumes.clear()

    def _claimed_on(self, node: str, volume: Key) -> bool:
        held = self._held.get(volume)
        return held is not None and (node, held.refers[0]) in self._ways

    def _put_volume(self, stored: Stored) -> None:
        self.remove(stored.key)
        volume = decode(stored)
        claim = (volume.get("spec") or {}).get("claimRef") or {}
        if not claim.get("name"):
            return
        named = Key(CLAIMS, claim.get("namespace", ""), claim["name"])
        held = self._held[stored.key] = _Held(stored.uid, "", (named, *volume_references(volume)))
        for secret in held.refers[1:]:
            self._volumes.setdefault(secret, set()).add(stored.key)

    def _forget_volume(self, key: Key, held: _Held) -> None:
        for secret in set(held.refers[1:]):
            volumes = self._volumes[secret]
            volumes.discard(key)
            if not volumes:
                del self._volumes[secret]


def _references(stored: Stored) -> Iterator[Key]:
    """None of a mirror pod: a node makes it, and must not give itself anything by that."""
    pod = decode(stored)
    return iter(()) if is_mirror(pod) else references_of(pod)


def make_graph(objects: Iterable[Stored]) -> Graph:
    graph = Graph()
    for stored in objects:
        graph.put(stored)
    return graph
