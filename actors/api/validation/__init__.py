"""What is refused, every bad field at once, in Kubernetes' words (pkg/apis/*/validation, apimachinery validation).

`validate` answers causes; `check` raises them as one Invalid. One small validator per kind; the table at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from actors.api.codec import Object
from actors.api.conform import conforms
from actors.api.errors import Cause, Invalid
from actors.api.kinds import Kind, kind_for
from actors.api.schema import check_object
from actors.api.validation import kinds, workloads
from actors.api.validation.causes import Causes
from actors.api.validation.certificates import validate_signing_request
from actors.api.validation.events import validate_event
from actors.api.validation.job_status import validate_job_status
from actors.api.validation.jobs import validate_cron_job, validate_job
from actors.api.validation.limits import validate_limit_range, validate_resource_quota
from actors.api.validation.metadata import validate_metadata
from actors.api.validation.networking import validate_ingress, validate_ip_address, validate_range
from actors.api.validation.objects import validate_files, validate_node
from actors.api.validation.pod import validate_pod
from actors.api.validation.pod_changes import validate_ephemeral_update, validate_pod_update, validate_resize
from actors.api.validation.rbac import validate_binding, validate_role
from actors.api.validation.relations import JUDGE
from actors.api.validation.rules import unchanged
from actors.api.validation.services import validate_service
from actors.api.validation.storage import validate_claim, validate_volume
from actors.api.validation.webhooks import validate_webhooks
from actors.api.validation.workloads import validate_deployment, validate_replicated

Validator = Callable[[Object, Object | None], Causes]
#: Nobody reads more, and each takes its time to find and to tell.
CAUSES_MAX = 1000
_MORE = Cause("", f"there are more: only the first {CAUSES_MAX} are told", "FieldValueTooMany")


def validate(obj: Object, old: Object | None = None, subresource: str = "") -> list[Cause]:
    """Every bad field of a defaulted object, up to CAUSES_MAX; `old` is what it replaces, by way of `subresource`."""
    causes = list(islice(_find(obj, old, subresource), CAUSES_MAX + 1))
    return causes if len(causes) <= CAUSES_MAX else [*causes[:CAUSES_MAX], _MORE]


def _find(obj: Object, old: Object | None, subresource: str) -> Causes:
    yield from validate_metadata(obj)
    name = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if old is not None and (change := _OF_SUBRESOURCE.get((*name, subresource))) is not None:
        yield from change(obj, old)
        return
    if name not in _BY_HAND:
        yield from JUDGE.whole(obj)
    validator = _BY_HAND.get(name) or _BESIDE_RULES.get(name)
    if validator is not None:
        yield from validator(obj, old)
    if old is not None:
        yield from unchanged(obj, old)


def typed(obj: Object, old: Object | None = None) -> Object:
    """The object without fields that its kind does not have, or that hold nothing. Raises Invalid for values of the
    wrong type.

    Everything else here may rely on the types: a patch can make anything of an object.
    """
    if old is None and conforms(obj, obj.get("apiVersion", ""), obj.get("kind", "")):
        return obj
    checked = check_object(obj, obj.get("apiVersion", ""), obj.get("kind", ""), old, compact=True)
    if checked.problems:
        raise invalid(obj, checked.problems)
    return checked.object


def check(obj: Object, old: Object | None = None) -> None:
    """Raises Invalid with all causes."""
    causes = validate(obj, old)
    if causes:
        raise invalid(obj, causes)


def invalid(obj: Object, causes: Sequence[Cause]) -> Invalid:
    """`Pod "x" is invalid: [spec.a: Required value, spec.b: Invalid value: ...]`."""
    kind: Kind | None = kind_for(obj.get("apiVersion", ""), obj.get("kind", ""))
    name = str((obj.get("metadata") or {}).get("name", ""))
    sentences = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    listed = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    shown = kind.kind if kind else str(obj.get("kind", ""))
    group = kind.group if kind else str(obj.get("apiVersion", "")).rpartition("/")[0]
    qualified = f"{shown}.{group}" if group else shown
    return Invalid(f'{qualified} "{name}" is invalid: {listed}', name=name, group=group, kind=shown, causes=causes)


#: Ways in that have rules of their own.
_OF_SUBRESOURCE: dict[tuple[str, str, str], Callable[[Object, Object], Causes]] = {
    ("batch/v1", "Job", "status"): validate_job_status,
    ("v1", "Pod", "ephemeralcontainers"): validate_ephemeral_update,
    ("v1", "Pod", "resize"): validate_resize,
}


def _policy(obj: Object, old: Object | None) -> Causes:
    """Imported late: the language of policies knows formats of names from here."""
    from actors.api.policies.check import validate_policy

    return validate_policy(obj, old)


def _policy_binding(obj: Object, old: Object | None) -> Causes:
    from actors.api.policies.check import validate_binding

    return validate_binding(obj, old)


_RBAC = "rbac.authorization.k8s.io/v1"
#: The kinds that are written most, and roles: judged without a walk along their schema.
_BY_HAND: dict[tuple[str, str], Validator] = {
    ("v1", "Pod"): lambda pod, old: validate_pod(pod) if old is None else validate_pod_update(pod, old),
    ("v1", "ConfigMap"): validate_files,
    ("v1", "Secret"): validate_files,
    ("v1", "Node"): validate_node,
    ("apps/v1", "Deployment"): validate_deployment,
    ("apps/v1", "ReplicaSet"): validate_replicated,
    ("batch/v1", "Job"): validate_job,
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): validate_signing_request,
    (_RBAC, "Role"): validate_role,
    (_RBAC, "ClusterRole"): validate_role,
    (_RBAC, "RoleBinding"): validate_binding,
    (_RBAC, "ClusterRoleBinding"): validate_binding,
}
_ADMISSION = "admissionregistration.k8s.io/v1"
_BESIDE_RULES: dict[tuple[str, str], Validator] = {
    (_ADMISSION, "MutatingWebhookConfiguration"): validate_webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): validate_webhooks,
    ("v1", "Event"): validate_event,
    ("networking.k8s.io/v1", "Ingress"): validate_ingress,
    ("networking.k8s.io/v1", "IPAddress"): validate_ip_address,
    ("networking.k8s.io/v1", "ServiceCIDR"): validate_range,
    (_ADMISSION, "ValidatingAdmissionPolicy"): _policy,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): _policy_binding,
    (_ADMISSION, "MutatingAdmissionPolicy"): _policy,
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): _policy_binding,
    ("v1", "LimitRange"): validate_limit_range,
    ("v1", "ResourceQuota"): validate_resource_quota,
    ("v1", "PersistentVolume"): validate_volume,
    ("v1", "PersistentVolumeClaim"): validate_claim,
    ("v1", "PodTemplate"): workloads.validate_pod_template,
    ("v1", "ReplicationController"): workloads.validate_replication_controller,
    ("v1", "Service"): validate_service,
    ("apps/v1", "DaemonSet"): workloads.validate_daemon_set,
    ("apps/v1", "StatefulSet"): workloads.validate_stateful_set,
    ("batch/v1", "CronJob"): validate_cron_job,
    ("apiregistration.k8s.io/v1", "APIService"): kinds.validate_api_service,
    ("scheduling.k8s.io/v1", "PriorityClass"): kinds.validate_priority_class,
}
