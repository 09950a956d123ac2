"""A container's volumeMounts as the runtime's mounts: the rules of kubelet's makeMounts (kubelet_pods.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import normpath

from actors.api.pod import Container, Pod, VolumeMount
from actors.nodelet.configuration import ConfigMissing
from actors.nodelet.environment import expand, unknown_references
from actors.plugins.runtime.port import Mount, Propagation


def derive_mounts(
    pod: Pod, container: Container, volumes: Mapping[str, str], env: Mapping[str, str]
) -> tuple[Mount, ...]:
    """What the nodelet writes (config maps and the like) is read-only for containers, as in Kubernetes. Raises
    ConfigMissing."""
    written = {v.name for v in pod.spec.volumes or () if v.config_map or v.secret or v.projected or v.downward_api}
    return tuple(_derive(mount, volumes, env, mount.name in written) for mount in container.volume_mounts or ())


def _derive(mount: VolumeMount, volumes: Mapping[str, str], env: Mapping[str, str], is_written: bool) -> Mount:
    if mount.name not in volumes:
        raise ConfigMissing(f'volume mount "{mount.mount_path}" names the unknown volume "{mount.name}"')
    if not normpath(f"/{mount.mount_path}").strip("/"):
        raise ConfigMissing(
            f'volumeMounts: the mountPath "{mount.mount_path}" of "{mount.name}" is the container\'s own root: '
            "name a folder or file in it"
        )
    return Mount(
        volumes[mount.name],
        mount.mount_path,
        mount.read_only or is_written,
        sub_path=_sub_path(mount, env),
        recursive_read_only=mount.recursive_read_only in ("Enabled", "IfPossible"),
        propagation=Propagation(mount.mount_propagation or "None"),
    )


def _sub_path(mount: VolumeMount, env: Mapping[str, str]) -> str:
    """`subPath` is taken as it is; in `subPathExpr` every variable must be known."""
    path = mount.sub_path
    if mount.sub_path_expr:
        if unknown := unknown_references(mount.sub_path_expr, env):
            raise ConfigMissing(f'subPathExpr "{mount.sub_path_expr}": missing value for "{unknown[0]}"')
        path = expand(mount.sub_path_expr, env)
    if path.startswith("/"):
        raise ConfigMissing(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigMissing(f"unable to provision SubPath `{path}`: must not contain '..'")
    return normpath(path) if path else ""
