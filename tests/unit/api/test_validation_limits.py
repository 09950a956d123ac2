"""Limit ranges and quotas that contradict themselves are refused, every bad field at once."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.codec import Object
from actors.api.defaulting import default
from actors.api.validation import validate


def told(kind: str, spec: Object, old: Object | None = None) -> list[str]:
    def whole(part: Object) -> Object:
        obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "n"}, "spec": part}
        return default(obj)

    causes = validate(whole(spec), whole(old) if old is not None else None)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def item(**fields: Any) -> Object:
    return {"limits": [{"type": "Container", **fields}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (item(min={"cpu": "100m"}, max={"cpu": "2", "memory": "1Gi"}, default={"cpu": "1"}), []),
        (
            item(min={"cpu": "2"}, max={"cpu": "1"}, default={"cpu": "2"}, defaultRequest={"cpu": "2"}),
            [
                'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1',
                'spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1',
            ],
        ),
        (
            item(default={"nvidia.com/gpu": "2"}, defaultRequest={"nvidia.com/gpu": "1"}),
            [
                'spec.limits[0].defaultRequest[nvidia.com/gpu]: Invalid value: "1": default value 2 must equal to '
                "defaultRequest value 1 in nvidia.com/gpu"
            ],
        ),
        (
            item(min={"cpu": "1"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "3"}),
            [
                'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
            ],
        ),
        (
            item(max={"pods": "1"}),
            [
                f'spec.limits[0].{part}[pods]: Invalid value: "pods": must be a standard resource for containers'
                for part in ("max", "default", "defaultRequest")
            ],
        ),
        (
            {"limits": [{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod", "max": {"cpu": "1"}}]},
            [
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                'spec.limits[1].type: Duplicate value: "Pod"',
            ],
        ),
        (
            {"limits": [{"type": "PersistentVolumeClaim"}, {"type": "Box", "max": {"cpu": "1"}}]},
            [
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was "
                "provided",
                'spec.limits[1].type: Invalid value: "Box": must be a standard limit type or fully qualified',
            ],
        ),
    ],
)
def test_limit_ranges(spec: Object, expected: list[str]) -> None:
    assert told("LimitRange", spec) == expected


def expression(scope: str, operator: str, *values: str) -> Object:
    return {"matchExpressions": [{"scopeName": scope, "operator": operator, **({"values": values} if values else {})}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {
                "hard": {
                    "pods": "1",
                    "requests.nvidia.com/gpu": "1",
                    "count/widgets.example.com": "2",
                    "hugepages-2Mi": "4Mi",
                },
                "scopeSelector": expression("PriorityClass", "In", "high"),
            },
            ["spec.scopeSelector.matchExpressions: unsupported scope applied to resource"],
        ),
        ({"hard": {"pods": "1"}, "scopeSelector": expression("PriorityClass", "In", "high")}, []),
        ({"hard": {"gold.storageclass.storage.k8s.io/requests.storage": "1Gi"}}, []),
        (
            {"hard": {"boxes": "1"}},
            [
                'spec.hard[boxes]: Invalid value: "boxes": must be a standard resource type or fully qualified',
                'spec.hard[boxes]: Invalid value: "boxes": must be a standard resource for quota',
            ],
        ),
        ({"hard": {"services": "500m"}}, ['spec.hard[services]: Invalid value: "500m": must be an integer']),
        (
            {"hard": {"cpu": "1"}, "scopes": ["BestEffort"]},
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        ),
        (
            {"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]},
            ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
        ),
        (
            {"hard": {"pods": "1"}, "scopeSelector": expression("PriorityClass", "Exists", "x")},
            [
                'spec.scopeSelector.matchExpressions.values: Invalid value: ["x"]: must be no value when `operator` is '
                "'Exist' or 'DoesNotExist' for scope selector"
            ],
        ),
    ],
)
def test_quotas(spec: Object, expected: list[str]) -> None:
    found = told("ResourceQuota", spec)
    assert len(found) == len(expected)
    for sentence, wanted in zip(found, expected, strict=True):
        head, _, tail = wanted.partition(": ")
        assert sentence.startswith(head) and sentence.endswith(tail)


def test_the_scopes_of_a_quota_stay() -> None:
    old = {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}
    assert told("ResourceQuota", {"hard": {"pods": "2"}, "scopes": ["BestEffort"]}, old) == []
    (found,) = told("ResourceQuota", {"hard": {"pods": "2"}}, old)
    assert found == "spec.scopes: Invalid value: []: field is immutable"
