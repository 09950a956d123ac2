"""What Kubernetes fills in when a user leaves a field out (pkg/apis/*/v1/defaults.go and the admission plugins).

Constants are data (defaults.json); what depends on something is a small function per kind. `default` works on a copy
and is idempotent: defaulting twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.api.codec import Object
from actors.api.crd.definition import default_definition
from actors.api.defaulting import kinds, workloads
from actors.api.defaulting.parts import copied, fill_constants, has_constants
from actors.api.defaulting.pods import default_pod, default_pod_spec, default_pull_policy, qos_class

__all__ = ["default", "default_pod_spec", "default_pull_policy", "qos_class"]

Defaulter = Callable[[Object], None]


def default(obj: Object) -> Object:
    """The object with every default filled in. A Job gets its generated selector once it has a uid."""
    name = (obj.get("apiVersion", ""), obj.get("kind", ""))
    defaulter = _DEFAULTERS.get(name)
    if defaulter is None and not has_constants(*name):
        return obj
    whole: Object = copied(obj)
    fill_constants(whole, *name)
    if defaulter is not None:
        defaulter(whole)
    return whole


_DEFAULTERS: dict[tuple[str, str], Defaulter] = {
    ("v1", "Pod"): default_pod,
    ("v1", "Namespace"): kinds.default_namespace,
    ("v1", "Secret"): kinds.default_secret,
    ("v1", "Service"): kinds.default_service,
    ("v1", "LimitRange"): kinds.default_limit_range,
    ("v1", "PodTemplate"): workloads.default_pod_template,
    ("v1", "ReplicationController"): workloads.default_replication_controller,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): default_definition,
    ("apps/v1", "Deployment"): workloads.default_deployment,
    ("apps/v1", "ReplicaSet"): workloads.default_replica_set,
    ("apps/v1", "StatefulSet"): workloads.default_stateful_set,
    ("apps/v1", "DaemonSet"): workloads.default_daemon_set,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): kinds.default_autoscaler,
    ("batch/v1", "Job"): workloads.default_job,
    ("batch/v1", "CronJob"): workloads.default_cron_job,
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): kinds.default_priority_level,
    ("networking.k8s.io/v1", "NetworkPolicy"): kinds.default_network_policy,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): kinds.default_role_binding,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): kinds.default_role_binding,
    ("resource.k8s.io/v1", "ResourceClaim"): kinds.default_resource_claim,
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): kinds.default_resource_claim_template,
}
