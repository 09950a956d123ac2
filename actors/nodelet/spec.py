"""From a pod's text to what the runtime is told: sandbox and container specs. Pure; ids are derived, never drawn."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.api.pod import Container, Pod, PodSecurityContext, SecurityContext
from actors.api.quantity import parse_bytes, parse_millis
from actors.nodelet.api import api_environment
from actors.nodelet.attempts import (
    BACKOFF_LABEL,
    CONTAINER_NAME_LABEL,
    IMAGE_LABEL,
    IMAGE_NAME_LABEL,
    MESSAGE_POLICY_LABEL,
    POD_NAME_LABEL,
    POD_NAMESPACE_LABEL,
    POD_UID_LABEL,
    derive_container_id,
    derive_sandbox_id,
)
from actors.nodelet.config import NodeletConfig
from actors.nodelet.configuration import ConfigMissing, ConfigView
from actors.nodelet.environment import Downward, derive_environment, expand_command
from actors.nodelet.facts import NodeFacts
from actors.nodelet.mounting import derive_mounts
from actors.nodelet.names import Names, derive_hosts, derive_names, derive_resolv_conf
from actors.nodelet.record import PodRecord, main_containers
from actors.nodelet.resize import RESOURCES_LABEL, format_size
from actors.nodelet.sysctls import derive_sysctls
from actors.plugins.device.port import DeviceEdits
from actors.plugins.image.port import Image
from actors.plugins.network.port import PortMapping
from actors.plugins.runtime.port import ContainerSpec, ContainerState, Resources, SandboxSpec, Security


class NodeView(msgspec.Struct, frozen=True):
    """What of the node goes into specs and statuses. `allocatable` counts as `quantity.parse_resource` does."""

    name: str
    config: NodeletConfig
    facts: NodeFacts
    allocatable: Mapping[str, int] = {}

    def downward(self, pod: Pod, pod_ips: tuple[str, ...]) -> Downward:
        return Downward(
            pod, node_name=self.name, host_ip=self.facts.address, pod_ips=pod_ips, allocatable=self.allocatable
        )


def derive_sandbox_spec(pod: Pod, attempt: int, node: NodeView) -> SandboxSpec:
    """Raises ConfigMissing for a host name that no kernel takes."""
    meta, spec = pod.metadata, pod.spec
    if spec.host_network:
        names = Names(node.facts.hostname or node.name)
    else:
        names = derive_names(pod, node.config.cluster_domain)
    return SandboxSpec(
        id=derive_sandbox_id(meta.uid, attempt),
        pod_name=meta.name,
        pod_namespace=meta.namespace,
        pod_uid=meta.uid,
        attempt=attempt,
        hostname=names.kernel,
        own_names=names.hosts,
        host_network=spec.host_network,
        host_pid=spec.host_pid,
        host_ipc=spec.host_ipc,
        resolv_conf=derive_resolv_conf(pod, node.facts.resolv_conf),
        etc_hosts=derive_hosts(pod),
        ports=() if spec.host_network else tuple(_host_ports(pod)),
        sysctls=derive_sysctls(pod),
        labels=dict(meta.labels or {}),
    )


def derive_container_spec(
    record: PodRecord, pod: Pod, container: Container, attempt: int, backoff_ms: int, node: NodeView
) -> ContainerSpec:
    """Everything it needs is in `record` by now. Raises ConfigMissing."""
    sandbox = record.ready_sandbox
    assert sandbox is not None, "a container is created in a sandbox that is ready"
    image = record.images[container.image]
    ips = (node.facts.address,) if pod.spec.host_network else sandbox.ips
    config = ConfigView(record.key.namespace, record.config or {})
    base = {**api_environment(node.facts.api, host_network=pod.spec.host_network), **node.config.api_env}
    env = derive_environment(container, config, node.downward(pod, ips), base)
    return ContainerSpec(
        id=derive_container_id(record.uid, container.name, attempt),
        sandbox_id=sandbox.spec.id,
        target_id=find_target_id(record, container),
        name=container.name,
        attempt=attempt,
        image=image.id,
        command=expand_command(container.command, env),
        args=expand_command(container.args, env),
        env=env,
        working_dir=container.working_dir,
        mounts=derive_mounts(pod, container, record.volumes or {}, env),
        devices=record.devices.get(container.name, DeviceEdits()),
        resources=derive_resources(container, node.config.pod_pids_max),
        security=derive_security(pod.spec.security_context, container.security_context),
        log_path=f"{node.facts.logs_dir}/{log_folder(pod)}/{container.name}/{attempt}.log",
        log_size_bytes_max=node.config.log_size_bytes_max,
        log_files_max=node.config.log_files_max,
        termination_message_path=container.termination_message_path,
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        labels=_labels(record, container, image, backoff_ms),
    )


def find_target_id(record: PodRecord, container: Container) -> str:
    """The container whose processes an ephemeral one is to see; "" for none. Raises ConfigMissing (as the kubelet's
    getTargetID) while that one does not run."""
    if not container.target_container_name:
        return ""
    attempts = record.attempts(container.target_container_name)
    if not attempts or attempts[-1].state is not ContainerState.RUNNING:
        raise ConfigMissing(f"unable to find target container {container.target_container_name}")
    return attempts[-1].spec.id


def derive_resources(container: Container, pids_max: int) -> Resources:
    """A limit without a request is the request, too."""
    limits, requests = container.resources.limits or {}, container.resources.requests or {}
    return Resources(
        cpu_request_millis=parse_millis(requests.get("cpu", limits.get("cpu", 0))),
        cpu_limit_millis=parse_millis(limits.get("cpu", 0)),
        memory_limit_bytes=parse_bytes(limits.get("memory", 0)),
        pids_max=pids_max,
    )


def derive_security(pod: PodSecurityContext | None, container: SecurityContext | None) -> Security:
    """The container's fields win over the pod's."""
    outer, inner = pod or PodSecurityContext(), container or SecurityContext()
    capabilities = inner.capabilities
    profile = inner.seccomp_profile or outer.seccomp_profile
    groups = (*(outer.supplemental_groups or ()), *(() if outer.fs_group is None else (outer.fs_group,)))
    return Security(
        uid=_first(inner.run_as_user, outer.run_as_user),
        gid=_first(inner.run_as_group, outer.run_as_group),
        groups=groups,
        strict_groups=outer.supplemental_groups_policy == "Strict",
        privileged=bool(inner.privileged),
        read_only_rootfs=bool(inner.read_only_root_filesystem),
        no_new_privileges=inner.allow_privilege_escalation is False,
        run_as_non_root=bool(outer.run_as_non_root if inner.run_as_non_root is None else inner.run_as_non_root),
        capabilities_add=_capabilities(capabilities.add if capabilities else None),
        capabilities_drop=_capabilities(capabilities.drop if capabilities else None),
        seccomp="Unconfined" if inner.privileged or (profile and profile.type == "Unconfined") else "RuntimeDefault",
    )


def log_folder(pod: Pod) -> str:
    return f"{pod.metadata.namespace}_{pod.metadata.name}_{pod.metadata.uid}"


def _capabilities(names: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(name.upper().removeprefix("CAP_") for name in names or ())


def _first(*values: int | None) -> int:
    return next((value for value in values if value is not None), -1)


def _host_ports(pod: Pod) -> list[PortMapping]:
    ports = (port for container in main_containers(pod) for port in container.ports or () if port.host_port)
    return [PortMapping(port.host_port, port.container_port, port.protocol, port.host_ip) for port in ports]


def _labels(record: PodRecord, container: Container, image: Image, backoff_ms: int) -> dict[str, str]:
    return {
        POD_UID_LABEL: record.uid,
        POD_NAME_LABEL: record.key.name,
        POD_NAMESPACE_LABEL: record.key.namespace,
        CONTAINER_NAME_LABEL: container.name,
        BACKOFF_LABEL: str(backoff_ms),
        MESSAGE_POLICY_LABEL: container.termination_message_policy,
        IMAGE_NAME_LABEL: container.image,
        RESOURCES_LABEL: format_size(container.resources),
        IMAGE_LABEL: image.digests[0] if image.digests else image.id,
    }
