"""From a container's spec, its image and its sandbox to the launcher's plan. Pure: the host comes in as `Node`."""

from __future__ import annotations

import signal

import msgspec

from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.capabilities import derive_capabilities, format_bits
from actors.plugins.runtime.image_config import merge_argv, merge_env, merge_user, merge_working_dir
from actors.plugins.runtime.launcher.device_filter import DEFAULT_RULES, Rule
from actors.plugins.runtime.launcher.plan import BindMount, Plan
from actors.plugins.runtime.launcher.plan import Resources as PlannedResources
from actors.plugins.runtime.layout import Layout
from actors.plugins.runtime.port import ContainerSpec, Mount, Resources, SandboxSpec
from actors.plugins.runtime.seccomp import build_filter

MASKED_PATHS = (
    *(f"/proc/{name}" for name in ["acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats"]),
    *("/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"),
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
#: Folders of the node's own root that a container over it does not see: others' files and sockets.
HOST_IMAGE_HIDDEN = ("/tmp", "/var/tmp", "/run")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What planning must know of the host. `hidden_paths`: also invisible to containers of the host image.

    `shown_path`: where raypod itself is installed, whose interpreter containers of the host image run.
    """

    machine: str
    hostname: str
    hidden_paths: tuple[str, ...] = ()
    shown_path: str = ""
    #: (path, c or b, major, minor) of /dev, for privileged containers.
    devices: tuple[tuple[str, str, int, int], ...] = ()


def select_hidden(node: Node) -> list[str]:
    """A folder that is hidden by default stays in sight when raypod is installed below it (a checkout in /tmp)."""
    default = [path for path in HOST_IMAGE_HIDDEN if not node.shown_path.startswith(f"{path}/")]
    return [*default, *node.hidden_paths]


def derive_namespaces(spec: SandboxSpec) -> list[str]:
    """The kinds a sandbox has of its own. A pod on the host's network shares its host name too, as in Kubernetes."""
    kinds = [] if spec.host_network else ["net", "uts"]
    return kinds if spec.host_ipc else [*kinds, "ipc"]


def derive_hostname(spec: SandboxSpec, node: Node) -> str:
    """Kept short as DNS (63) and the kernel (64) have it."""
    return node.hostname if spec.host_network else spec.hostname[:64] or spec.pod_name[:63].rstrip("-.")


def derive_stop_signal(words: str) -> int:
    """`SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`; SIGTERM for none and for nonsense."""
    name = words.strip().upper()
    if name.isdecimal():
        number = int(name)
        return number if 1 <= number <= 64 else signal.SIGTERM
    base, _, offset = name.removeprefix("SIG").partition("+")
    found = getattr(signal, f"SIG{base}", None)
    if not isinstance(found, signal.Signals):
        return signal.SIGTERM
    return found + (int(offset) if offset.isdecimal() else 0)


def plan_container(
    spec: ContainerSpec,
    config: ImageConfig,
    layers: tuple[str, ...],
    sandbox: SandboxSpec,
    layout: Layout,
    node: Node,
) -> Plan:
    """Raises ValueError for what the spec itself makes impossible: no command, unknown capabilities, a relative path
    as working directory (which an OCI runtime refuses, too).
    """
    argv = merge_argv(spec, config)
    if not argv:
        raise ValueError("no command specified: the image has none, give the container a command")
    cwd = merge_working_dir(spec, config)
    if not cwd.startswith("/"):
        whose = "workingDir" if spec.working_dir else "the image's working directory"
        raise ValueError(f"{whose} {cwd!r} must be an absolute path")
    security = spec.security
    if security.run_as_non_root and security.uid == 0:
        raise ValueError("container's runAsUser breaks non-root policy")
    capabilities = derive_capabilities(security)
    confined = security.seccomp != "Unconfined" and not security.privileged
    return {
        "id": spec.id,
        "sandbox": spec.sandbox_id,
        "layers": list(layers),
        "opaque": select_hidden(node) if "/" in layers else [],
        "argv": list(argv),
        "env": merge_env(spec, config, derive_hostname(sandbox, node)),
        "cwd": cwd,
        "user": merge_user(spec, config),
        "groups": list(security.groups),
        "strict_groups": security.strict_groups,
        "run_as_non_root": security.run_as_non_root,
        "read_only": security.read_only_rootfs,
        "no_new_privileges": security.no_new_privileges,
        "privileged": security.privileged,
        "capabilities": format_bits(capabilities),
        "seccomp": build_filter(node.machine, capabilities).hex() if confined else "",
        "mounts": plan_mounts(spec, sandbox, layout),
        "nodes": plan_nodes(spec, node),
        "symlinks": list(spec.devices.symlinks),
        "device_rules": plan_device_rules(spec),
        "masked": [] if security.privileged else list(MASKED_PATHS),
        "read_only_paths": [] if security.privileged else list(READ_ONLY_PATHS),
        "resources": plan_resources(spec.resources),
        "namespaces": {kind: layout.namespace(sandbox.id, kind) for kind in derive_namespaces(sandbox)},
        "host_pid": sandbox.host_pid,
        "target": spec.target_id,
        "log": {
            "path": spec.log_path,
            "size_bytes_max": spec.log_size_bytes_max,
            "files_max": spec.log_files_max,
        },
        "termination_file": f"{layout.container(spec.id)}/termination",
        "stop_signal": int(derive_stop_signal(config.stop_signal)),
        "stdin": spec.stdin,
        "stdin_once": spec.stdin_once,
        "tty": spec.tty,
    }


def plan_resources(resources: Resources) -> PlannedResources:
    return {
        "cpu_request_millis": resources.cpu_request_millis,
        "cpu_limit_millis": resources.cpu_limit_millis,
        "memory_limit_bytes": resources.memory_limit_bytes,
        "pids_max": resources.pids_max,
    }


def plan_mounts(spec: ContainerSpec, sandbox: SandboxSpec, layout: Layout) -> list[BindMount]:
    """The sandbox's files, the devices' libraries, the spec's mounts: shallow targets first, the spec's winning."""
    memory = layout.sandbox_mem(sandbox.id)
    shm = "/dev/shm" if sandbox.host_ipc else f"{memory}/shm"
    own = [Mount(shm, "/dev/shm")]
    own += [Mount(f"{memory}/{name}", f"/etc/{name}") for name in ("resolv.conf", "hosts", "hostname")]
    if spec.termination_message_path:
        own.append(Mount(f"{layout.container(spec.id)}/termination", spec.termination_message_path))
    libraries = [Mount(mount.host_path, mount.container_path, read_only=True) for mount in spec.devices.mounts]
    taken = {_normal(mount.container_path) for mount in spec.mounts}
    kept = [mount for mount in (*own, *libraries) if _normal(mount.container_path) not in taken]
    planned: list[BindMount] = [
        {
            "source": mount.host_path,
            "sub_path": mount.sub_path,
            "target": mount.container_path,
            "read_only": mount.read_only or mount.recursive_read_only,
            "recursive": mount.recursive_read_only or mount in libraries,
            "propagation": str(mount.propagation),
            "restricted": mount in libraries,
        }
        for mount in (*kept, *spec.mounts)
    ]
    return sorted(planned, key=lambda mount: _normal(mount["target"]).count("/"))


def plan_nodes(spec: ContainerSpec, node: Node) -> list[tuple[str, str, int, int]]:
    asked = [(found.path, found.type, found.major, found.minor) for found in spec.devices.nodes]
    return [*asked, *node.devices] if spec.security.privileged else asked


def plan_device_rules(spec: ContainerSpec) -> list[Rule]:
    """The defaults and exactly the devices in the spec; unused for privileged containers."""
    return [
        *DEFAULT_RULES,
        *((found.type, found.major, found.minor, found.permissions) for found in spec.devices.nodes),
    ]


def format_hosts(spec: SandboxSpec, hostname: str, ips: tuple[str, ...]) -> str:
    """/etc/hosts: the spec's text, else the usual one; the pod's own name in the end."""
    text = spec.etc_hosts or "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    known = {word for line in text.splitlines() for word in line.partition("#")[0].split()[1:]}
    names = [name for name in spec.own_names or (hostname,) if name not in known]
    own = "".join("\t".join([ip, *names]) + "\n" for ip in ips if names)
    return text.rstrip("\n") + "\n" + own


def _normal(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
