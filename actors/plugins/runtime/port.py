"""CRI v1's RuntimeService as raypod needs it: verbs, states and merging rules are CRI's, units are in the names.

Containers outlive the caller: an implementation keeps specs, states, exit codes and logs outside the nodelet, so
that a new instance over the same state finds everything with `list_*`. Every failure is a PluginError("runtime").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from actors.api.clock import Millis
from actors.plugins.device.port import DeviceEdits
from actors.plugins.network.port import PortMapping


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's shared part: its Linux namespaces and its cgroup. `id` is chosen by the caller and unique for ever."""

    id: str
    pod_name: str
    pod_namespace: str
    pod_uid: str
    attempt: int = 0
    hostname: str = ""
    #: What /etc/hosts calls its own addresses; (): `hostname`.
    own_names: tuple[str, ...] = ()
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    resolv_conf: str = ""
    #: Without the sandbox's own addresses; on the host's network it comes after the host's.
    etc_hosts: str = ""
    ports: tuple[PortMapping, ...] = ()
    #: Kernel parameters of its own namespaces, by their path below /proc/sys.
    sysctls: dict[str, str] = {}
    labels: dict[str, str] = {}


class SandboxState(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    spec: SandboxSpec
    state: SandboxState
    ips: tuple[str, ...] = ()
    created_at_ms: Millis = 0


class Propagation(StrEnum):
    """Which mounts that are made later are seen: none, the host's in the container, or both's in both."""

    NONE = "None"
    HOST_TO_CONTAINER = "HostToContainer"
    BIDIRECTIONAL = "Bidirectional"


class Mount(msgspec.Struct, frozen=True):
    """Bind `host_path` (a file or a directory that exists) at `container_path`, which is made if missing.

    `sub_path`: bind what is there below `host_path` instead; a directory is made where nothing is. Containers may
    write there, so no link on the way may lead out of `host_path`, at whatever moment (CVE-2017-1002101,
    CVE-2021-25741): else CreateContainerConfigError. `read_only` alone leaves what is mounted below as it is;
    `recursive_read_only` does not.
    """

    host_path: str
    container_path: str
    read_only: bool = False
    sub_path: str = ""
    recursive_read_only: bool = False
    propagation: Propagation = Propagation.NONE


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one container; 0 is none. `cpu_request_millis` becomes shares (v1) or weight (v2)."""

    cpu_request_millis: int = 0
    cpu_limit_millis: int = 0
    memory_limit_bytes: int = 0
    pids_max: int = 0


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """What the process may do. uid and gid < 0: the image's user. Capabilities without the prefix CAP_."""

    uid: int = -1
    gid: int = -1
    groups: tuple[int, ...] = ()
    #: Only these groups, not also those that the image's /etc/group has the user in.
    strict_groups: bool = False
    privileged: bool = False
    read_only_rootfs: bool = False
    no_new_privileges: bool = False
    run_as_non_root: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    seccomp: str = "RuntimeDefault"  # or "Unconfined"


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is chosen by the caller and unique for ever. `image` is an id that the image port knows.

    `command` replaces the image's Entrypoint, `args` its Cmd (given a command without args, Cmd is dropped);
    `env`, `working_dir` and `security` lie over the image's. `log_path`: CRI log format, rotated beside itself as
    `<log_path>.<n>`, n growing, never renamed again (`launcher.log_file.list_rotated` lists them, the oldest first).
    `stdin`: it has an input that `attach` may write to, which with `stdin_once` ends with the first who does. `tty`:
    its streams are a terminal. `target_id`: the running container whose PID namespace it enters, and with whose end it
    ends; "": it has one of its own, or the host's.
    """

    id: str
    sandbox_id: str
    name: str
    attempt: int = 0
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    devices: DeviceEdits = DeviceEdits()
    resources: Resources = Resources()
    security: Security = Security()
    log_path: str = ""
    log_size_bytes_max: int = 10 << 20
    log_files_max: int = 5
    termination_message_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    target_id: str = ""
    labels: dict[str, str] = {}


class ContainerState(StrEnum):
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    EXITED = "EXITED"
    UNKNOWN = "UNKNOWN"


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` of an EXITED one: Completed (exit code 0), OOMKilled, Error. Killed by signal n: exit code 128 + n.

    `message` is what the container wrote to its termination message path (at most 4096 bytes).
    """

    spec: ContainerSpec
    state: ContainerState
    pid: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    created_at_ms: Millis = 0
    started_at_ms: Millis = 0
    finished_at_ms: Millis = 0


class ContainerStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a running container has used until `at_ms`. `cpu_ns`: CPU time since its start, of all its processes;
    `memory_bytes`: what it holds without the file pages that the kernel may take back at once (CRI's working set).
    """

    id: str
    at_ms: Millis
    cpu_ns: int
    memory_bytes: int


class ExecSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A further process in a running container: with the container's user, capabilities, environment, directory and
    limits. Without `stdin` its input is at its end. With `tty` it has a terminal instead of pipes, and no STDERR.
    """

    container_id: str
    command: tuple[str, ...]
    stdin: bool = False
    tty: bool = False


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


#: Channels of a process's standard streams.
STDIN, STDOUT, STDERR = 0, 1, 2
#: What one `read` answers at most.
CHUNK_BYTES_MAX = 32 << 10


class Streams(Protocol):
    """The standard streams of a process, as one client holds them. Nothing is read ahead: who does not `read` stops
    the process at its next write.
    """

    async def read(self) -> tuple[int, bytes] | None:
        """(STDOUT or STDERR, what came on it); None once there is nothing more to come."""
        ...

    async def write(self, data: bytes) -> None:
        """To its standard input; waits until all is taken. What a process that no longer listens is sent is lost."""
        ...

    async def close_stdin(self) -> None:
        """Its input is at its end. A second call does nothing; nor does a call for a terminal."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """Of its terminal, in characters; without one it does nothing."""
        ...

    async def wait(self) -> int:
        """Its exit code. Fails with RuntimeUnavailable when that is lost."""
        ...

    async def close(self) -> None:
        """Let go: a process that `exec` has started and that still runs is killed. A second call does nothing."""
        ...


class Connection(Protocol):
    """A TCP connection that was made in a sandbox's network."""

    async def read(self) -> bytes:
        """At most CHUNK_BYTES_MAX; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Waits while the other side does not read. Raises OSError."""
        ...

    async def close_write(self) -> None:
        """Nothing more will be written; what comes can still be read."""
        ...

    async def close(self) -> None: ...


class RuntimePort(Protocol):
    async def run_pod_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Make namespaces, cgroup and network. A second call with the same id answers the first's sandbox."""
        ...

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Kill what still runs in it and give its network back. A second call, or an unknown id, does nothing."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Stop it, then remove its containers and every trace but logs. A second call does nothing."""
        ...

    async def list_pod_sandboxes(self) -> list[Sandbox]: ...

    async def create_container(self, spec: ContainerSpec) -> ContainerStatus:
        """Prepare the root file system. A second call with the same id answers the first's container.

        Fails with CreateContainerError, CreateContainerConfigError (runAsNonRoot, no command), not retryable.
        """
        ...

    async def start_container(self, container_id: str) -> ContainerStatus:
        """Run its process. A second call answers the status. Fails with RunContainerError (no such command: then
        the container is EXITED with code 127 or 126 and reason StartError, as Kubernetes words it)."""
        ...

    async def stop_container(self, container_id: str, grace_ms: int) -> None:
        """The image's stop signal (SIGTERM), then SIGKILL after the grace; returns when it has exited."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Kill if it runs, then forget it; its logs stay. A second call does nothing."""
        ...

    async def update_container(
        self, container_id: str, resources: Resources, labels: Mapping[str, str]
    ) -> ContainerStatus:
        """Other limits for a running container (CRI: UpdateContainerResources), and labels beside those that it has;
        its spec says so from then on. A second call does nothing more. What `resources` does not limit has no limit,
        but for `pids_max`, which stays.

        Fails with NotFound, NotRunning, not retryable; UpdateError (less memory than it holds).
        """
        ...

    async def container_status(self, container_id: str) -> ContainerStatus:
        """Fails with NotFound, not retryable."""
        ...

    async def list_containers(self) -> list[ContainerStatus]: ...

    async def list_container_stats(self) -> list[ContainerStats]:
        """Of every running container. One that ends meanwhile is left out."""
        ...

    async def exec(self, spec: ExecSpec) -> Streams:
        """Start it. Fails with NotFound, NotRunning, ExecError (no such command, ...: with the exit code that a shell
        would answer), none of them retryable."""
        ...

    async def exec_sync(self, spec: ExecSpec, timeout_ms: int, output_bytes_max: int = 16 << 20) -> ExecResult:
        """Run it to its end; output beyond the limit is dropped. Fails with DeadlineExceeded, after killing it."""
        ...

    async def attach(self, container_id: str, *, stdin: bool = False) -> Streams:
        """To its own process, from now on; letting go stops nothing. `stdin`: to write to its input, if it has one.

        A viewer that does not read does not hold it up: what is too much is left out. Fails with NotFound, NotRunning.
        """
        ...

    async def port_forward(self, sandbox_id: str, port: int, address: str = "") -> Connection:
        """Connect to a TCP port as from within the sandbox; `address` "": its own loopback, IPv4 then IPv6.

        Fails with NotFound, ConnectionRefused, not retryable.
        """
        ...

    def events(self) -> AsyncIterator[ContainerStatus]:
        """A status for each start and exit from now on. May skip some when the runtime restarts: list then."""
        ...

    async def close(self) -> None:
        """Let go of sockets and tasks of the caller's. No container stops."""
        ...
