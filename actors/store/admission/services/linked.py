"""What a client meant by the fields of a Service that hang together (pkg/registry/core/service: strategy.go).

A manifest that is sent again without the values that were given to it keeps them; fields that a type has no use for go
with the change of type, unless the client has changed them too: then they are validation's to refuse.
"""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import dicts_of
from actors.api.validation.services import (
    is_externally_accessible,
    needs_cluster_ip,
    needs_health_check,
    needs_node_ports,
)


def linked(new: Object, old: Object | None) -> Object:
    """A copy of the Service with what follows from the fields that the client has set. `old` is what it replaces."""
    spec = dict(new.get("spec") or {})
    if old is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return {**new, "spec": spec}
    before: Object = old.get("spec") or {}
    _follow_cluster_ip(spec, before)
    _keep_given(spec, before)
    _drop_useless(spec, before)
    changed = {**new, "spec": spec}
    if spec.get("type") != "LoadBalancer" and (new.get("status") or {}).get("loadBalancer"):
        changed["status"] = {**new["status"], "loadBalancer": {}}
    return changed


def _follow_cluster_ip(spec: Object, before: Object) -> None:
    """`clusterIPs` follows `clusterIP` where only the latter was changed."""
    first, was = spec.get("clusterIP") or "", before.get("clusterIP") or ""
    if first == was or not _same(spec, before, "clusterIPs"):
        if first and not spec.get("clusterIPs") and first != was:
            spec["clusterIPs"] = [first]
        return
    if first:
        spec["clusterIPs"] = [first]
    else:
        spec.pop("clusterIPs", None)


def _keep_given(spec: Object, before: Object) -> None:
    if needs_cluster_ip(before) and needs_cluster_ip(spec):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if needs_node_ports(before) and needs_node_ports(spec):
        _keep_node_ports(spec, before)
    if needs_health_check(before) and needs_health_check(spec) and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = spec.get("healthCheckNodePort") or before["healthCheckNodePort"]


def _keep_node_ports(spec: Object, before: Object) -> None:
    """By the port's name, where no other port of the Service has taken the number."""
    known = {port.get("name", ""): port.get("nodePort", 0) for port in dicts_of(before.get("ports"))}
    used = _node_ports(spec) & _node_ports(before)
    ports = []
    for port in dicts_of(spec.get("ports")):
        kept = known.get(port.get("name", ""), 0)
        ports.append({**port, "nodePort": kept} if not port.get("nodePort") and kept and kept not in used else port)
    if ports:
        spec["ports"] = ports


def _drop_useless(spec: Object, before: Object) -> None:
    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        if _same(spec, before, "clusterIP") and _same(spec, before, "clusterIPs"):
            _drop(spec, "clusterIP", "clusterIPs")
        _drop(spec, *(name for name in ("ipFamilies", "ipFamilyPolicy") if _same(spec, before, name)))
    if needs_node_ports(before) and not needs_node_ports(spec) and _node_ports(spec) <= _node_ports(before):
        spec["ports"] = [
            {name: value for name, value in port.items() if name != "nodePort"} for port in dicts_of(spec.get("ports"))
        ]
        if not spec["ports"]:
            del spec["ports"]
    useless = (
        ("healthCheckNodePort", needs_health_check),
        ("allocateLoadBalancerNodePorts", _is_load_balancer),
        ("loadBalancerClass", _is_load_balancer),
        ("externalTrafficPolicy", is_externally_accessible),
    )
    for name, needs in useless:
        if needs(before) and not needs(spec) and _same(spec, before, name):
            _drop(spec, name)


def _is_load_balancer(spec: Object) -> bool:
    return bool(spec.get("type") == "LoadBalancer")


def _drop(spec: Object, *names: str) -> None:
    for name in names:
        spec.pop(name, None)


def _same(spec: Object, before: Object, name: str) -> bool:
    return (spec.get(name) or None) == (before.get(name) or None)


def _node_ports(spec: Object) -> set[Any]:
    return {port["nodePort"] for port in dicts_of(spec.get("ports")) if port.get("nodePort")}
