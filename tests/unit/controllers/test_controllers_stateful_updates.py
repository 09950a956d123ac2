"""How many pods of a StatefulSet an update takes down at a time (KEP-961)."""

from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, node, start

from actors.api.key import Key

SET = Key("statefulsets.apps", "default", "web")


def make(rig: Rig, policy: str, **rolling: Any) -> None:
    """Four pods, none of which has started yet."""
    rig.create(node("n", cpu=64))
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": labels},
        "serviceName": "web",
        "podManagementPolicy": policy,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": template,
    }
    rig.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"}, "spec": spec})
    rig.settle()


def leaving_after_an_update(rig: Rig, sick: str = "") -> list[str]:
    for _ in range(4):  # of an ordered set the next one is there when the last has started
        for pod in rig.list("pods"):
            if pod["status"]["phase"] == "Pending" and pod["metadata"]["name"] != sick:
                start(rig, pod["metadata"]["name"])
        rig.settle()
    rig.patch(SET, {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})
    rig.settle()
    return [pod["metadata"]["name"] for pod in rig.list("pods") if "deletionTimestamp" in pod["metadata"]]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
@pytest.mark.parametrize(
    ("rolling", "leaving"),
    [
        ({}, ["web-3"]),
        ({"maxUnavailable": 1}, ["web-3"]),
        ({"maxUnavailable": 2}, ["web-2", "web-3"]),
        ({"maxUnavailable": "75%"}, ["web-1", "web-2", "web-3"]),
        ({"maxUnavailable": "10%"}, ["web-3"]),
        ({"maxUnavailable": 9, "partition": 2}, ["web-2", "web-3"]),
    ],
)
def test_as_many_go_as_may_be_unavailable(rig: Rig, policy: str, rolling: dict[str, Any], leaving: list[str]) -> None:
    make(rig, policy, **rolling)
    assert leaving_after_an_update(rig) == leaving


@pytest.mark.parametrize(
    ("most", "sick", "leaving"),
    [(1, "web-0", ["web-0"]), (2, "web-0", ["web-0", "web-3"]), (2, "web-3", ["web-2", "web-3"])],
)
def test_one_that_is_unavailable_counts_and_goes_for_nothing(
    rig: Rig, most: int, sick: str, leaving: list[str]
) -> None:
    make(rig, "Parallel", maxUnavailable=most)
    assert leaving_after_an_update(rig, sick) == leaving
