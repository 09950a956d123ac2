"""All controllers, in the order in which they are asked. A new one is one file and one line here."""

from __future__ import annotations

from typing import Any

from actors.controllers import (
    bootstrap_tokens,
    cronjob,
    custom_resources,
    daemonset,
    deployment,
    disruption,
    endpoint_mirror,
    endpoint_slices,
    endpoints,
    garbage_collector,
    job_tally,
    namespace,
    replicaset,
    resource_quota,
    role_aggregation,
    statefulset,
    taint_eviction,
    volume_protection,
)
from actors.controllers.config import ControllersConfig
from actors.controllers.job import job
from actors.controllers.node_lifecycle import node_lifecycle
from actors.controllers.pod_gc import pod_gc
from actors.controllers.root_ca import root_ca
from actors.reconcile.controller import Controller


def all_controllers(config: ControllersConfig) -> tuple[Controller[Any], ...]:
    return (
        node_lifecycle(config),
        taint_eviction.reconcile,
        pod_gc(config),
        deployment.reconcile,
        replicaset.reconcile,
        replicaset.replication_controller,
        statefulset.reconcile,
        daemonset.reconcile,
        cronjob.reconcile,
        disruption.reconcile,
        job(config),
        job_tally.reconcile,
        endpoint_slices.reconcile,
        endpoints.reconcile,
        endpoints.forget,
        endpoint_mirror.reconcile,
        garbage_collector.reconcile,
        custom_resources.reconcile,
        namespace.reconcile,
        root_ca(config),
        bootstrap_tokens.reconcile,
        role_aggregation.reconcile,
        resource_quota.reconcile,
        volume_protection.protect_claim,
        volume_protection.protect_volume,
    )
