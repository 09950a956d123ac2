"""`kubectl get` of dynamic resource allocation and runtime classes."""

from __future__ import annotations

from actors.api.codec import Object
from actors.gateway.tables.cells import AGED, at, items, printer, shown


def _state(claim: Object) -> str:
    states = ["deleted"] if at(claim, "metadata.deletionTimestamp") else []
    if at(claim, "status.allocation") is None:
        return ",".join(states or ["pending"])
    reserved = ["reserved"] if items(claim, "status.reservedFor") else []
    return ",".join(["allocated", *states, *reserved])


CLAIMS = printer(shown("State", _state), AGED)
SLICES = printer(shown("Node", "spec.nodeName"), shown("Driver", "spec.driver"), shown("Pool", "spec.pool.name"), AGED)
RUNTIME_CLASSES = printer(shown("Handler", "handler"), AGED)
