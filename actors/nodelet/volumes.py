"""A pod's volumes as requests to the storage port, with the files of config maps, secrets, downward API, tokens. Pure.

A token's file is its pod's: mode 0600 and the containers' user where they have one in common, or left to the group
where the pod has one (KEP-2451, pkg/volume/projected).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.meta import Lens
from actors.api.pod import Pod, PodSecurityContext, ResourceFieldSelector, SecurityContext, Volume
from actors.nodelet.configuration import ConfigMissing, ConfigView
from actors.nodelet.environment import Downward
from actors.nodelet.record import all_containers
from actors.nodelet.service_tokens import Tokens, request_of
from actors.plugins.storage.port import VolumeRequest

DEFAULT_MODE, _PRIVATE_MODE = 0o644, 0o600

Files = dict[str, tuple[bytes, int]]


class _Source(Lens, frozen=True):
    """A volume's one source: the name of its field and its value."""

    type: str
    value: dict[str, Any]


def volume_requests(
    pod: Pod, config: ConfigView, downward: Downward, tokens: Tokens | None = None
) -> tuple[VolumeRequest, ...]:
    """`tokens`: all that the pod asks for. Raises ConfigMissing for a config map, secret or key that is not there and
    not optional."""
    return tuple(_request(pod, volume, config, downward, tokens or {}) for volume in pod.spec.volumes or ())


def shows_metadata(pod: Pod) -> bool:
    """Does a volume show the pod's labels or annotations, which change while it runs?"""
    parts = (part for volume in pod.spec.volumes or () for part in (volume.projected or {}).get("sources") or ())
    return any(volume.downward_api for volume in pod.spec.volumes or ()) or any(p.get("downwardAPI") for p in parts)


def _request(pod: Pod, volume: Volume, config: ConfigView, downward: Downward, tokens: Tokens) -> VolumeRequest:
    source = _source_of(volume)
    context = pod.spec.security_context
    user = _common_user(pod)
    return VolumeRequest(
        pod_uid=pod.metadata.uid,
        name=volume.name,
        source_type=source.type,
        source=source.value,
        files=_files_of(source, pod, config, downward) | _token_files(source, pod, tokens),
        owners={path: user for path, _ in _token_sources(source)} if user >= 0 else {},
        fs_group=-1 if context is None or context.fs_group is None else context.fs_group,
    )


def _source_of(volume: Volume) -> _Source:
    """A volume without a source is an emptyDir, as API defaulting has it."""
    for name, value in (
        ("hostPath", volume.host_path),
        ("configMap", volume.config_map),
        ("secret", volume.secret),
        ("projected", volume.projected),
        ("downwardAPI", volume.downward_api),
        ("persistentVolumeClaim", volume.persistent_volume_claim),
    ):
        if value is not None:
            return _Source(name, value)
    return _Source("emptyDir", volume.empty_dir or {})


def _files_of(source: _Source, pod: Pod, config: ConfigView, downward: Downward) -> Files:
    mode = int(source.value.get("defaultMode") or DEFAULT_MODE)
    match source.type:
        case "configMap":
            return _config_files("configmaps", source.value.get("name", ""), source.value, mode, config)
        case "secret":
            return _config_files("secrets", source.value.get("secretName", ""), source.value, mode, config)
        case "downwardAPI":
            return _downward_files(source.value, mode, pod, downward)
        case "projected":
            return _projected_files(source.value, mode, pod, config, downward)
        case _:
            return {}


def _token_sources(source: _Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """The paths of a projected volume's tokens, and what each is."""
    for part in (source.value.get("sources") or ()) if source.type == "projected" else ():
        if part.get("serviceAccountToken"):
            yield _safe_path(part["serviceAccountToken"].get("path") or ""), part["serviceAccountToken"]


def _token_files(source: _Source, pod: Pod, tokens: Tokens) -> Files:
    context = pod.spec.security_context
    is_private = _common_user(pod) >= 0 or (context is not None and context.fs_group is not None)
    mode = _PRIVATE_MODE if is_private else int(source.value.get("defaultMode") or DEFAULT_MODE)
    return {path: (tokens[request_of(pod, part)].text.encode(), mode) for path, part in _token_sources(source)}


def _common_user(pod: Pod) -> int:
    """The user as whom all containers run; -1 where they say different things, or nothing."""
    outer = pod.spec.security_context or PodSecurityContext()
    own = (container.security_context or SecurityContext() for container in all_containers(pod))
    users = {outer.run_as_user if inner.run_as_user is None else inner.run_as_user for inner in own}
    user = users.pop() if len(users) == 1 else None
    return -1 if user is None else user


def _projected_files(projected: dict[str, Any], mode: int, pod: Pod, config: ConfigView, downward: Downward) -> Files:
    files: Files = {}
    for part in projected.get("sources") or ():
        for key, resource in (("configMap", "configmaps"), ("secret", "secrets")):
            if part.get(key):
                files |= _config_files(resource, part[key].get("name", ""), part[key], mode, config)
        if part.get("downwardAPI"):
            files |= _downward_files(part["downwardAPI"], mode, pod, downward)
    return files


def _config_files(resource: str, name: str, source: dict[str, Any], mode: int, config: ConfigView) -> Files:
    """All keys, or those of `items` at their paths and modes."""
    optional = bool(source.get("optional"))
    contents = config.files(resource, name, optional=optional)
    if contents is None:
        return {}
    if source.get("items") is None:
        return {key: (content, mode) for key, content in contents.items()}
    files: Files = {}
    for item in source["items"]:
        if item["key"] in contents:
            files[_safe_path(item["path"])] = (contents[item["key"]], int(item.get("mode") or mode))
        elif not optional:
            raise ConfigMissing(f"{config.describe(resource, name)} has no key {item['key']}")
    return files


def _downward_files(source: dict[str, Any], mode: int, pod: Pod, downward: Downward) -> Files:
    files: Files = {}
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            text = downward.field(item["fieldRef"]["fieldPath"])
        else:
            ref = item.get("resourceFieldRef") or {}
            selector = ResourceFieldSelector(
                resource=ref.get("resource", ""),
                container_name=ref.get("containerName", ""),
                divisor=ref.get("divisor", "0"),
            )
            text = downward.resource(selector, pod.spec.containers[0])
        files[_safe_path(item["path"])] = (text.encode(), int(item.get("mode") or mode))
    return files


def _safe_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise ConfigMissing(f'path "{path}" must be relative and must not contain ".."')
    return path
