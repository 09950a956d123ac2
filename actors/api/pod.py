"""Lenses over Pod (core/v1): the fields that the scheduler, the nodelet and the controllers read.

Quantities stay text here; `quantity.parse_*` turns them into integers. Adding a field is one line.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.meta import Condition, Lens, Resource

GPU = "nvidia.com/gpu"
#: Devices that the scheduler chose for a pod: JSON, {container name: {resource: [device id, ...]}}.
DEVICES_ANNOTATION = "raypod.io/devices"


class ResourceRequirements(Lens, frozen=True):
    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class KeySelector(Lens, frozen=True):
    key: str
    name: str = ""
    optional: bool = False


class FieldSelector(Lens, frozen=True):
    field_path: str
    api_version: str = "v1"


class ResourceFieldSelector(Lens, frozen=True):
    resource: str
    container_name: str = ""
    divisor: str | int | float = "0"


class EnvVarSource(Lens, frozen=True):
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(Lens, frozen=True):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class LocalReference(Lens, frozen=True):
    name: str = ""
    optional: bool = False


class EnvFromSource(Lens, frozen=True):
    prefix: str = ""
    config_map_ref: LocalReference | None = None
    secret_ref: LocalReference | None = None


class VolumeMount(Lens, frozen=True):
    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str = ""
    mount_propagation: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""


class ContainerPort(Lens, frozen=True):
    container_port: int
    host_port: int = 0
    protocol: str = "TCP"
    name: str = ""
    host_ip: str = msgspec.field(name="hostIP", default="")


class Capabilities(Lens, frozen=True):
    add: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None


class SeccompProfile(Lens, frozen=True):
    type: str
    localhost_profile: str = ""


class SecurityContext(Lens, frozen=True):
    privileged: bool | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None


class Sysctl(Lens, frozen=True):
    name: str
    value: str = ""


class PodSecurityContext(Lens, frozen=True):
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] | None = None
    supplemental_groups_policy: str = ""
    sysctls: tuple[Sysctl, ...] | None = None
    fs_group: int | None = None
    seccomp_profile: SeccompProfile | None = None


class ResizePolicy(Lens, frozen=True):
    resource_name: str
    restart_policy: str = "NotRequired"


class Container(Lens, frozen=True):
    name: str
    image: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str = ""
    env: tuple[EnvVar, ...] | None = None
    env_from: tuple[EnvFromSource, ...] | None = None
    ports: tuple[ContainerPort, ...] | None = None
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ResizePolicy, ...] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    security_context: SecurityContext | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    restart_policy: str = ""
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    #: Of an ephemeral container: whose processes it is to see.
    target_container_name: str = ""


class Toleration(Lens, frozen=True):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class Volume(Lens, frozen=True):
    """`name` and one source; the source stays a dict that the storage port reads."""

    name: str
    host_path: dict[str, Any] | None = None
    empty_dir: dict[str, Any] | None = None
    config_map: dict[str, Any] | None = None
    secret: dict[str, Any] | None = None
    projected: dict[str, Any] | None = None
    downward_api: dict[str, Any] | None = msgspec.field(name="downwardAPI", default=None)
    persistent_volume_claim: dict[str, Any] | None = None


class ReadinessGate(Lens, frozen=True):
    condition_type: str = ""


class PodSpec(Lens, frozen=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    node_name: str = ""
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    affinity: dict[str, Any] | None = None
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    priority: int = 0
    priority_class_name: str = ""
    scheduler_name: str = "default-scheduler"
    scheduling_gates: tuple[LocalReference, ...] | None = None
    overhead: dict[str, str | int | float] | None = None
    host_network: bool = False
    host_pid: bool = msgspec.field(name="hostPID", default=False)
    host_ipc: bool = msgspec.field(name="hostIPC", default=False)
    hostname: str = ""
    subdomain: str = ""
    hostname_override: str = ""
    set_hostname_as_fqdn: bool = msgspec.field(name="setHostnameAsFQDN", default=False)
    dns_policy: str = "ClusterFirst"
    dns_config: dict[str, Any] | None = None
    host_aliases: tuple[dict[str, Any], ...] | None = None
    image_pull_secrets: tuple[LocalReference, ...] | None = None
    service_account_name: str = ""
    security_context: PodSecurityContext | None = None
    runtime_class_name: str | None = None
    readiness_gates: tuple[ReadinessGate, ...] | None = None


class StateRunning(Lens, frozen=True):
    started_at: str | None = None


class StateWaiting(Lens, frozen=True):
    reason: str = ""
    message: str = ""


class StateTerminated(Lens, frozen=True):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = msgspec.field(name="containerID", default="")


class ContainerState(Lens, frozen=True):
    waiting: StateWaiting | None = None
    running: StateRunning | None = None
    terminated: StateTerminated | None = None


class ContainerStatus(Lens, frozen=True):
    name: str
    container_id: str = msgspec.field(name="containerID", default="")
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    allocated_resources: dict[str, str | int | float] | None = None
    resources: ResourceRequirements | None = None
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodIp(Lens, frozen=True):
    ip: str = ""


class PodStatus(Lens, frozen=True):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    pod_ips: tuple[PodIp, ...] | None = msgspec.field(name="podIPs", default=None)
    host_ip: str = msgspec.field(name="hostIP", default="")
    start_time: str | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] | None = None
    nominated_node_name: str = ""


class Pod(Resource, frozen=True):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_finished(self) -> bool:
        """Succeeded or Failed: its resources are free again, its object stays."""
        return self.status.phase in ("Succeeded", "Failed")
