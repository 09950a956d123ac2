"""Jobs' status: what has been told is not taken back, and conditions, counters and times agree."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from actors.api.defaulting import default
from actors.api.validation import validate

T1, T2 = "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"


def job(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    obj = {"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": template, **copy.deepcopy(spec)}}
    return default({"apiVersion": "batch/v1", "kind": "Job", **obj, "status": status or {}})


INDEXED = {"completionMode": "Indexed", "completions": 5, "parallelism": 2}


def rows(*names: str) -> list[dict[str, str]]:
    return [{"type": name, "status": "True"} for name in names]


COMPLETE = {"conditions": rows("SuccessCriteriaMet", "Complete"), "startTime": T1, "completionTime": T2, "succeeded": 1}
FAILED = {"conditions": rows("FailureTarget", "Failed"), "startTime": T1, "failed": 1}


def told(status: dict[str, Any], before: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    found = validate(job(status, **spec), job(before, **spec), "status")
    return [f"{cause.field}: {cause.message}" for cause in found]


@pytest.mark.parametrize(
    ("status", "before", "spec"),
    [
        ({}, None, {}),
        (COMPLETE, None, {}),
        (COMPLETE, {"conditions": rows("SuccessCriteriaMet"), "startTime": T1}, {}),
        (FAILED, None, {}),
        ({"active": 2, "ready": 2, "startTime": T1}, None, {}),
        ({"completedIndexes": "0,2-4", "succeeded": 4}, None, INDEXED),
        ({"completedIndexes": "0", "failedIndexes": "1,3-4"}, None, {**INDEXED, "backoffLimitPerIndex": 1}),
        # what is wrong already may stay, while something else is written
        ({"ready": 3, "failed": 1}, {"ready": 3}, {}),
        ({"conditions": rows("Complete"), "failed": 2}, {"conditions": rows("Complete")}, {}),
        ({"completedIndexes": "9", "succeeded": 1}, {"completedIndexes": "9"}, INDEXED),
        # an elastic Job may shrink; a suspended one forgets when it began
        ({"succeeded": 1}, {"succeeded": 4}, {"completionMode": "Indexed", "completions": 2, "parallelism": 2}),
        ({}, {"startTime": T1}, {"suspend": True}),
        ({"startTime": "2026-11-23T10:00:00.000Z"}, {"startTime": T1}, {}),
    ],
)
def test_good(status: dict[str, Any], before: dict[str, Any] | None, spec: dict[str, Any]) -> None:
    assert told(status, before, **spec) == []


@pytest.mark.parametrize(
    ("status", "before", "spec", "expected"),
    [
        ({}, COMPLETE, {}, "status.conditions: Invalid value: cannot disable the terminal Complete=True condition"),
        ({}, FAILED, {}, "status.conditions: Invalid value: cannot disable the terminal Failed=True condition"),
        (
            {"conditions": rows("Complete", "Failed", "FailureTarget")},
            None,
            {},
            "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
        ),
        (
            {"conditions": rows("Failed")},
            None,
            {},
            "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            {"conditions": rows("Complete")},
            None,
            {},
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true "
            "condition",
        ),
        (
            {**COMPLETE, "completionTime": None},
            None,
            {},
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            {"completionTime": T1},
            None,
            {},
            f'status.completionTime: Invalid value: "{T1}": cannot set completionTime when there is no Complete=True '
            "condition",
        ),
        (
            {**COMPLETE, "startTime": T2, "completionTime": T1},
            None,
            {},
            f'status.completionTime: Invalid value: "{T1}": completionTime cannot be set before startTime',
        ),
        ({**COMPLETE, "active": 1}, None, {}, "status.active: Invalid value: 1: active>0 is invalid for finished job"),
        (
            {**FAILED, "startTime": None},
            None,
            {},
            "status.startTime: Required value: startTime is required for finished job",
        ),
        (
            {**FAILED, "terminating": 1},
            None,
            {},
            "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ),
        ({"ready": 1}, None, {}, "status.ready: Invalid value: 1: cannot set more ready pods than active"),
        ({"failed": 1}, {"failed": 2}, {}, "status.failed: Invalid value: 1: cannot decrease the failed counter"),
        ({}, {"succeeded": 2}, {}, "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter"),
        ({"active": -1}, None, {}, "status.active: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"startTime": T2},
            {"startTime": T1},
            {},
            "status.startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (
            {**COMPLETE, "completionTime": "2026-11-23T12:00:00Z"},
            COMPLETE,
            {},
            'status.completionTime: Invalid value: "2026-11-23T12:00:00Z": completionTime cannot be mutated',
        ),
        (
            {"completedIndexes": "0"},
            None,
            {},
            'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed '
            "completion mode",
        ),
        (
            {"completedIndexes": "7"},
            None,
            INDEXED,
            'status.completedIndexes: Invalid value: "7": error parsing completedIndexes: too large index: "7"',
        ),
        (
            {"failedIndexes": "1"},
            None,
            INDEXED,
            'status.failedIndexes: Invalid value: "1": cannot set non-null failedIndexes when backoffLimitPerIndex is '
            "null",
        ),
        (
            {"completedIndexes": "0,2-4", "failedIndexes": "1,3"},
            None,
            {**INDEXED, "backoffLimitPerIndex": 1},
            'status.failedIndexes: Invalid value: "1,3": failedIndexes and completedIndexes overlap at index: 3',
        ),
        (
            {"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}},
            None,
            {},
            'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
        ),
    ],
)
def test_bad(status: dict[str, Any], before: dict[str, Any] | None, spec: dict[str, Any], expected: str) -> None:
    assert expected in told(status, before, **spec)
