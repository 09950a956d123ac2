"""The admission plugins that there are, in the order in which they are asked, and which of them are on.

As with kube-apiserver's --enable-admission-plugins and --disable-admission-plugins: those of `DEFAULTS` are on unless
they are disabled, the others when they are enabled. A plugin is one file and a line here.
"""

from __future__ import annotations

import msgspec

from actors.store.admission.plugin import Plugins
from actors.store.admission.plugins.always_pull_images import AlwaysPullImages
from actors.store.admission.plugins.default_class import DefaultIngressClass, DefaultStorageClass
from actors.store.admission.plugins.default_toleration_seconds import DefaultTolerationSeconds
from actors.store.admission.plugins.deny_service_external_ips import DenyServiceExternalIPs
from actors.store.admission.plugins.extended_resource_toleration import ExtendedResourceToleration
from actors.store.admission.plugins.limit_ranger import LimitRanger
from actors.store.admission.plugins.namespace_lifecycle import NamespaceLifecycle
from actors.store.admission.plugins.node_restriction import NodeRestriction
from actors.store.admission.plugins.persistent_volume_claim_resize import PersistentVolumeClaimResize
from actors.store.admission.plugins.pod_node_selector import PodNodeSelector
from actors.store.admission.plugins.pod_security import PodSecurity
from actors.store.admission.plugins.pod_topology_labels import PodTopologyLabels
from actors.store.admission.plugins.priority import Priority
from actors.store.admission.plugins.resource_quota import ResourceQuota
from actors.store.admission.plugins.runtime_class import RuntimeClass
from actors.store.admission.plugins.service_account import ServiceAccount
from actors.store.admission.plugins.storage_object_in_use_protection import StorageObjectInUseProtection
from actors.store.admission.plugins.taint_nodes_by_condition import TaintNodesByCondition

AnyPlugin = (
    NamespaceLifecycle
    | LimitRanger
    | ServiceAccount
    | NodeRestriction
    | TaintNodesByCondition
    | AlwaysPullImages
    | PodSecurity
    | PodNodeSelector
    | Priority
    | DefaultTolerationSeconds
    | ExtendedResourceToleration
    | DefaultStorageClass
    | StorageObjectInUseProtection
    | PersistentVolumeClaimResize
    | RuntimeClass
    | DefaultIngressClass
    | PodTopologyLabels
    | DenyServiceExternalIPs
    | ResourceQuota
)

#: In kube-apiserver's order (pkg/kubeapiserver/options/plugins.go).
ALL: tuple[AnyPlugin, ...] = (
    NamespaceLifecycle(),
    LimitRanger(),
    ServiceAccount(),
    NodeRestriction(),
    TaintNodesByCondition(),
    AlwaysPullImages(),
    PodSecurity(),
    PodNodeSelector(),
    Priority(),
    DefaultTolerationSeconds(),
    ExtendedResourceToleration(),
    DefaultStorageClass(),
    StorageObjectInUseProtection(),
    PersistentVolumeClaimResize(),
    RuntimeClass(),
    DefaultIngressClass(),
    PodTopologyLabels(),
    DenyServiceExternalIPs(),
    ResourceQuota(),
)
#: Only on where they are asked for.
_OPTIONAL = frozenset({"AlwaysPullImages", "DenyServiceExternalIPs", "ExtendedResourceToleration", "PodNodeSelector"})
NAMES: tuple[str, ...] = tuple(type(plugin).__name__ for plugin in ALL)
DEFAULTS = frozenset(NAMES) - _OPTIONAL


class AdmissionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`enable` and `disable` name plugins; `plugins` configures single ones: `{plugin: Priority, ...}`."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    plugins: tuple[AnyPlugin, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.enable, *self.disable):
            if name not in NAMES:
                raise ValueError(f"{name!r} is no admission plugin: there are {', '.join(NAMES)}")

    def chain(self) -> Plugins:
        """Those that are on, in order. What is configured is not on for that."""
        own = {type(plugin): plugin for plugin in self.plugins}
        on = (DEFAULTS | set(self.enable)) - set(self.disable)
        return Plugins([own.get(type(plugin), plugin) for plugin in ALL if type(plugin).__name__ in on])
