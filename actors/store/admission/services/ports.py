"""Node ports: which are held is read from the Services; a number is one Service's, whatever the protocol.

A Service may have one number for the same port in several protocols.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

import msgspec

from actors.api.codec import Object
from actors.api.errors import InternalError
from actors.api.key import Key
from actors.api.kinds import SERVICE
from actors.api.meta import Lens
from actors.api.validation import invalid
from actors.api.validation.causes import dicts_of, wrong
from actors.api.validation.services import needs_health_check, needs_node_ports
from actors.store.admission.outcome import Context

#: Bounds of the part at the start of the range that is left for ports which users choose (KEP-3668).
_STATIC_MIN, _STATIC_MAX, _STATIC_SHARE = 16, 128, 32


class _Port(Lens, frozen=True):
    node_port: int = 0


class _Spec(Lens, frozen=True):
    ports: tuple[_Port, ...] | None = None
    health_check_node_port: int = 0


class _Service(Lens, frozen=True):
    spec: _Spec = _Spec()


@lru_cache(maxsize=1 << 14)
def _read(body: bytes) -> frozenset[int]:
    spec = msgspec.json.decode(body, type=_Service).spec
    return frozenset({port.node_port for port in spec.ports or ()} | {spec.health_check_node_port}) - {0}


def with_node_ports(service: Object, old: Object | None, key: Key, context: Context) -> Object:
    """The Service with the node ports that its type needs. Raises Invalid (taken, out of range), InternalError."""
    spec = service["spec"]
    asked = {port.get("nodePort", 0) for port in dicts_of(spec.get("ports"))}
    if not needs_node_ports(spec) or (0 not in asked and _keeps_all(spec, old)):
        return service
    book = _Book(key, old, context)
    given: dict[int, int] = {}
    ports = dicts_of(spec.get("ports"))
    for position, port in enumerate(ports):
        if port.get("nodePort"):
            book.take(service, f"spec.ports[{position}].nodePort", port["nodePort"])
            given.setdefault(port["port"], port["nodePort"])
    allocates = spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
    for position, port in enumerate(ports):
        if not port.get("nodePort") and allocates:
            number = given.get(port["port"]) or book.take_any("nodePort")
            given.setdefault(port["port"], number)
            ports[position] = {**port, "nodePort": number}
    changed = {**spec, "ports": ports} if ports else spec
    if needs_health_check(spec):
        if number := spec.get("healthCheckNodePort"):
            book.take_health_check(number)
        else:
            changed = {**changed, "healthCheckNodePort": book.take_any("HealthCheck NodePort 0")}
    return {**service, "spec": changed}


def _keeps_all(spec: Object, old: Object | None) -> bool:
    before = (old or {}).get("spec") or {}
    if needs_health_check(spec) and not spec.get("healthCheckNodePort"):
        return False
    return _numbers(spec) <= _numbers(before)


def _numbers(spec: Object) -> set[int]:
    found = {port.get("nodePort", 0) for port in dicts_of(spec.get("ports"))} | {spec.get("healthCheckNodePort", 0)}
    return found - {0}


class _Book:
    """What is taken by others, and by this Service within this write."""

    def __init__(self, key: Key, old: Object | None, context: Context) -> None:
        others = (_read(stored.body) for stored in context.scan(SERVICE.resource, "") if stored.key != key)
        self._taken = frozenset[int]().union(*others)
        self._own = _numbers((old or {}).get("spec") or {})
        self._low, self._high = context.node_ports
        self._ids = context.ids

    def take(self, service: Object, path: str, number: int) -> None:
        if why := self._refusal(number):
            raise invalid(service, (wrong(path, number, why),))
        self._own.add(number)

    def take_health_check(self, number: int) -> None:
        if number not in self._own and (why := self._refusal(number)):
            raise InternalError(f"failed to allocate requested HealthCheck NodePort {number}: {why}")
        self._own.add(number)

    def _refusal(self, number: int) -> str:
        if number in self._own:
            return ""
        if number in self._taken:
            return "provided port is already allocated"
        if not self._low <= number <= self._high:
            return f"provided port is not in the valid range. The range of valid ports is {self._low}-{self._high}"
        return ""

    def take_any(self, what: str) -> int:
        count = self._high - self._low + 1
        static = min(max(_STATIC_MIN, count // _STATIC_SHARE), _STATIC_MAX) if count > _STATIC_MIN else 0
        start = int(self._ids.uid().replace("-", ""), 16)
        upper = (static + (start + step) % (count - static) for step in range(count - static))
        for offset in chain(upper, range(static)):
            number = self._low + offset
            if number not in self._taken and number not in self._own:
                self._own.add(number)
                return number
        raise InternalError(f"failed to allocate a {what}: range is full")
