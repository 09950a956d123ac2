"""Fields of a pod that this node does not carry out: nothing is ignored in silence.

`REFUSED`: running the pod without it would be wrong or unsafe, so it fails with the field's name. `REPORTED`: the pod
runs, and one Event names the fields. Pure; works on the pod as JSON, for lenses do not see what nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

JSON = dict[str, Any]

_VOLUME_SOURCES = frozenset(
    {"hostPath", "emptyDir", "configMap", "secret", "projected", "downwardAPI", "persistentVolumeClaim"}
)
_PROJECTED_SOURCES = frozenset({"configMap", "secret", "downwardAPI", "serviceAccountToken"})


def _is_set(value: Any) -> bool:
    return value not in (None, "", False, (), [], {})


REFUSED_POD: dict[str, Callable[[Any], bool]] = {
    "shareProcessNamespace": _is_set,
    "hostUsers": lambda value: value is False,
    "runtimeClassName": _is_set,
    "resourceClaims": _is_set,
    "os": lambda value: (value or {}).get("name", "linux") != "linux",
}
REFUSED_SECURITY: dict[str, Callable[[Any], bool]] = {
    "windowsOptions": _is_set,
    "seLinuxOptions": _is_set,
    "procMount": lambda value: value not in (None, "Default"),
    "seccompProfile": lambda value: (value or {}).get("type") == "Localhost",
}
REFUSED_CONTAINER: dict[str, Callable[[Any], bool]] = {"volumeDevices": _is_set}
REPORTED_CONTAINER: dict[str, Callable[[Any], bool]] = {
    "livenessProbe": _is_set,
    "readinessProbe": _is_set,
    "startupProbe": _is_set,
    "lifecycle": _is_set,
    "restartPolicyRules": _is_set,
}


def refused_fields(pod: JSON) -> list[str]:
    """The paths of the fields without which the pod must not run."""
    return sorted(_refused(pod.get("spec") or {}))


def refused_ephemeral_fields(pod: JSON, name: str) -> list[str]:
    """The paths of the fields without which this ephemeral container must not run; the pod does."""
    spec = pod.get("spec") or {}
    found = [c for c in spec.get("ephemeralContainers") or () if c.get("name") == name]
    named = [("spec.ephemeralContainers", container) for container in found]
    return sorted(_refused_of(named))


def reported_fields(pod: JSON) -> list[str]:
    """The paths of the fields that the pod runs without."""
    spec = pod.get("spec") or {}
    fields: list[str] = []
    for path, container in _containers(spec):
        fields.extend(_select(container, REPORTED_CONTAINER, path))
    return sorted(fields)


def uses_apparmor(pod: Mapping[str, Any]) -> bool:
    """Does it ask for a profile that only AppArmor can enforce? No node of ours has it."""
    spec = pod.get("spec") or {}
    contexts = [spec.get("securityContext"), *(c.get("securityContext") for _, c in _containers(spec))]
    types = (((context or {}).get("appArmorProfile") or {}).get("type") for context in contexts)
    return any(kind not in (None, "Unconfined") for kind in types)


def _refused(spec: JSON) -> Iterator[str]:
    yield from _select(spec, REFUSED_POD, "spec")
    yield from _select(spec.get("securityContext") or {}, REFUSED_SECURITY, "spec.securityContext")
    yield from _refused_of(_containers(spec))
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"spec.volumes[{index}]")


def _refused_of(containers: Iterable[tuple[str, JSON]]) -> Iterator[str]:
    for path, container in containers:
        yield from _select(container, REFUSED_CONTAINER, path)
        yield from _select(container.get("securityContext") or {}, REFUSED_SECURITY, f"{path}.securityContext")


def _volume(volume: JSON, path: str) -> Iterator[str]:
    for name in volume:
        if name != "name" and _is_set(volume[name]) and name not in _VOLUME_SOURCES:
            yield f"{path}.{name}"
    for index, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for name in source:
            if name not in _PROJECTED_SOURCES:
                yield f"{path}.projected.sources[{index}].{name}"


def _containers(spec: JSON) -> Iterator[tuple[str, JSON]]:
    for key in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(key) or ()):
            yield f"spec.{key}[{index}]", container


def _select(part: JSON, rules: dict[str, Callable[[Any], bool]], path: str) -> Iterator[str]:
    for name, is_asked_for in rules.items():
        if name in part and is_asked_for(part[name]):
            yield f"{path}.{name}"
