"""Jobs and CronJobs (pkg/apis/batch/validation)."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import (
    Causes,
    amiss,
    dicts_of,
    duplicate,
    forbidden,
    is_int,
    required,
    too_long,
    too_many,
    unsupported,
    wrong,
)
from actors.api.validation.indexes import count_indexes
from actors.api.validation.metadata import validate_label, validate_labels, validate_qualified
from actors.api.validation.pod import validate_pod_spec
from actors.api.validation.relations import JUDGE

#: maxParallelismForIndexedJob and its like in pkg/apis/batch/validation.
INDEXED_PODS_MAX = 100_000
_MANY_COMPLETIONS, _PARALLEL_OF_MANY_MAX, _FAILED_OF_MANY_MAX = 100_000, 10_000, 10_000
_RULES_MAX = 20
_VALUES_MAX = 255
_MANAGER_CHARS_MAX = 63
#: So that the jobs' names, with a time behind, are names.
_CRON_JOB_NAME_CHARS_MAX = 52
_PREFIXES = ("batch.kubernetes.io/", "")
_IMMUTABLE = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
#: Of a template, what a suspended Job may still be told, beside node affinity and its containers' resources.
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates")


def validate_job(job: Object, old: Object | None) -> Causes:
    spec: Object = job.get("spec") or {}
    yield from _selector(job, spec)
    yield from validate_job_spec(spec, "spec")
    count, name = spec.get("completions") or 0, str(job["metadata"].get("name", ""))
    if old is None and spec.get("completionMode") == "Indexed" and count > 0:
        host = f"{name}-{count - 1}"
        if any(True for _ in validate_label("", host)):
            yield wrong("metadata.name", name, f"will not able to create pod with invalid DNS label: {host}")
    if old is not None:
        yield from _changes(spec, old.get("spec") or {}, old)


def _selector(job: Object, spec: Object) -> Causes:
    """Its own, made from its uid, unless it says `manualSelector`; it selects the pods that the Job makes."""
    selector, metadata = spec.get("selector"), job["metadata"]
    uid, name = str(metadata.get("uid", "")), metadata.get("name")
    if selector is None:
        if uid:
            yield required("spec.selector")
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        yield wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    known = (("controller-uid", uid), ("job-name", name))
    own = {f"{prefix}{key}": value for prefix in _PREFIXES for key, value in known}
    if uid and not spec.get("manualSelector") and any(own.get(key) != value for key, value in wanted.items()):
        yield wrong("spec.selector", selector, "`selector` not auto-generated")


def validate_job_spec(spec: Object, path: str) -> Causes:
    """Of a Job or of a CronJob's template."""
    yield from JUDGE.part(spec, "batch.v1.JobSpec", path)
    yield from _indexes(spec, path)
    if spec.get("managedBy"):
        yield from _manager(str(spec["managedBy"]), f"{path}.managedBy")
    template: Object = spec.get("template") or {}
    policy, replacement = spec.get("podFailurePolicy"), spec.get("podReplacementPolicy")
    if policy is not None:
        yield from _failure_policy(spec, policy, f"{path}.podFailurePolicy.rules")
        if replacement not in (None, "Failed"):
            yield unsupported(f"{path}.podReplacementPolicy", replacement, ("Failed",))
    if spec.get("successPolicy") is not None:
        yield from _success_policy(spec, spec["successPolicy"], f"{path}.successPolicy")
    yield from validate_labels((template.get("metadata") or {}).get("labels"), f"{path}.template.metadata.labels")
    pod: Object = template.get("spec") or {}
    yield from validate_pod_spec(pod, f"{path}.template.spec", ("Always", "Never", "OnFailure"), is_template=True)
    at, restart = f"{path}.template.spec.restartPolicy", pod.get("restartPolicy")
    if restart == "Always":
        yield required(at, 'valid values: "OnFailure", "Never"')
    elif policy is not None and restart == "OnFailure":
        yield wrong(at, restart, 'only "Never" is supported when podFailurePolicy is specified')


def _manager(name: str, path: str) -> Causes:
    if "/" not in name:
        yield wrong(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from validate_qualified(path, name)
    if len(name) > _MANAGER_CHARS_MAX:
        yield too_long(path, _MANAGER_CHARS_MAX)


def _indexes(spec: Object, path: str) -> Causes:
    per_index, failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    count, parallel = spec.get("completions"), spec.get("parallelism") or 0
    if failed is not None and per_index is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.get("completionMode") != "Indexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                yield wrong(f"{path}.{name}", spec[name], "requires indexed completion mode")
        if spec.get("successPolicy") is not None:
            yield wrong(f"{path}.successPolicy", spec["successPolicy"], "requires indexed completion mode")
        return
    if count is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if parallel > INDEXED_PODS_MAX:
        told = f"must be less than or equal to {INDEXED_PODS_MAX} when completion mode is Indexed"
        yield wrong(f"{path}.parallelism", parallel, told)
    if failed is not None and count is not None and failed > count:
        yield wrong(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > INDEXED_PODS_MAX:
        yield wrong(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {INDEXED_PODS_MAX}")
    if is_int(count, _MANY_COMPLETIONS + 1) and per_index is not None:
        when = f"when completions are above {_MANY_COMPLETIONS} and used with backoff limit per index"
        if failed is None:
            yield required(
                f"{path}.maxFailedIndexes", f"must be specified when completions is above {_MANY_COMPLETIONS}"
            )
        if parallel > _PARALLEL_OF_MANY_MAX:
            told = f"must be less than or equal to {_PARALLEL_OF_MANY_MAX} {when}"
            yield wrong(f"{path}.parallelism", parallel, told)
        if failed is not None and failed > _FAILED_OF_MANY_MAX:
            told = f"must be less than or equal to {_FAILED_OF_MANY_MAX} {when}"
            yield wrong(f"{path}.maxFailedIndexes", failed, told)


def _failure_policy(spec: Object, policy: Object, path: str) -> Causes:
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for kind in ("containers", "initContainers") for c in dicts_of(pod.get(kind))}
    rules = dicts_of(policy.get("rules"))
    if len(rules) > _RULES_MAX:
        yield too_many(path, len(rules), _RULES_MAX)
    for i, rule in enumerate(rules):
        at, codes, conditions = f"{path}[{i}]", rule.get("onExitCodes"), dicts_of(rule.get("onPodConditions"))
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield wrong(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
        if codes is not None and conditions:
            yield amiss(at, "specifying both OnExitCodes and OnPodConditions is not supported")
        elif codes is None and not conditions:
            yield amiss(at, "specifying one of OnExitCodes and OnPodConditions is required")
        if codes is not None:
            yield from _exit_codes(codes, names, f"{at}.onExitCodes")
        if len(conditions) > _RULES_MAX:
            yield too_many(f"{at}.onPodConditions", len(conditions), _RULES_MAX)


def _exit_codes(codes: Object, names: set[Any], path: str) -> Causes:
    container, values = codes.get("containerName"), codes.get("values") or []
    if container is not None and container not in names:
        told = "must be one of the container or initContainer names in the pod template"
        yield wrong(f"{path}.containerName", container, told)
    if not values:
        yield wrong(f"{path}.values", values, "at least one value is required")
    elif len(values) > _VALUES_MAX:
        yield too_many(f"{path}.values", len(values), _VALUES_MAX)
    for j, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            yield wrong(f"{path}.values[{j}]", value, "must not be 0 for the In operator")
        if value in values[:j]:
            yield duplicate(f"{path}.values[{j}]", value)
    if values != sorted(values):
        yield wrong(f"{path}.values", values, "must be ordered")


def _success_policy(spec: Object, policy: Object, path: str) -> Causes:
    rules, total = dicts_of(policy.get("rules")), spec.get("completions") or 0
    if spec.get("completionMode") != "Indexed":
        return
    if not rules:
        told = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{path}.rules", told)
    if len(rules) > _RULES_MAX:
        yield too_many(f"{path}.rules", len(rules), _RULES_MAX)
    for i, rule in enumerate(rules):
        yield from _success_rule(rule, total, f"{path}.rules[{i}]")


def _success_rule(rule: Object, total: int, path: str) -> Causes:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    named = total
    if indexes is not None:
        try:
            named = count_indexes(str(indexes), total)
        except ValueError as error:
            yield wrong(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}")
    if count is not None:
        at = f"{path}.succeededCount"
        if count < 0:
            yield wrong(at, count, "must be greater than or equal to 0")
        elif count > total:
            told = f"must be less than or equal to {total} (the number of specified completions)"
            yield wrong(at, count, told)
        elif count > named:
            what = "the number of indexes in the specified succeededIndexes field"
            yield wrong(at, count, f"must be less than or equal to {named} ({what})")


def _changes(spec: Object, before: Object, old: Object) -> Causes:
    for name in _IMMUTABLE:
        if spec.get(name) != before.get(name):
            yield wrong(f"spec.{name}", spec.get(name), "field is immutable")
    yield from _completions(spec, before)
    new, known = spec.get("template") or {}, before.get("template") or {}
    if before.get("suspend") and not (old.get("status") or {}).get("active"):
        new, known = _fixed(new), _fixed(known)
    if new != known:
        yield wrong("spec.template", spec.get("template"), "field is immutable")


def _completions(spec: Object, before: Object) -> Causes:
    """An Indexed Job grows and shrinks as long as completions and parallelism stay the same number (KEP-3715)."""
    count = spec.get("completions")
    if count == before.get("completions"):
        return
    if spec.get("completionMode") != "Indexed":
        yield wrong("spec.completions", count, "field is immutable")
    elif count is not None and count != spec.get("parallelism"):
        yield wrong("spec.completions", count, "can only be modified in tandem with spec.parallelism")


def _fixed(template: Object) -> Object:
    """A template without what may change while the Job is suspended and no pod of it runs: where its pods go, and what
    they ask for (KEP-2926, KEP-5440)."""
    pod = {name: value for name, value in (template.get("spec") or {}).items() if name not in _SCHEDULING}
    affinity = {k: v for k, v in (pod.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    metadata = {k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    for kind in ("containers", "initContainers"):
        pod[kind] = [{k: v for k, v in each.items() if k != "resources"} for each in dicts_of(pod.get(kind))]
    return {**template, "metadata": metadata, "spec": {**pod, "affinity": affinity}}


def validate_cron_job(job: Object, old: Object | None) -> Causes:
    name = str((job.get("metadata") or {}).get("name", ""))
    if old is None and len(name) > _CRON_JOB_NAME_CHARS_MAX:
        yield wrong("metadata.name", name, f"must be no more than {_CRON_JOB_NAME_CHARS_MAX} characters")
    made: Object = ((job.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    path = "spec.jobTemplate.spec"
    if made.get("manualSelector"):
        yield unsupported(f"{path}.manualSelector", True, ("nil", "false"))
    if made.get("selector") is not None:
        yield forbidden(f"{path}.selector", "`selector` will be auto-generated")
    yield from validate_job_spec(made, path)
