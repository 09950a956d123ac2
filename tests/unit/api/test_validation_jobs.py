"""Jobs and CronJobs in depth: policies, indexes, what may change, and when."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from actors.api.defaulting import default
from actors.api.validation import validate
from actors.api.validation.indexes import count_indexes

RULE = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}}


def job(name: str = "j", restart: str = "Never", **spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}}
    obj = {"metadata": {"name": name, "uid": "u-1"}, "spec": {"template": template, **copy.deepcopy(spec)}}
    return default({"apiVersion": "batch/v1", "kind": "Job", **obj})


def indexed(**spec: Any) -> dict[str, Any]:
    return job(**{"completionMode": "Indexed", "completions": 5, "parallelism": 5, **spec})


def fields(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [cause.field for cause in validate(obj, old)]


@pytest.mark.parametrize(
    "obj",
    [
        job(),
        job(
            podFailurePolicy={"rules": [RULE, {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
        ),
        indexed(backoffLimitPerIndex=1, maxFailedIndexes=3),
        indexed(successPolicy={"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]}),
        job(managedBy="acme.io/jobs"),
    ],
)
def test_good_jobs(obj: dict[str, Any]) -> None:
    assert fields(obj) == []


@pytest.mark.parametrize(
    ("obj", "found"),
    [
        (job(restart="Always"), ["spec.template.spec.restartPolicy"]),
        (job(restart="OnFailure", podFailurePolicy={"rules": [RULE]}), ["spec.template.spec.restartPolicy"]),
        (job(completions=-1, backoffLimit=-1), ["spec.backoffLimit", "spec.completions"]),
        (job(backoffLimitPerIndex=1), ["spec.backoffLimitPerIndex"]),
        (indexed(maxFailedIndexes=1), ["spec.backoffLimitPerIndex"]),
        (indexed(backoffLimitPerIndex=1, maxFailedIndexes=6), ["spec.maxFailedIndexes"]),
        (indexed(completions=200_000, backoffLimitPerIndex=1), ["spec.maxFailedIndexes"]),
        (indexed(name="x" * 62), ["metadata.name"]),
        (job(managedBy="plain"), ["spec.managedBy"]),
        (job(successPolicy={"rules": []}), ["spec.successPolicy"]),
        (indexed(successPolicy={"rules": []}), ["spec.successPolicy.rules"]),
        (indexed(successPolicy={"rules": [{}]}), ["spec.successPolicy.rules[0]"]),
        (indexed(successPolicy={"rules": [{"succeededIndexes": "1,5"}]}), ["spec.successPolicy.rules[0].succeededIndexes"]),
        (indexed(successPolicy={"rules": [{"succeededIndexes": "1-2", "succeededCount": 3}]}), ["spec.successPolicy.rules[0].succeededCount"]),
        (job(podFailurePolicy={"rules": [{"action": "x", "onExitCodes": {"operator": "In", "values": [0, 3, 2]}}]}),
         ["spec.podFailurePolicy.rules[0].action", "spec.podFailurePolicy.rules[0].onExitCodes.values[0]", "spec.podFailurePolicy.rules[0].onExitCodes.values"]),
        (job(podFailurePolicy={"rules": [{"action": "FailIndex"}]}), ["spec.podFailurePolicy.rules[0].action", "spec.podFailurePolicy.rules[0]"]),
        (job(podFailurePolicy={"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1], "containerName": "x"}}]}),
         ["spec.podFailurePolicy.rules[0].onExitCodes.containerName"]),
        (job(podReplacementPolicy="TerminatingOrFailed", podFailurePolicy={"rules": [RULE]}), ["spec.podReplacementPolicy"]),
        (job(selector={"matchLabels": {"mine": "x"}}), ["spec.template.metadata.labels", "spec.selector"]),
    ],
)  # fmt: skip
def test_bad_jobs(obj: dict[str, Any], found: list[str]) -> None:
    assert fields(obj) == found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("0", 1),
        ("0-4", 5),
        ("0,2-4", 4),
        ("5", None),
        ("1-1", None),
        ("2,1", None),
        ("a", None),
        ("0-1-2", None),
        ("1-", None),
    ],
)
def test_indexes(text: str, count: int | None) -> None:
    if count is not None:
        assert count_indexes(text, 5) == count
    else:
        with pytest.raises(ValueError):
            count_indexes(text, 5)


def test_defaults_follow_the_policies() -> None:
    assert job(podFailurePolicy={"rules": [RULE]})["spec"]["podReplacementPolicy"] == "Failed"
    assert job()["spec"]["podReplacementPolicy"] == "TerminatingOrFailed"
    assert indexed(backoffLimitPerIndex=0)["spec"]["backoffLimit"] == 2**31 - 1
    labels = job()["metadata"]["labels"]
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "j"


def changed(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**copy.deepcopy(obj), "spec": {**copy.deepcopy(obj["spec"]), **spec}}


def test_what_may_change_of_a_job() -> None:
    old = job(completions=3)
    assert fields(changed(old, parallelism=7, suspend=True, activeDeadlineSeconds=5), old) == []
    assert fields(changed(old, completions=4), old) == ["spec.completions"]
    assert "spec.completionMode" in fields(changed(old, completionMode="Indexed"), old)
    elastic = indexed()
    assert fields(changed(elastic, completions=7, parallelism=7), elastic) == []
    assert fields(changed(elastic, completions=7), elastic) == ["spec.completions"]


def test_a_suspended_job_may_be_told_where_to_run() -> None:
    old = job(suspend=True)
    new = changed(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    new["spec"]["template"]["metadata"]["annotations"] = {"a": "b"}
    assert fields(new, old) == []
    assert fields(new, {**old, "status": {"startTime": "2026-11-23T10:00:00Z"}}) == []
    assert fields(new, {**old, "status": {"active": 1}}) == ["spec.template"]
    new["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    assert fields(new, old) == []
    assert fields(new, job()) != []
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    assert fields(new, old) == ["spec.template"]


def test_a_cron_job_makes_jobs_that_can_be() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    made = {"template": template, "selector": {"matchLabels": {"a": "b"}}, "backoffLimit": -1}
    obj = {
        "metadata": {"name": "c"},
        "spec": {"schedule": "TZ=UTC * * * * *", "timeZone": "Local", "jobTemplate": {"spec": made}},
    }
    found = fields(default({"apiVersion": "batch/v1", "kind": "CronJob", **obj}))
    assert found == [
        "spec.schedule",
        "spec.timeZone",
        "spec.jobTemplate.spec.selector",
        "spec.jobTemplate.spec.backoffLimit",
    ]
