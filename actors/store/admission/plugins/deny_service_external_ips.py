"""DenyServiceExternalIPs: no service takes over an address that it names itself (CVE-2020-8554). Off unless enabled."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.store.admission.plugin import Operation, Plugin, Request


class DenyServiceExternalIPs(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"services"})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})

    def validate(self, request: Request, obj: Object) -> None:
        if _addresses(obj) - _addresses(request.old or {}):
            raise request.forbidden("Use of external IPs is denied by admission control.")


def _addresses(service: Object) -> set[str]:
    return set((service.get("spec") or {}).get("externalIPs") or ())
