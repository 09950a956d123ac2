"""EndpointSlices of Services with a selector: the addresses of their pods, ready or not (k8s.io/endpointslice)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.clock import Millis, format_time
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.node import Node
from actors.api.pod import Pod
from actors.api.services import KEEPER_LABEL, SERVICE_LABEL, EndpointSlice, Service
from actors.controllers.endpoint_packing import (
    HEADLESS_LABEL,
    TRIGGER_TIME,
    Group,
    Terms,
    Wanted,
    identify,
    keep_slices,
    slices_of,
)
from actors.controllers.pods import is_ready
from actors.controllers.service_pods import (
    addresses_of,
    changed_at,
    find_port,
    host_name,
    pods_behind,
    selects_pods,
    services_of,
)
from actors.reconcile.actions import Action
from actors.reconcile.controller import controller
from actors.reconcile.view import RESOURCES, View

_KEEPER = "endpointslice-controller.k8s.io"
_RESERVED = (SERVICE_LABEL, KEEPER_LABEL, HEADLESS_LABEL)
_ENDPOINTS_MAX = 100
_ZONE_LABEL = "topology.kubernetes.io/zone"
_NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")


def service_of_slice(key: Key, one: EndpointSlice, view: View) -> Iterable[Key]:
    name = one.metadata.label(SERVICE_LABEL)
    return (Key(RESOURCES[Service], key.namespace, name),) if name else ()


def services_on(key: Key, node: Node, view: View) -> Iterable[Key]:
    """Of a node's pods: those are left out while there is no such node, and are in its zone."""
    pods = view.on_node(key.name)
    return dict.fromkeys(at for pod in pods for at in services_of(Key("pods", pod.metadata.namespace, ""), pod, view))


@controller(Service, watches={Pod: services_of, EndpointSlice: service_of_slice, Node: services_on})
def reconcile(service: Service, view: View, now: Millis) -> Iterable[Action]:
    if service.metadata.is_deleting or not selects_pods(service):
        return
    meta = service.metadata
    known = slices_of(meta.name, meta.namespace, _KEEPER, view)
    pods = pods_behind(service, view, ending=True)
    wanted = [row for family in _families(service) for row in _by_ports(service, pods, family, view)]
    times = {} if not known else _changed(known, wanted, pods)
    at = min(times.values(), default=None) if known else meta.created_ms
    trigger = {TRIGGER_TIME: format_time(at)} if at else {}
    yield from keep_slices(service, wanted, known, Terms(_labels(service), trigger, _ENDPOINTS_MAX), view)


def _families(service: Service) -> Sequence[str]:
    return service.spec.ip_families or ("IPv4",)


def _labels(service: Service) -> dict[str, str]:
    own = {name: value for name, value in (service.metadata.labels or {}).items() if name not in _RESERVED}
    headless = {} if service.has_address else {HEADLESS_LABEL: ""}
    return {**own, **headless, SERVICE_LABEL: service.metadata.name, KEEPER_LABEL: _KEEPER}


def _by_ports(service: Service, pods: Sequence[Pod], family: str, view: View) -> list[Wanted]:
    """Pods whose ports of a name differ are in different slices."""
    groups: dict[bytes, Wanted] = {}
    for pod in pods:
        node = view.get(Node, "", pod.spec.node_name) if pod.spec.node_name else None
        addresses = addresses_of(pod, family)
        if not addresses or (node is None and not service.spec.publish_not_ready_addresses):
            continue
        group = Group(family, tuple(_ports(service, pod)))
        rows = groups.setdefault(group.mark, Wanted(group, []))
        rows.endpoints.append(_endpoint(service, pod, node, addresses))
    return [*groups.values()] or [Wanted(Group(family, ()), [])]


def _ports(service: Service, pod: Pod) -> Iterable[Object]:
    for port in service.spec.ports or ():
        number = find_port(pod, port)
        if number is not None:
            row = {"name": port.name, "port": number, "protocol": port.protocol}
            yield row | ({"appProtocol": port.app_protocol} if port.app_protocol else {})


def _endpoint(service: Service, pod: Pod, node: Node | None, addresses: list[str]) -> Object:
    serving, ending = is_ready(pod), pod.metadata.is_deleting
    ready = service.spec.publish_not_ready_addresses or (serving and not ending)
    meta = pod.metadata
    told: Object = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": ending},
        "targetRef": {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid},
    }
    zone = node.metadata.label(_ZONE_LABEL) if node is not None else None
    told |= {"nodeName": pod.spec.node_name} if pod.spec.node_name else {}
    told |= {"zone": zone} if zone else {}
    told |= {"hostname": name} if (name := host_name(pod, service)) else {}
    hints = _hints(service.spec.traffic_distribution or "", zone, pod.spec.node_name) if ready else {}
    return told | ({"hints": hints} if hints else {})


def _hints(distribution: str, zone: str | None, node: str) -> Object:
    """From where an endpoint is to be asked (KEP-4444, KEP-3015)."""
    near = {"forZones": [{"name": zone}]} if zone and distribution in _NEAR else {}
    return near | ({"forNodes": [{"name": node}]} if node and distribution == _NEAR[-1] else {})


def _changed(known: Sequence[EndpointSlice], wanted: Sequence[Wanted], pods: Sequence[Pod]) -> dict[str, Millis]:
    """When what is not told yet of pods happened, by their uids."""
    told = {identify(row): row for one in known for row in one.endpoints or ()}
    news = {row["targetRef"]["uid"] for _, rows in wanted for row in rows if told.get(identify(row)) != row}
    return {pod.metadata.uid: changed_at(pod) for pod in pods if pod.metadata.uid in news}
