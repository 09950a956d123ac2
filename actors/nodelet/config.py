"""Configuration of a nodelet: what it keeps for the system, its clocks, its plugins. Read once at its start."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.node_labels import forbidden_labels
from actors.nodelet.lifecycle import Backoff
from actors.nodelet.sysctls import unknown_patterns
from actors.plugins.device.config import DevicesConfig
from actors.plugins.image.config import ImagesConfig
from actors.plugins.network.config import NetworkConfig
from actors.plugins.registry import check_choices


class NodeletConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Zero for `cpu_millis` and `memory_bytes` means what the machine (or the nodelet's own cgroup) has.

    The `*_reserved` amounts are taken off what pods may use. `api_env` is added to every container's environment
    (`KUBERNETES_SERVICE_HOST`, ...). `plugins` chooses an implementation by name (see plugins.registry).
    """

    cpu_millis: int = 0
    memory_bytes: int = 0
    cpu_reserved_millis: int = 0
    memory_reserved_bytes: int = 0
    pods_max: int = 110
    pod_pids_max: int = 16_384
    #: Kernel parameters beyond the safe ones that pods may set: names, or prefixes that end in `*`.
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    labels: dict[str, str] = {}
    api_env: dict[str, str] = {}
    stream_port: int = 0

    lease_renew_ms: Millis = 2_000
    lease_duration_seconds: int = 40
    status_ms: Millis = 10_000
    relist_ms: Millis = 2_000
    config_refresh_ms: Millis = 60_000
    backoff: Backoff = Backoff()

    log_size_bytes_max: int = 10 << 20
    log_files_max: int = 5
    log_retention_hours: int = 7 * 24

    plugins: dict[str, str] = {}
    images: ImagesConfig = ImagesConfig()
    network: NetworkConfig = NetworkConfig()
    devices: DevicesConfig = DevicesConfig()

    def __post_init__(self) -> None:
        if self.lease_renew_ms * 3 > self.lease_duration_seconds * 1_000:
            raise ValueError("lease_duration_seconds: at least three times lease_renew_ms")
        check_choices(self.plugins)
        if not 1 <= self.pods_max <= 10_000:
            raise ValueError(f"pods_max {self.pods_max}: between 1 and 10000")
        if labels := forbidden_labels(self.labels):
            raise ValueError(f"labels: a node may not give itself {', '.join(labels)}: label it with kubectl")
        if patterns := unknown_patterns(self.allowed_unsafe_sysctls):
            raise ValueError(f"allowed_unsafe_sysctls: {', '.join(patterns)} not known to be namespaced")
        if self.log_retention_hours < 0:
            raise ValueError(f"log_retention_hours {self.log_retention_hours}: 0 or more")
