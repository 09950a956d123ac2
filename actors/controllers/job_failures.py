"""`spec.podFailurePolicy`: what the failure of a pod means for its Job (KEP-3329). The first rule that fits decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from actors.api.pod import ContainerStatus, Pod
from actors.api.workloads import ExitCodes, Job, PodFailureRule
from actors.reconcile.conditions import find_condition

FAIL_JOB, FAIL_INDEX, IGNORE = "FailJob", "FailIndex", "Ignore"


def action_for(job: Job, pod: Pod) -> str:
    """Of a pod that has failed; "" when no rule fits, which counts."""
    return next((rule.action for _, rule, _ in _fitting(job, pod)), "")


def why_failed(job: Job, pods: Sequence[Pod]) -> str:
    """Why the Job is to fail because of one of `pods`; "" when none of them asks for it."""
    for pod in pods:
        first = next(_fitting(job, pod), None)
        if first is not None and first[1].action == FAIL_JOB:
            return f"{first[2]} matching FailJob rule at index {first[0]}"
    return ""


def _fitting(job: Job, pod: Pod) -> Iterator[tuple[int, PodFailureRule, str]]:
    """Index, rule and how it fits."""
    if job.spec.pod_failure_policy is None or pod.status.phase != "Failed":
        return
    for index, rule in enumerate(job.spec.pod_failure_policy.rules):
        said = _by_code(rule.on_exit_codes, pod) if rule.on_exit_codes else _by_condition(rule, pod)
        if said:
            yield index, rule, said


def _by_code(wanted: ExitCodes, pod: Pod) -> str:
    for status in _statuses(pod):
        ended = status.state.terminated
        if ended is None or ended.exit_code == 0 or wanted.container_name not in (None, "", status.name):
            continue
        if (ended.exit_code in wanted.values) == (wanted.operator == "In"):
            code = ended.exit_code
            return f"Container {status.name} for pod {_name(pod)} failed with exit code {code}"
    return ""


def _statuses(pod: Pod) -> Iterable[ContainerStatus]:
    return (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ()))


def _by_condition(rule: PodFailureRule, pod: Pod) -> str:
    for pattern in rule.on_pod_conditions or ():
        known = find_condition(pod.status.conditions, pattern.type)
        if known is not None and known.status == pattern.status:
            return f"Pod {_name(pod)} has condition {pattern.type}"
    return ""


def _name(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
