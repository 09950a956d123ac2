"""AlwaysPullImages: nobody runs another's private image because it is on the node already. Off unless enabled.

The reserved image `host` is the node itself and is pulled from nowhere.
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.store.admission.plugin import Operation, Plugin, Request

_FIELDS = ("containers", "initContainers", "ephemeralContainers")
_HOST = "host"


class AlwaysPullImages(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})
    subresources: ClassVar[frozenset[str]] = frozenset({"", "ephemeralcontainers"})

    def mutate(self, request: Request, obj: Object) -> Object:
        spec = dict(obj.get("spec") or {})
        for field in _FIELDS:
            if spec.get(field):
                spec[field] = [_pulled(container) for container in spec[field]]
        return {**obj, "spec": spec} if spec else obj


def _pulled(container: Object) -> Object:
    return container if container.get("image") == _HOST else {**container, "imagePullPolicy": "Always"}
