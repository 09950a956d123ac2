"""Kinds that make pods: Deployment, StatefulSet, DaemonSet, Job and others (pkg/apis/{apps,batch}/v1/defaults.go)."""

from __future__ import annotations

from actors.api.codec import Object
from actors.api.defaulting.parts import dicts, fill, section
from actors.api.defaulting.pods import default_pod_spec

#: An Indexed Job that counts failures by index has no limit for all of them.
_ALWAYS_AGAIN = 2**31 - 1


def default_template(spec: Object) -> Object:
    template = section(spec, "template")
    section(template, "metadata")
    default_pod_spec(section(template, "spec"))
    return template


def default_deployment(deployment: Object) -> None:
    spec = section(deployment, "spec")
    strategy = section(spec, "strategy")
    if strategy.get("type") == "RollingUpdate":
        fill(section(strategy, "rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})
    default_template(spec)


def default_replica_set(replica_set: Object) -> None:
    default_template(section(replica_set, "spec"))


def default_job(job: Object) -> None:
    spec = section(job, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        fill(spec, {"completions": 1})
    replaced = "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed"
    retries = _ALWAYS_AGAIN if spec.get("backoffLimitPerIndex") is not None else 6
    fill(spec, {"parallelism": 1, "podReplacementPolicy": replaced, "backoffLimit": retries})
    template = default_template(spec)
    uid = (job.get("metadata") or {}).get("uid")
    if uid and not spec.get("manualSelector") and spec.get("selector") is None:
        name = job["metadata"].get("name", "")
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = section(template["metadata"], "labels")
        for prefix in ("batch.kubernetes.io/", ""):
            labels[f"{prefix}controller-uid"] = uid
            labels[f"{prefix}job-name"] = name
    worn, metadata = section(template, "metadata").get("labels"), section(job, "metadata")
    if isinstance(worn, dict) and worn and not metadata.get("labels"):
        metadata["labels"] = dict(worn)


def default_stateful_set(stateful_set: Object) -> None:
    spec = section(stateful_set, "spec")
    strategy = section(spec, "updateStrategy")
    if strategy.get("type") == "RollingUpdate":
        fill(section(strategy, "rollingUpdate"), {"partition": 0})
    for claim in dicts(spec.get("volumeClaimTemplates")):
        fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        fill(section(claim, "spec"), {"volumeMode": "Filesystem"})
        fill(section(claim, "status"), {"phase": "Pending"})
    default_template(spec)


def default_daemon_set(daemon_set: Object) -> None:
    spec = section(daemon_set, "spec")
    strategy = section(spec, "updateStrategy")
    if strategy.get("type") == "RollingUpdate":
        fill(section(strategy, "rollingUpdate"), {"maxUnavailable": 1, "maxSurge": 0})
    default_template(spec)


def default_replication_controller(controller: Object) -> None:
    """The template's labels are its own and its selector's, where it has none."""
    spec = section(controller, "spec")
    labels = section(default_template(spec), "metadata").get("labels")
    if isinstance(labels, dict) and labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = section(controller, "metadata")
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)


def default_cron_job(job: Object) -> None:
    """The Job within is defaulted when it is made; only its pods are already here."""
    default_template(section(section(section(job, "spec"), "jobTemplate"), "spec"))


def default_pod_template(template: Object) -> None:
    default_template(template)
