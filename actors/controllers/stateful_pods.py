"""Pods of a StatefulSet: each has an ordinal and a name of its own, and is of one version of the template."""

from __future__ import annotations

import re

from actors.api.codec import Object
from actors.api.pod import Pod
from actors.api.workloads import PodTemplate, StatefulSet
from actors.controllers.pods import new_pod
from actors.controllers.stateful_claims import template_name
from actors.controllers.template_history import REVISION_LABEL
from actors.reconcile.actions import Create

_NAME_LABEL, _INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-([0-9]+)")


def name_at(stateful: StatefulSet, ordinal: int) -> str:
    return f"{stateful.metadata.name}-{ordinal}"


def ordinal_of(stateful: StatefulSet, pod: Pod) -> int:
    """-1 where the name is none of the set's."""
    found = _ORDINAL.fullmatch(pod.metadata.name)
    return int(found[2]) if found and found[1] == stateful.metadata.name else -1


def first_ordinal(stateful: StatefulSet) -> int:
    return stateful.spec.ordinals.start if stateful.spec.ordinals else 0


def version_of(pod: Pod) -> str:
    """The name of its ControllerRevision."""
    return pod.metadata.label(REVISION_LABEL) or ""


def make_pod(stateful: StatefulSet, template: PodTemplate, version: str, ordinal: int) -> Create:
    name = name_at(stateful, ordinal)
    labels = {_NAME_LABEL: name, _INDEX_LABEL: str(ordinal), REVISION_LABEL: version}
    pod = new_pod(template, stateful, name, labels=labels)
    pod["spec"] = {**template.spec, "hostname": name, "volumes": _volumes(stateful, template, name)}
    if stateful.spec.service_name:
        pod["spec"]["subdomain"] = stateful.spec.service_name
    return Create(resource="pods", namespace=stateful.metadata.namespace, object=pod)


def _volumes(stateful: StatefulSet, template: PodTemplate, name: str) -> list[Object]:
    """A claim's volume stands in place of one of the template that has its name."""
    names = [template_name(claim) for claim in stateful.spec.volume_claim_templates or ()]
    own = [{"name": each, "persistentVolumeClaim": {"claimName": f"{each}-{name}"}} for each in names]
    return own + [volume for volume in template.spec.get("volumes") or () if volume.get("name") not in names]
