"""NamespaceLifecycle: the API namespaces that the control plane lives in cannot be deleted.

Its other half, that nothing is created in one that is missing or terminating, is part of every creation (create.py).
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.store.admission.plugin import Operation, Plugin, Request


class NamespaceLifecycle(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"namespaces"})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.DELETE})
    immortal: tuple[str, ...] = ("default", "kube-system", "kube-public", "kube-node-lease")

    def validate(self, request: Request, obj: Object) -> None:
        if request.key.name in self.immortal:
            raise request.forbidden("this namespace may not be deleted")
