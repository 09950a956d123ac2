"""`kubectl get` of roles, bindings and certificate signing requests."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.codec import Object
from actors.gateway.tables.cells import AGED, CREATED_AT, at, items, only_wide, printer, shown
from actors.gateway.tables.table import NONE, format_duration

ROLES = printer(CREATED_AT)


def _role(binding: Object) -> str:
    return f"{at(binding, 'roleRef.kind') or ''}/{at(binding, 'roleRef.name') or ''}"


def _subjects(kind: str) -> Callable[[Object], str]:
    def text(binding: Object) -> str:
        found = [row for row in binding.get("subjects") or () if row.get("kind") == kind]
        return ", ".join("/".join(filter(None, (row.get("namespace"), row.get("name")))) for row in found)

    return text


BINDINGS = printer(
    shown("Role", _role),
    AGED,
    only_wide(shown("Users", _subjects("User"))),
    only_wide(shown("Groups", _subjects("Group"))),
    only_wide(shown("ServiceAccounts", _subjects("ServiceAccount"))),
)


def _duration(request: Object) -> str:
    seconds = at(request, "spec.expirationSeconds")
    return format_duration(seconds * 1000) if seconds is not None else NONE


def _condition(request: Object) -> str:
    met = {row.get("type") for row in items(request, "status.conditions")}
    word = next((kind for kind in ("Denied", "Approved") if kind in met), "" if "Failed" in met else "Pending")
    parts = (word, "Failed" if "Failed" in met else "", "Issued" if at(request, "status.certificate") else "")
    return ",".join(filter(None, parts))


SIGNING_REQUESTS = printer(
    AGED,
    shown("SignerName", "spec.signerName", NONE),
    shown("Requestor", "spec.username"),
    shown("RequestedDuration", _duration),
    shown("Condition", _condition),
)
