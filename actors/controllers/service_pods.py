"""Which pods stand behind a Service, and where they answer: what EndpointSlices and Endpoints have in common."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis, parse_time
from actors.api.key import Key
from actors.api.meta import Resource, key_in
from actors.api.pod import Pod
from actors.api.services import Service, ServicePort, family_of
from actors.reconcile.conditions import find_condition
from actors.reconcile.view import RESOURCES, View

_BY_SERVICE_NAME = "ExternalName"


def services_of(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    """Those whose selector matches it."""
    labels = (pod.metadata.labels or {}).items()
    for service in view.within(Service, key.namespace):
        if service.spec.selector and service.spec.selector.items() <= labels:
            yield service_key(service)


def named_alike(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The Service of the object's name."""
    return (Key(RESOURCES[Service], key.namespace, key.name),)


def service_key(service: Service) -> Key:
    return key_in(RESOURCES[Service], service.metadata)


def selects_pods(service: Service) -> bool:
    """Without a selector the endpoints are the user's to tell."""
    return bool(service.spec.selector) and service.spec.type != _BY_SERVICE_NAME


def pods_behind(service: Service, view: View, *, ending: bool) -> list[Pod]:
    """Those that match and have an address. `ending`: those that are on their way out, too."""
    wanted = (service.spec.selector or {}).items()
    return [
        pod
        for pod in view.within(Pod, service.metadata.namespace)
        if wanted <= (pod.metadata.labels or {}).items()
        and not pod.is_finished
        and addresses_of(pod)
        and (ending or not pod.metadata.is_deleting)
    ]


def addresses_of(pod: Pod, family: str = "") -> list[str]:
    """Of one family (IPv4, IPv6), or all."""
    told = [row.ip for row in pod.status.pod_ips or ()] or [pod.status.pod_ip]
    return [ip for ip in told if ip and family in ("", family_of(ip))]


def find_port(pod: Pod, port: ServicePort) -> int | None:
    """The pod's port: the number that is asked for, or that of the container's port of that name and protocol."""
    target = port.target_port if port.target_port is not None else port.port
    if isinstance(target, int):
        return target
    sidecars = (one for one in pod.spec.init_containers or () if one.restart_policy == "Always")
    every = (row for one in (*pod.spec.containers, *sidecars) for row in one.ports or ())
    return next((row.container_port for row in every if (row.name, row.protocol) == (target, port.protocol)), None)


def host_name(pod: Pod, service: Service) -> str:
    """By which it is found below the Service's name; "" for pods that do not ask for that."""
    return pod.spec.hostname if pod.spec.subdomain == service.metadata.name else ""


def changed_at(pod: Pod) -> Millis:
    """When it last became ready or ceased to be; before that, when it was made."""
    ready = find_condition(pod.status.conditions, "Ready")
    if ready is None or not ready.last_transition_time:
        return pod.metadata.created_ms
    return parse_time(ready.last_transition_time)
