"""`kubectl get` of the networking and discovery groups."""

from __future__ import annotations

from actors.api.codec import Object
from actors.gateway.tables.cells import AGED, UNSET, at, few, items, printer, selector, shown
from actors.gateway.tables.table import NONE


def _hosts(ingress: Object) -> str:
    return few(rule["host"] for rule in items(ingress, "spec.rules") if rule.get("host")) or "*"


def _address(ingress: Object) -> str:
    found = items(ingress, "status.loadBalancer.ingress")
    return ",".join(row.get("ip") or row.get("hostname") or "" for row in found)


def _parameters(ingress_class: Object) -> str:
    found = at(ingress_class, "spec.parameters")
    if not found:
        return NONE
    group = found.get("apiGroup")
    return f"{found.get('kind', '')}{'.' if group else ''}{group or ''}/{found.get('name', '')}"


def _parent(address: Object) -> str:
    found = at(address, "spec.parentRef") or {}
    resource = f"{found.get('resource', '')}{'.' if found.get('group') else ''}{found.get('group', '')}"
    return "/".join(filter(None, (resource, found.get("namespace"), found.get("name"))))


def _addresses(endpoint_slice: Object) -> str:
    return few(address for row in endpoint_slice.get("endpoints") or () for address in row.get("addresses") or ())


INGRESSES = printer(
    shown("Class", "spec.ingressClassName", NONE),
    shown("Hosts", _hosts),
    shown("Address", _address),
    shown("Ports", lambda obj: "80, 443" if items(obj, "spec.tls") else "80"),
    AGED,
)
INGRESS_CLASSES = printer(shown("Controller", "spec.controller"), shown("Parameters", _parameters), AGED)
POLICIES = printer(shown("Pod-Selector", lambda obj: selector(at(obj, "spec.podSelector"))), AGED)
ADDRESSES = printer(shown("ParentRef", _parent))
RANGES = printer(shown("CIDRs", lambda obj: ",".join(items(obj, "spec.cidrs"))), AGED)
SLICES = printer(
    shown("AddressType", "addressType"),
    shown("Ports", lambda obj: few(port.get("port", "*") for port in obj.get("ports") or ()) or UNSET),
    shown("Endpoints", lambda obj: _addresses(obj) or UNSET),
    AGED,
)
