"""The mounts of a plan: what must be there is made when the container is created, the sources are opened when it is
started, before its root is in sight, and attached by descriptor.
"""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher import mounts, rootfs, subpaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.plan import BindMount, Plan

NONE, HOST_TO_CONTAINER, BIDIRECTIONAL = "None", "HostToContainer", "Bidirectional"
#: mountinfo's optional fields that a propagation needs, and how containerd calls them.
_NEEDED = {HOST_TO_CONTAINER: (("shared:", "master:"), "shared or slave"), BIDIRECTIONAL: (("shared:",), "shared")}


class Unprepared(Exception):
    """A volume cannot be mounted as it is asked for: Kubernetes' reason, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def prepare(plan: Plan) -> None:
    """In the launcher's own namespace. Raises Unprepared."""
    for mount in plan["mounts"]:
        if mount["sub_path"]:
            _prepare_sub_path(mount)
        if mount["propagation"] != NONE:
            _check_propagation(mount)


def _prepare_sub_path(mount: BindMount) -> None:
    try:
        subpaths.make_sub_path(mount["source"], mount["sub_path"])
    except OSError as error:
        message = f"failed to prepare subPath for the volumeMount {mount['target']}: {mount['sub_path']!r}: "
        raise Unprepared("CreateContainerConfigError", message + (error.strerror or "")) from error


def _check_propagation(mount: BindMount) -> None:
    fields, words = _NEEDED[mount["propagation"]]
    path = os.path.realpath(mount["source"])
    where, optional = _find_mount(path)
    if not any(field.startswith(fields) for field in optional):
        message = f'path "{mount["source"]}" is mounted on "{where}" but it is not a {words} mount'
        raise Unprepared("CreateContainerError", message)


def _find_mount(path: str) -> tuple[str, list[str]]:
    """The mount point that the path lies on, and its optional fields (proc_pid_mountinfo(5))."""
    found: tuple[str, list[str]] = ("/", [])
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields = line.decode("latin-1").split(" ")
            point = os.fsdecode(fields[4].encode("latin-1").decode("unicode_escape").encode("latin-1"))
            if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(found[0]):
                found = (point, fields[6 : fields.index("-")])
    return found


def open_shared(plan: Plan) -> dict[int, int]:
    """Sources, by their place in the plan, of the mounts that go on hearing of the host's: to be opened before this
    namespace is cut off from it."""
    return {at: _open(mount) for at, mount in enumerate(plan["mounts"]) if mount["propagation"] != NONE}


def open_sources(plan: Plan, shared: dict[int, int]) -> list[int]:
    """Detached mounts, with the attributes that are asked for."""
    return [shared[at] if at in shared else _open(mount) for at, mount in enumerate(plan["mounts"])]


def _open(mount: BindMount) -> int:
    source = _clone(mount)
    if mount["propagation"] == HOST_TO_CONTAINER:
        mounts.set_propagation(source, mounts.SLAVE)
    flags = (mounts.RDONLY if mount["read_only"] else 0) | (mounts.NOSUID | mounts.NODEV if mount["restricted"] else 0)
    if flags:
        mounts.set_attributes(source, flags, recursive=mount["recursive"])
    return source


def _clone(mount: BindMount) -> int:
    if not mount["sub_path"]:
        return mounts.clone_tree(mount["source"])
    found = subpaths.open_sub_path(mount["source"], mount["sub_path"])
    try:
        return mounts.clone_tree("", found)
    finally:
        os.close(found)


def attach(plan: Plan, sources: list[int], root_fd: int, proc_device: int) -> None:
    for mount, source in zip(plan["mounts"], sources, strict=True):
        target = rootfs.make_target(root_fd, mount["target"], source, proc_device)
        mounts.attach(source, target)
        os.close(target)
