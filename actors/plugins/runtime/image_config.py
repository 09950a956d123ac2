"""CRI's rules for laying a container's spec over its image's config. Pure."""

from __future__ import annotations

from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.port import ContainerSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def merge_argv(spec: ContainerSpec, config: ImageConfig) -> tuple[str, ...]:
    """`command` replaces Entrypoint and drops Cmd, `args` replaces Cmd. () when both are silent."""
    if spec.command:
        return (*spec.command, *spec.args)
    return (*config.entrypoint, *(spec.args or config.cmd))


def merge_env(spec: ContainerSpec, config: ImageConfig, hostname: str) -> dict[str, str]:
    """PATH and HOSTNAME by default, the image's variables, the devices', the spec's: later ones win."""
    image = dict(entry.partition("=")[::2] for entry in config.env if entry.partition("=")[0])
    env = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname, **image, **spec.devices.env, **spec.env}
    if spec.devices.library_dirs:
        env["LD_LIBRARY_PATH"] = ":".join(filter(None, [env.get("LD_LIBRARY_PATH", ""), *spec.devices.library_dirs]))
    return env


def merge_working_dir(spec: ContainerSpec, config: ImageConfig) -> str:
    return spec.working_dir or config.working_dir or "/"


def merge_user(spec: ContainerSpec, config: ImageConfig) -> str:
    """`user[:group]` as in an image config: the security context's numbers, else the image's words."""
    security = spec.security
    if security.uid < 0:
        name, _, group = config.user.partition(":")
        group = str(security.gid) if security.gid >= 0 else group
        return f"{name or '0'}:{group}" if group else name or "0"
    return f"{security.uid}:{security.gid}" if security.gid >= 0 else str(security.uid)
