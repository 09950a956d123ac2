"""What names an object and what the store keeps of it.

A resource is Kubernetes' GroupResource as text: `pods`, `deployments.apps`. Truth is the encoded body in a
`Stored` envelope; bodies are Kubernetes JSON *without* `metadata.resourceVersion`, which `codec` splices in
from `revision` when the object goes out.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Key(NamedTuple):
    """Unique over all objects. `namespace` (an API namespace) is "" for cluster-scoped kinds."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Key:
        resource, namespace, name = text.split("/", 2)
        return cls(resource, namespace, name)


class Stored(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One object at one revision. `revision` is the resourceVersion of its last change, > 0."""

    key: Key
    revision: int
    created_revision: int
    uid: str
    body: bytes
