"""A container's environment: literals, `$(VAR)` expansion, fields, resources, config maps, secrets: kubelet's rules.

Pure. What is missing raises `ConfigMissing`: the container waits with CreateContainerConfigError until it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from actors.api.key import Key, Stored
from actors.api.pod import Container, EnvFromSource, EnvVar, EnvVarSource, KeySelector, Pod, ResourceFieldSelector
from actors.api.quantity import parse_millis, parse_resource
from actors.nodelet.configuration import ConfigMissing, ConfigView

_REFERENCE = re.compile(r"\$\$|\$\(([^)$]+)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]$")

Config = Mapping[Key, Stored | None]


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value when it is known, else stays; `$$` is a dollar sign (`$$(NAME)` is not expanded)."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def unknown_references(text: str, values: Mapping[str, str]) -> list[str]:
    """The names of `$(NAME)` that have no value."""
    names = (match[1] for match in _REFERENCE.finditer(text))
    return [name for name in names if name and name not in values]


class Downward:
    """What a container may learn of its pod and node (`fieldRef`, `resourceFieldRef`)."""

    def __init__(
        self, pod: Pod, *, node_name: str, host_ip: str, pod_ips: tuple[str, ...], allocatable: Mapping[str, int]
    ) -> None:
        self._pod, self._allocatable = pod, allocatable
        meta = pod.metadata
        self._fields = {
            "metadata.name": meta.name,
            "metadata.namespace": meta.namespace,
            "metadata.uid": meta.uid,
            "metadata.labels": _format_map(meta.labels),
            "metadata.annotations": _format_map(meta.annotations),
            "spec.nodeName": node_name,
            "spec.serviceAccountName": pod.spec.service_account_name,
            "status.hostIP": host_ip,
            "status.hostIPs": host_ip,
            "status.podIP": pod_ips[0] if pod_ips else "",
            "status.podIPs": ",".join(pod_ips),
        }

    def field(self, path: str) -> str:
        subscript = _SUBSCRIPT.match(path)
        if subscript:
            values = self._pod.metadata.labels if subscript[1] == "labels" else self._pod.metadata.annotations
            return (values or {}).get(subscript[2], "")
        if path not in self._fields:
            raise ConfigMissing(f'unsupported fieldPath "{path}"')
        return self._fields[path]

    def resource(self, ref: ResourceFieldSelector, container: Container) -> str:
        """`limits.cpu`, `requests.memory`, ... in units of the divisor, rounded up; no limit: what the node has."""
        target = next((c for c in self._pod.spec.containers if c.name == ref.container_name), container)
        kind, _, name = ref.resource.partition(".")
        if kind not in ("limits", "requests") or not name:
            raise ConfigMissing(f'unsupported resource "{ref.resource}"')
        amounts = (target.resources.limits if kind == "limits" else target.resources.requests) or {}
        amount = parse_resource(name, amounts[name]) if name in amounts else self._default(kind, name)
        divisor = "1" if str(ref.divisor) == "0" else ref.divisor
        unit = parse_millis(divisor) if name == "cpu" else parse_resource(name, divisor)
        return str(-(-amount // max(unit, 1)))

    def _default(self, kind: str, name: str) -> int:
        return self._allocatable.get(name, 0) if kind == "limits" else 0


def derive_environment(
    container: Container, config: ConfigView, downward: Downward, base: Mapping[str, str]
) -> dict[str, str]:
    """The variables in order: `base` (the API's address), envFrom, env. Later ones win."""
    values = dict(base)
    for source in container.env_from or ():
        values.update(_from_source(source, config))
    for variable in container.env or ():
        value = _value_of(variable, container, config, downward, values)
        if value is not None:
            values[variable.name] = value
    return values


def expand_command(parts: tuple[str, ...] | None, values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(part, values) for part in parts or ())


def _value_of(
    variable: EnvVar, container: Container, config: ConfigView, downward: Downward, values: Mapping[str, str]
) -> str | None:
    if variable.value_from is None:
        return expand(variable.value, values)
    return _value_from(variable.value_from, container, config, downward)


def _value_from(source: EnvVarSource, container: Container, config: ConfigView, downward: Downward) -> str | None:
    if source.field_ref is not None:
        return downward.field(source.field_ref.field_path)
    if source.resource_field_ref is not None:
        return downward.resource(source.resource_field_ref, container)
    if source.config_map_key_ref is not None:
        return _select(config, "configmaps", source.config_map_key_ref)
    if source.secret_key_ref is not None:
        return _select(config, "secrets", source.secret_key_ref)
    return ""


def _select(config: ConfigView, resource: str, ref: KeySelector) -> str | None:
    """None: an optional one that is not there leaves the variable unset."""
    files = config.files(resource, ref.name, optional=ref.optional)
    if files is None or ref.key not in files:
        if ref.optional:
            return None
        raise ConfigMissing(f"couldn't find key {ref.key} in {config.describe(resource, ref.name)}")
    return files[ref.key].decode("utf-8", "surrogateescape")


def _from_source(source: EnvFromSource, config: ConfigView) -> Iterator[tuple[str, str]]:
    for resource, ref in (("configmaps", source.config_map_ref), ("secrets", source.secret_ref)):
        if ref is None:
            continue
        files = config.files(resource, ref.name, optional=ref.optional) or {}
        for key in sorted(files):
            if key and "=" not in key and "\0" not in key:
                yield source.prefix + key, files[key].decode("utf-8", "surrogateescape")


def _format_map(values: dict[str, str] | None) -> str:
    """As in downward API files: `key="escaped value"` a line, sorted."""
    return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted((values or {}).items()))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
