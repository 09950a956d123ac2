"""Services: what holds between their fields, and what may change (pkg/apis/core/validation: services.go).

What one field alone must hold is in rules.json; what depends on other objects (addresses, ports) is the store's.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, unsupported, wrong
from actors.api.validation.formats import validate_address, validate_reachable
from actors.api.validation.metadata import validate_name, validate_qualified

_FAMILIES = ("IPv4", "IPv6")
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
_KUBELET_PORT = 10250


def needs_cluster_ip(spec: Object) -> bool:
    return bool(spec.get("type") != "ExternalName")


def needs_node_ports(spec: Object) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def needs_health_check(spec: Object) -> bool:
    return bool(spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


def is_externally_accessible(spec: Object) -> bool:
    return needs_node_ports(spec) or bool(spec.get("type") == "ClusterIP" and spec.get("externalIPs"))


def is_headless(spec: Object) -> bool:
    return bool(spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"])


def validate_service(service: Object, old: Object | None) -> Causes:
    spec: Object = service.get("spec") or {}
    yield from _kind(spec)
    yield from _ports(spec)
    yield from _traffic(spec)
    yield from _balancer(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        yield from validate_reachable(f"spec.externalIPs[{i}]", address)
    if needs_cluster_ip(spec):
        yield from _cluster_ips(spec)
    if old is not None:
        yield from _changes(spec, old.get("spec") or {})
    yield from _status(service)


def _kind(spec: Object) -> Causes:
    kind = spec.get("type")
    if kind == "ExternalName":
        for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) or (name == "clusterIPs" and spec.get("clusterIP")):
                yield forbidden(f"spec.{name}", "may not be set for ExternalName services")
        if not spec.get("externalName"):
            yield required("spec.externalName")
        else:
            yield from validate_name("spec.externalName", str(spec["externalName"]).removesuffix("."))
    elif not spec.get("ports") and not is_headless(spec):
        yield required("spec.ports")
    if needs_node_ports(spec) and is_headless(spec):
        yield wrong("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")


def _ports(spec: Object) -> Causes:
    ports = dicts_of(spec.get("ports"))
    names: set[str] = set()
    taken: set[tuple[Any, Any]] = set()
    on_nodes: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        name, at = port.get("name") or "", f"spec.ports[{i}]"
        if not name and len(ports) > 1:
            yield required(f"{at}.name")
        elif name in names:
            yield duplicate(f"{at}.name", name)
        place = (port.get("port"), port.get("protocol"))
        if place in taken:
            yield duplicate(at, {"port": place[0], "protocol": place[1]})
        on_node = (port.get("nodePort"), port.get("protocol"))
        if on_node[0] and not needs_node_ports(spec):
            yield forbidden(f"{at}.nodePort", f"may not be used when `type` is '{spec.get('type')}'")
        elif on_node[0] and on_node in on_nodes:
            yield duplicate(f"{at}.nodePort", on_node[0])
        if spec.get("type") == "LoadBalancer" and port.get("port") == _KUBELET_PORT:
            told = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
            yield wrong(at, port["port"], told)
        names.add(name)
        taken.add(place)
        on_nodes.add(on_node)


def _traffic(spec: Object) -> Causes:
    if spec.get("externalTrafficPolicy") and not is_externally_accessible(spec):
        told = "may only be set for externally-accessible services"
        yield wrong("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], told)
    if spec.get("healthCheckNodePort") and not needs_health_check(spec):
        told = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield wrong("spec.healthCheckNodePort", spec["healthCheckNodePort"], told)
    if spec.get("sessionAffinity") == "None" and spec.get("sessionAffinityConfig") is not None:
        yield forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def _balancer(spec: Object) -> Causes:
    if spec.get("type") == "LoadBalancer":
        if spec.get("loadBalancerClass"):
            yield from validate_qualified("spec.loadBalancerClass", spec["loadBalancerClass"])
        return
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) is not None:
            yield forbidden(f"spec.{name}", _ONLY_BALANCED)
    if spec.get("loadBalancerSourceRanges"):
        yield forbidden("spec.loadBalancerSourceRanges", _ONLY_BALANCED)


def _cluster_ips(spec: Object) -> Causes:
    at, addresses = "spec.clusterIPs", spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or []
    if spec.get("clusterIP"):
        if not addresses:
            yield required(at)
        elif addresses[0] != spec["clusterIP"]:
            yield wrong(at, addresses, "first value must match `clusterIP`")
    elif addresses:
        yield wrong(at, addresses, "must be empty when `clusterIP` is not specified")
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            yield unsupported(f"spec.ipFamilies[{i}]", family, _FAMILIES)
        if family in families[:i]:
            yield duplicate(f"spec.ipFamilies[{i}]", family)
    if "None" in addresses[:1] and len(addresses) > 1:
        yield wrong(at, addresses, "'None' must be the first and only value")
        return
    faults = [
        cause
        for i, address in enumerate(addresses)
        if (i, address) != (0, "None")
        for cause in validate_address(f"{at}[{i}]", address)
    ]
    yield from faults
    if len(addresses) > 2:
        yield wrong(at, addresses, "may only hold up to 2 values")
    if not faults and not is_headless(spec):
        yield from _families_of(addresses, families)


def _families_of(addresses: Sequence[str], families: Sequence[str]) -> Causes:
    found = [f"IPv{ip_address(address).version}" for address in addresses]
    if len(found) > 1 and set(found) != set(_FAMILIES):
        yield wrong("spec.clusterIPs", list(addresses), "may specify no more than one IP for each IP family")
    for i, (address, family, expected) in enumerate(zip(addresses, found, families, strict=False)):
        if expected in _FAMILIES and family != expected:
            told = f"expected an {expected} value as indicated by `ipFamilies[{i}]`"
            yield wrong(f"spec.clusterIPs[{i}]", address, told)


def _changes(spec: Object, before: Object) -> Causes:
    if needs_cluster_ip(spec) and needs_cluster_ip(before) and not (is_headless(spec) and is_headless(before)):
        single = spec.get("ipFamilyPolicy") == "SingleStack"
        yield from _list_change("clusterIPs", "clusterIP", spec, before, single)
        if is_headless(spec) == is_headless(before):
            yield from _list_change("ipFamilies", "ipFamily", spec, before, single)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        name = "loadBalancerClass"
        if (spec.get(name) or None) != (before.get(name) or None):
            yield wrong(f"spec.{name}", spec.get(name), "may not change once set")


def _list_change(name: str, one: str, spec: Object, before: Object, single: bool) -> Causes:
    """The first stays for good; a second may come, and go where the policy says so."""
    new, old = spec.get(name) or [], before.get(name) or []
    if old and not new:
        yield wrong(f"spec.{name}[0]", new, f"primary {one} can not be unset")
    elif len(old) == len(new):
        for i, (was, now) in enumerate(zip(old, new, strict=True)):
            if was != now:
                yield wrong(f"spec.{name}[{i if name == 'clusterIPs' else 0}]", new, "may not change once set")
    elif old:
        if new[0] != old[0]:
            yield wrong(f"spec.{name}[0]", new, "may not change once set")
        if len(new) == 1 and not single:
            told = f"must be set to 'SingleStack' when releasing the secondary {one}"
            yield wrong("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), told)


def _status(service: Object) -> Causes:
    at = "status.loadBalancer.ingress"
    points = dicts_of(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress"))
    if points and (service.get("spec") or {}).get("type") != "LoadBalancer":
        yield forbidden(at, 'may only be used when `spec.type` is "LoadBalancer"')
        return
    for i, point in enumerate(points):
        if point.get("ip"):
            yield from validate_address(f"{at}[{i}].ip", point["ip"])
        elif point.get("ipMode"):
            yield forbidden(f"{at}[{i}].ipMode", "may not be specified when `ip` is not set")
        if point.get("hostname"):
            yield from validate_name(f"{at}[{i}].hostname", point["hostname"])
