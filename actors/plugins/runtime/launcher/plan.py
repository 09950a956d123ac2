"""The shape of what the launcher is told to run: everything is decided, nothing is left to look up but the user.

It crosses a socket and a disk as JSON. The types exist for the type checker alone: `typing` costs a megabyte.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class BindMount(TypedDict):
        source: str
        #: Below `source`; "" is all of it. See `subpaths`.
        sub_path: str
        target: str
        read_only: bool
        #: Read-only with all that is mounted below it.
        recursive: bool
        #: None, HostToContainer or Bidirectional.
        propagation: str
        #: Device libraries are mounted nosuid and nodev; volumes as they are.
        restricted: bool

    class Log(TypedDict):
        path: str
        size_bytes_max: int
        files_max: int

    class Resources(TypedDict):
        cpu_request_millis: int
        cpu_limit_millis: int
        memory_limit_bytes: int
        pids_max: int

    class Plan(TypedDict):
        id: str
        sandbox: str
        #: Directories for the overlay, the topmost first; `opaque` ones of theirs are hidden.
        layers: list[str]
        opaque: list[str]
        argv: list[str]
        env: dict[str, str]
        cwd: str
        #: `user[:group]` as in an image config; numbers need no entry in /etc/passwd.
        user: str
        groups: list[int]
        strict_groups: bool
        run_as_non_root: bool
        read_only: bool
        no_new_privileges: bool
        privileged: bool
        #: A bit for each capability number; a classic BPF program in hex, or "".
        capabilities: int
        seccomp: str
        mounts: list[BindMount]
        #: (path, c or b, major, minor); (path, target); (c, b or a, major, minor, access), -1 is any.
        nodes: list[tuple[str, str, int, int]]
        symlinks: list[tuple[str, str]]
        device_rules: list[tuple[str, int, int, str]]
        masked: list[str]
        read_only_paths: list[str]
        resources: Resources
        #: The sandbox's namespace files by kind (net, ipc, uts), without those shared with the host.
        namespaces: dict[str, str]
        host_pid: bool
        #: The container whose PID namespace it enters; "" for none.
        target: str
        log: Log
        termination_file: str
        stop_signal: int
        #: An input that clients may write to; it ends with the first of them; a terminal instead of pipes.
        stdin: bool
        stdin_once: bool
        tty: bool

    class State(TypedDict, total=False):
        """What is known of one container, as it lies on disk beside its plan."""

        id: str
        sandbox: str
        state: str
        pid: int
        #: Clock ticks since boot at which `pid` started: together they name a process.
        start_ticks: int
        pipes: list[int]
        exit_code: int
        reason: str
        message: str
        created_at_ms: int
        started_at_ms: int
        finished_at_ms: int
        log: Log
        stop_signal: int
        termination_file: str
        #: It is not alone in its PID namespace: what it leaves behind does not end with it.
        host_pid: bool
        #: Whom its processes run as, looked up once: (uid, gid, groups, home).
        user: tuple[int, int, list[int], str]
        stdin_once: bool
        tty: bool

else:
    BindMount = Log = Resources = Plan = State = dict
