"""The config maps and secrets that a pod names: which they are, and their contents as files. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from actors.api.codec import decode
from actors.api.key import Key, Stored
from actors.api.pod import Container, Pod
from actors.nodelet.record import every_container

_KINDS = {"configmaps": "configmap", "secrets": "secret"}


class ConfigMissing(Exception):
    """Something that a container names is not there: CreateContainerConfigError, tried again."""


class ConfigView:
    """What was fetched for one pod; `config` maps keys to the object or None."""

    def __init__(self, namespace: str, config: Mapping[Key, Stored | None]) -> None:
        self._namespace, self._config = namespace, config

    def describe(self, resource: str, name: str) -> str:
        """As kubelet words it: `configmap default/settings`."""
        return f"{_KINDS[resource]} {self._namespace}/{name}"

    def object(self, resource: str, name: str) -> dict[str, Any] | None:
        stored = self._config.get(Key(resource, self._namespace, name))
        return decode(stored) if stored is not None else None

    def files(self, resource: str, name: str, *, optional: bool) -> dict[str, bytes] | None:
        """Contents by key. None: absent and optional; absent and needed raises ConfigMissing."""
        obj = self.object(resource, name)
        if obj is None:
            if optional:
                return None
            raise ConfigMissing(f'{_KINDS[resource]} "{name}" not found')
        return contents_of(resource, obj)


def contents_of(resource: str, obj: Mapping[str, Any]) -> dict[str, bytes]:
    """Of a config map: `data` is text; of a secret: `data` is base64."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    if resource == "secrets":
        return {key: _decode(value) for key, value in data.items()}
    return {key: str(value).encode() for key, value in data.items()} | {k: _decode(v) for k, v in binary.items()}


def config_keys(pod: Pod) -> tuple[Key, ...]:
    """Every config map and secret that the pod names, sorted."""
    names: set[tuple[str, str]] = set()
    for container in every_container(pod):
        names.update(_of_container(container))
    names.update(_of_volumes(pod))
    names.update(("secrets", ref.name) for ref in pod.spec.image_pull_secrets or ())
    return tuple(sorted(Key(resource, pod.metadata.namespace, name) for resource, name in names if name))


def pull_secrets(pod: Pod, config: ConfigView) -> list[dict[str, Any]]:
    """Those that exist: kubelet goes on without the others."""
    refs = pod.spec.image_pull_secrets or ()
    return [secret for ref in refs if (secret := config.object("secrets", ref.name)) is not None]


def _of_container(container: Container) -> Iterator[tuple[str, str]]:
    for source in container.env_from or ():
        if source.config_map_ref is not None:
            yield "configmaps", source.config_map_ref.name
        if source.secret_ref is not None:
            yield "secrets", source.secret_ref.name
    for variable in container.env or ():
        if variable.value_from is None:
            continue
        if variable.value_from.config_map_key_ref is not None:
            yield "configmaps", variable.value_from.config_map_key_ref.name
        if variable.value_from.secret_key_ref is not None:
            yield "secrets", variable.value_from.secret_key_ref.name


def _of_volumes(pod: Pod) -> Iterator[tuple[str, str]]:
    for volume in pod.spec.volumes or ():
        sources: Iterable[dict[str, Any]] = [{"configMap": volume.config_map, "secret": volume.secret}]
        if volume.projected is not None:
            sources = [*sources, *(volume.projected.get("sources") or ())]
        for source in sources:
            config_map, secret = source.get("configMap"), source.get("secret")
            if config_map:
                yield "configmaps", config_map.get("name", "")
            if secret:
                yield "secrets", secret.get("secretName") or secret.get("name", "")


def _decode(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text))
    except binascii.Error:
        return b""
