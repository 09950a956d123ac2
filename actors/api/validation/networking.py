"""Rules between fields of networking's kinds: Ingress, NetworkPolicy, Endpoints, EndpointSlice, ServiceCIDR, IPAddress
(pkg/apis/networking/validation, pkg/apis/discovery/validation). What one field alone must hold is in rules.json.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from ipaddress import ip_network

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, too_many, wrong
from actors.api.validation.formats import is_address, validate_address, validate_reachable
from actors.api.validation.metadata import validate_name

_ADDRESSES_MAX, _ENDPOINTS_MAX, _PORTS_MAX = 100, 1000, 20_000
_NO_SEQUENCE = ("//", "/./", "/../", "%2f", "%2F")
_NO_SUFFIX = ("/..", "/.")
_CLASS = "kubernetes.io/ingress.class"


def _ingress(spec: Object, path: str) -> Causes:
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield wrong(path, "", "either `defaultBackend` or `rules` must be specified")


def validate_ingress(ingress: Object, old: Object | None) -> Causes:
    spec, annotations = ingress.get("spec") or {}, ingress["metadata"].get("annotations") or {}
    if old is None and spec.get("ingressClassName") and annotations.get(_CLASS) is not None:
        at = f"metadata.annotations[{_CLASS}]"
        yield wrong(at, annotations[_CLASS], "can not be set when the class field is also set")


def _http_path(rule: Object, path: str) -> Causes:
    given, kind = str(rule.get("path") or ""), rule.get("pathType")
    if kind in ("Exact", "Prefix"):
        if not given.startswith("/"):
            yield wrong(f"{path}.path", given, "must be an absolute path")
        for part in _NO_SEQUENCE:
            if part in given:
                yield wrong(f"{path}.path", given, f"must not contain '{part}'")
        for end in _NO_SUFFIX:
            if given.endswith(end):
                yield wrong(f"{path}.path", given, f"cannot end with '{end}'")
    elif kind == "ImplementationSpecific" and given and not given.startswith("/"):
        yield wrong(f"{path}.path", given, "must be an absolute path")


def _backend(backend: Object, path: str) -> Causes:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield wrong(path, "", "cannot set both resource and service backends")
    elif service is None and resource is None:
        yield required(path, "resource or service backend is required")
    elif service is not None:
        port = service.get("port") or {}
        if bool(port.get("name")) == bool(port.get("number")):
            if port.get("name"):
                yield wrong(path, "", "cannot set both port name & port number")
            else:
                yield required(path, "port name or number is required")


def _peer(peer: Object, path: str) -> Causes:
    selectors = peer.get("podSelector") is not None or peer.get("namespaceSelector") is not None
    if peer.get("ipBlock") is None and not selectors:
        yield required(path, "must specify a peer")
    elif peer.get("ipBlock") is not None and selectors:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _block(block: Object, path: str) -> Causes:
    try:
        whole = ip_network(str(block.get("cidr")), strict=False)
        parts = [ip_network(str(part), strict=False) for part in block.get("except") or ()]
    except ValueError:
        return  # the rules of these fields tell
    for i, part in enumerate(parts):
        inside = part.version == whole.version and part.network_address in whole and part.prefixlen > whole.prefixlen
        if not inside:
            yield wrong(f"{path}.except[{i}]", block["except"][i], "must be a strict subset of `cidr`")


def _policy_port(port: Object, path: str) -> Causes:
    number, end = port.get("port"), port.get("endPort")
    if end is None:
        return
    if number is None:
        yield wrong(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif not isinstance(number, int):
        yield wrong(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
    elif end < number:
        yield wrong(f"{path}.endPort", end, "must be greater than or equal to `port`")


def _policy(spec: Object, path: str) -> Causes:
    kinds = spec.get("policyTypes") or ()
    if len(kinds) > 2:
        yield wrong(f"{path}.policyTypes", list(kinds), "may not specify more than two policyTypes")


def _subset(subset: Object, path: str) -> Causes:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for name in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(dicts_of(subset.get(name))):
            yield from validate_reachable(f"{path}.{name}[{i}].ip", address.get("ip"))
    ports = dicts_of(subset.get("ports"))
    for i, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{path}.ports[{i}].name")


def _endpoint_slice(found: Object, path: str) -> Causes:
    """Addresses are of the slice's type."""
    kind, endpoints, ports = found.get("addressType"), dicts_of(found.get("endpoints")), dicts_of(found.get("ports"))
    if len(endpoints) > _ENDPOINTS_MAX:
        yield too_many("endpoints", len(endpoints), _ENDPOINTS_MAX)
    for i, endpoint in enumerate(endpoints):
        at, addresses = f"endpoints[{i}].addresses", endpoint.get("addresses") or ()
        if len(addresses) > _ADDRESSES_MAX:
            yield too_many(at, len(addresses), _ADDRESSES_MAX)
        for j, address in enumerate(addresses):
            yield from _address(f"{at}[{j}]", address, str(kind))
    if len(ports) > _PORTS_MAX:
        yield too_many("ports", len(ports), _PORTS_MAX)
    names: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name") or ""
        if name in names:
            yield duplicate(f"ports[{i}].name", name)
        names.add(name)


def _address(path: str, address: str, kind: str) -> Causes:
    version = {"IPv4": 4, "IPv6": 6}.get(kind)
    if version is not None:
        if not is_address(address) or ipaddress.ip_address(address).version != version:
            yield wrong(path, address, f"must be a valid IPv{version} address")
        else:
            yield from validate_reachable(path, address)
    elif kind == "FQDN":
        yield from validate_name(path, address)


def _range(spec: Object, path: str) -> Causes:
    cidrs = [str(cidr) for cidr in spec.get("cidrs") or ()]
    if len(cidrs) > 2:
        yield too_many(f"{path}.cidrs", len(cidrs), 2)
    versions = []
    for i, cidr in enumerate(cidrs):
        try:
            network = ip_network(cidr, strict=False)
        except ValueError:
            return  # the rule of the field tells
        versions.append(network.version)
        if str(network) != cidr:
            told = f'must be in canonical form ("{network}")'
            yield wrong(f"{path}.cidrs[{i}]", cidr, told)
    if len(versions) == 2 and versions[0] == versions[1]:
        told = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield wrong(f"{path}.cidrs", cidrs, told)


def validate_range(found: Object, old: Object | None) -> Causes:
    """Its networks stay; one of the other family may come."""
    new, before = (found.get("spec") or {}).get("cidrs") or [], ((old or {}).get("spec") or {}).get("cidrs") or []
    if old is not None and new[: len(before)] != before:
        yield wrong("spec.cidrs", new, "field is immutable")


def validate_ip_address(found: Object, old: Object | None) -> Causes:
    """Its name is an address, written as addresses are."""
    name = str(found["metadata"].get("name", ""))
    if not is_address(name):
        yield from validate_address("metadata.name", name)
    elif str(ipaddress.ip_address(name)) != name:
        yield wrong("metadata.name", name, f'must be in canonical form ("{ipaddress.ip_address(name)}")')


NETWORKING_RELATIONS: dict[str, Callable[[Object, str], Causes]] = {
    "core.v1.EndpointSubset": _subset,
    "discovery.v1.EndpointSlice": _endpoint_slice,
    "networking.v1.HTTPIngressPath": _http_path,
    "networking.v1.IngressSpec": _ingress,
    "networking.v1.IngressBackend": _backend,
    "networking.v1.IPBlock": _block,
    "networking.v1.NetworkPolicyPeer": _peer,
    "networking.v1.NetworkPolicyPort": _policy_port,
    "networking.v1.NetworkPolicySpec": _policy,
    "networking.v1.ServiceCIDRSpec": _range,
}
