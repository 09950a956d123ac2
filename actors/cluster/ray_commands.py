"""The command lines of Ray's own two processes, GCS and raylet, for the embedded head. Pure.

`ray start` takes 3 to 7 s and adds a dashboard, an autoscaler monitor, a client server, a log monitor and two
agents (another 300 MB); these two processes alone are up in 0.15 s. The arguments are those of
ray/_private/services.py in the one Ray version that pyproject.toml pins.
"""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

SESSION = "session"
#: Ports that the raylet reads from files which its agents would write; no agents, so none.
AGENT_PORT_FILES = (
    "dashboard_agent_listen_port",
    "metrics_agent_port",
    "metrics_export_port",
    "runtime_env_agent_port",
)
#: The raylet insists on two agent processes and dies with them; these do nothing, for ever.
_NO_AGENT = "/bin/sleep infinity"


class RaySession(msgspec.Struct, frozen=True, kw_only=True):
    """Constant over the life of one embedded Ray cluster. `package` is the folder of the ray package."""

    package: Path
    commit: str
    folder: Path
    node_ip: str
    port: int
    token: Path
    project: Path

    @property
    def session(self) -> Path:
        return self.folder / SESSION

    @property
    def logs(self) -> Path:
        return self.session / "logs"

    @property
    def raylet_socket(self) -> Path:
        return self.session / "sockets" / "raylet"

    @property
    def plasma_socket(self) -> Path:
        return self.session / "sockets" / "plasma_store"

    @property
    def zygote_socket(self) -> Path:
        return self.session / "sockets" / "zygote"

    @property
    def gcs_storage(self) -> Path:
        return self.folder / "gcs"

    @property
    def address(self) -> str:
        return f"{self.node_ip}:{self.port}"


def plan_environment(
    session: RaySession, inherited: Mapping[str, str], *, period_ms: int, timeout_ms: int, threshold: int
) -> dict[str, str]:
    """The environment of all Ray processes and drivers: the user's without Python's and Ray's variables, plus ours.

    Nothing of the user's can shadow the package `actors`: no PYTHONPATH but the project, no current directory.
    """
    kept = {k: v for k, v in inherited.items() if not k.startswith(("RAY_", "PYTHON")) and k != "LD_PRELOAD"}
    return kept | {
        "PYTHONPATH": str(session.project),
        "PYTHONSAFEPATH": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(session.token),
        "RAY_ADDRESS": session.address,
        "RAYPOD_ZYGOTE": str(session.zygote_socket),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1" if session.node_ip != "127.0.0.1" else "0",  # keep loopback as it is
        "MALLOC_ARENA_MAX": "2",  # a worker has 25 threads, and each would get 64 MiB of its own to fragment
        "OPENBLAS_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_LD_PRELOAD_ON_WORKERS": "0",
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(session.gcs_storage),
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
        "RAY_health_check_period_ms": str(period_ms),
        "RAY_health_check_timeout_ms": str(timeout_ms),
        "RAY_health_check_failure_threshold": str(threshold),
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_timeout_ms_task_wait_for_death_info": "100",
        "RAY_worker_niceness": "0",
    }


def plan_gcs(session: RaySession, node_id: str) -> list[str]:
    """gcs_server. Restarted with the same port and storage it remembers nodes and actors."""
    return [
        str(session.package / "core/src/ray/gcs/gcs_server"),
        f"--log_dir={session.logs}",
        f"--config_list={base64.b64encode(json.dumps(_system_config(session)).encode()).decode()}",
        f"--gcs_server_port={session.port}",
        "--metrics-agent-port=0",
        f"--node-ip-address={session.node_ip}",
        f"--session-name={SESSION}",
        f"--ray-commit={session.commit}",
        f"--session-dir={session.session}",
        f"--node-id={node_id}",
        f"--stdout_filepath={session.logs / 'gcs_server.out'}",
        f"--stderr_filepath={session.logs / 'gcs_server.err'}",
    ]


def plan_zygote(session: RaySession) -> list[str]:
    """The process that forks the workers."""
    return [sys.executable, "-P", "-m", "actors.cluster.zygote", str(session.zygote_socket)]


def plan_raylet(
    session: RaySession,
    *,
    node_id: str,
    cluster_id: str,
    resources: Mapping[str, float],
    labels: Mapping[str, str],
) -> list[str]:
    """raylet. A dead raylet's node id is dead for good: every incarnation needs a new one."""
    resource_list = ",".join(f"{name},{amount}" for name, amount in _node_resources(session, resources).items())
    return [
        str(session.package / "core/src/ray/raylet/raylet"),
        f"--raylet_socket_name={session.raylet_socket}",
        f"--store_socket_name={session.plasma_socket}",
        "--object_manager_port=0",
        "--min_worker_port=0",
        "--max_worker_port=0",
        "--node_manager_port=0",
        f"--node_id={node_id}",
        f"--node_ip_address={session.node_ip}",
        "--maximum_startup_concurrency=8",
        f"--static_resource_list={resource_list}",
        f"--python_worker_command={shlex.join(_worker(session, cluster_id))}",
        "--java_worker_command=",
        "--cpp_worker_command=",
        "--native_library_path=",
        f"--temp_dir={session.folder}",
        f"--session_dir={session.session}",
        f"--log_dir={session.logs}",
        f"--resource_dir={session.session / 'runtime_resources'}",
        "--metrics-agent-port=0",
        "--metrics_export_port=0",
        "--runtime_env_agent_port=0",
        f"--object_store_memory={int(resources['object_store_memory'])}",
        "--plasma_directory=/dev/shm",
        f"--fallback_directory={session.session}",
        "--ray-debugger-external=0",
        f"--gcs-address={session.address}",
        f"--session-name={SESSION}",
        f"--labels={json.dumps(dict(labels))}",
        f"--cluster-id={cluster_id}",
        f"--stdout_filepath={session.logs / 'raylet.out'}",
        f"--stderr_filepath={session.logs / 'raylet.err'}",
        "--head",
        "--num_prestart_python_workers=0",
        f"--dashboard_agent_command={_NO_AGENT}",
        f"--runtime_env_agent_command={_NO_AGENT}",
        f"--node-name={labels.get('raypod.io/node', session.node_ip)}",
    ]


def _system_config(session: RaySession) -> dict[str, object]:
    """What every node that joins asks the GCS for: where objects go that do not fit into shared memory."""
    spilling = {"type": "filesystem", "params": {"directory_path": [str(session.session)]}}
    return {
        "automatic_object_spilling_enabled": True,
        "object_spilling_config": json.dumps(spilling),
        "is_external_storage_type_fs": True,
    }


def _node_resources(session: RaySession, resources: Mapping[str, float]) -> dict[str, float]:
    return {f"node:{session.node_ip}": 1, "node:__internal_head__": 1, **resources}


def _worker(session: RaySession, cluster_id: str) -> list[str]:
    """Words in capitals are filled in by the raylet."""
    return [
        sys.executable,
        "-S",
        "-P",
        str(session.project / "actors" / "cluster" / "worker.py"),
        str(session.package / "_private/workers/default_worker.py"),
        f"--node-ip-address={session.node_ip}",
        "--node-manager-port=RAY_NODE_MANAGER_PORT_PLACEHOLDER",
        f"--object-store-name={session.plasma_socket}",
        f"--raylet-name={session.raylet_socket}",
        "--redis-address=None",
        "--metrics-agent-port=0",
        "--logging-rotate-bytes=16777216",
        "--logging-rotate-backup-count=2",
        "--runtime-env-agent-port=0",
        f"--gcs-address={session.address}",
        f"--session-name={SESSION}",
        f"--temp-dir={session.folder}",
        "--webui=",
        f"--cluster-id={cluster_id}",
        "RAY_WORKER_DYNAMIC_OPTION_PLACEHOLDER",
    ]
