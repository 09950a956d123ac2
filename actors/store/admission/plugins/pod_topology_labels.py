"""PodTopologyLabels: a pod that gets a node gets the labels that say where the node is, for its containers to read.

KEP-4742; what the pod itself says of these labels stays only where the node says nothing.
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object, lens
from actors.api.key import Key
from actors.api.kinds import NODE, POD
from actors.api.meta import Resource
from actors.store.admission.plugin import Operation, Plugin, Request

_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
_MARK = b'"topology.kubernetes.io/'


class PodTopologyLabels(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({POD.resource})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.UPDATE})
    subresources: ClassVar[frozenset[str]] = frozenset({"binding"})

    def mutate(self, request: Request, obj: Object) -> Object:
        stored = request.context.lookup(Key(NODE.resource, "", (obj.get("spec") or {}).get("nodeName", "")))
        if stored is None or _MARK not in stored.body:
            return obj
        labels = lens(stored, Resource).metadata.labels or {}
        place = {name: labels[name] for name in _LABELS if name in labels}
        metadata = obj["metadata"]
        return (
            {**obj, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **place}}} if place else obj
        )
