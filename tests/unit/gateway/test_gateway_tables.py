"""What kubectl shows of pods in every state, and of the other kinds, as kubernetes' own printers_test.go expects it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.api.clock import parse_time
from actors.api.kinds import KINDS, kind_of
from actors.gateway.tables import printer_of
from actors.gateway.tables.table import format_duration

NOW = parse_time("2026-11-23T10:00:00Z")
CREATED = "2026-11-23T09:00:00Z"


def cells(resource: str, obj: dict[str, Any]) -> list[Any]:
    printer = printer_of(kind_of(resource))
    obj = {**obj, "metadata": {"name": "x", "creationTimestamp": CREATED, **obj.get("metadata", {})}}
    shown = printer.cells(msgspec.json.decode(json.dumps(obj), type=printer.shape), NOW)
    assert len(shown) == len(printer.columns)
    return list(shown)


def container(state: dict[str, Any], ready: bool = False, restarts: int = 0, **last: Any) -> dict[str, Any]:
    return {"name": "c", "ready": ready, "restartCount": restarts, "state": state, "lastState": last}


def pod(*statuses: dict[str, Any], phase: str = "Running", **status: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": f"c{i}"} for i in range(max(len(statuses), 1))], "initContainers": [{"name": "i"}]}
    return {"spec": spec, "status": {"phase": phase, "containerStatuses": list(statuses), **status}}


RUN = {"running": {"startedAt": CREATED}}
INITIALIZED = {"type": "Initialized", "status": "True"}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def ended(code: int = 0, reason: str = "", signal: int = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "signal": signal, "finishedAt": "2026-11-23T09:59:00Z"}}


@pytest.mark.parametrize(
    ("obj", "ready", "word"),
    [
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod(container(waiting("ContainerCreating")), phase="Pending"), "0/1", "ContainerCreating"),
        (pod(container(waiting("ImagePullBackOff")), phase="Pending"), "0/1", "ImagePullBackOff"),
        (pod(container(RUN, ready=True)), "1/1", "Running"),
        (pod(container(RUN)), "0/1", "Running"),
        (pod(container(waiting("CrashLoopBackOff"), restarts=3)), "0/1", "CrashLoopBackOff"),
        (pod(container(ended(0, "Completed")), phase="Succeeded"), "0/1", "Completed"),
        (pod(container(ended(1, "Error")), phase="Failed"), "0/1", "Error"),
        (pod(container(ended(137, "OOMKilled")), phase="Failed"), "0/1", "OOMKilled"),
        (pod(container(ended(5)), phase="Failed"), "0/1", "ExitCode:5"),
        (pod(container(ended(0, "", 9)), phase="Failed"), "0/1", "Signal:9"),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted"),
        (pod(container(ended(0, "Completed")), container(RUN, ready=True)), "1/2", "NotReady"),
        (
            pod(
                container(ended(0, "Completed")),
                container(RUN, ready=True),
                conditions=[{"type": "Ready", "status": "True"}],
            ),
            "1/2",
            "Running",
        ),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "0/1",
            "SchedulingGated",
        ),
        (pod(phase="Pending", initContainerStatuses=[container(RUN)]), "0/1", "Init:0/1"),
        (pod(phase="Pending", initContainerStatuses=[container(ended(2))]), "0/1", "Init:ExitCode:2"),
        (pod(phase="Pending", initContainerStatuses=[container(ended(2, "Error"))]), "0/1", "Init:Error"),
        (pod(phase="Pending", initContainerStatuses=[container(waiting("ErrImagePull"))]), "0/1", "Init:ErrImagePull"),
        (
            pod(container(RUN, ready=True), initContainerStatuses=[container(ended(0))], conditions=[INITIALIZED]),
            "1/1",
            "Running",
        ),
        ({**pod(container(RUN, ready=True)), "metadata": {"deletionTimestamp": CREATED}}, "1/1", "Terminating"),
        ({**pod(phase="Running", reason="NodeLost"), "metadata": {"deletionTimestamp": CREATED}}, "0/1", "Unknown"),
        (
            {**pod(container(ended()), phase="Succeeded"), "metadata": {"deletionTimestamp": CREATED}},
            "0/1",
            "ExitCode:0",
        ),
    ],
)
def test_pods(obj: dict[str, Any], ready: str, word: str) -> None:
    assert cells("pods", obj)[1:3] == [ready, word]


def test_pod_restarts_and_wide_cells() -> None:
    obj = pod(container(RUN, ready=True, restarts=2, **ended(1)), podIP="10.0.0.1", nominatedNodeName="n2")
    obj["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    obj["status"]["conditions"] = [{"type": "a", "status": "True"}]
    assert cells("pods", obj)[3:] == ["2 (60s ago)", "60m", "10.0.0.1", "n1", "n2", "1/2"]


def test_jobs() -> None:
    spec = {"completions": 3, "parallelism": 2, "selector": {"matchLabels": {"a": "b"}}}
    spec["template"] = {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}
    status = {"succeeded": 1, "startTime": "2026-11-23T09:30:00Z"}
    assert cells("jobs.batch", {"spec": spec, "status": status}) == [
        "x", "Running", "1/3", "30m", "60m", "c,d", "i,j", "a=b",
    ]  # fmt: skip
    done = {**status, "succeeded": 3, "completionTime": "2026-11-23T09:30:07Z"}
    done["conditions"] = [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]
    assert cells("jobs.batch", {"spec": spec, "status": done})[1:4] == ["Complete", "3/3", "7s"]
    several = cells("jobs.batch", {"spec": {"parallelism": 4}, "status": {}})
    assert (several[1:4], several[7]) == (["Running", "0/1 of 4", ""], "<none>")


def test_other_kinds() -> None:
    node = {"spec": {"unschedulable": True}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    assert cells("nodes", node)[1:3] == ["NotReady,SchedulingDisabled", "<none>"]
    assert cells("nodes", {})[1] == "Unknown"
    expressions = [{"key": "k", "operator": "In", "values": ["b", "a"]}, {"key": "l", "operator": "DoesNotExist"}]
    deployment = {
        "spec": {"replicas": 3, "selector": {"matchExpressions": expressions}},
        "status": {"readyReplicas": 1},
    }
    assert cells("deployments.apps", deployment)[1:4] + cells("deployments.apps", deployment)[-1:] == [
        "1/3",
        0,
        0,
        "k in (a,b),!l",
    ]
    assert cells("replicasets.apps", {"spec": {"replicas": 2}, "status": {"replicas": 1}})[1:4] == [2, 1, 0]
    assert cells("configmaps", {"data": {"a": "b"}, "binaryData": {"c": "ZA=="}})[1] == "2"
    assert cells("secrets", {"type": "Opaque", "data": {}})[1:3] == ["Opaque", "0"]
    assert cells("namespaces", {"status": {"phase": "Terminating"}})[1] == "Terminating"
    assert cells("leases.coordination.k8s.io", {"spec": {"holderIdentity": "me"}})[1] == "me"
    service = {
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}, {"port": 81, "nodePort": 3000, "protocol": "UDP"}]}
    }
    assert cells("services", service)[1:5] == ["ClusterIP", "10.0.0.1", "<none>", "80/TCP,81:3000/UDP"]
    assert cells("priorityclasses.scheduling.k8s.io", {"value": 7})[1:3] == [7, False]
    addresses = [{"ip": f"10.0.0.{n}"} for n in range(5)]
    endpoints = {"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}
    assert cells("endpoints", endpoints)[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."


def test_events() -> None:
    event = {
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "type": "Warning",
        "reason": "BackOff",
        "message": "again\n",
        "count": 4,
        "source": {"component": "nodelet", "host": "n1"},
        "firstTimestamp": "2026-11-23T09:58:00Z",
        "lastTimestamp": "2026-11-23T09:59:30Z",
    }
    assert cells("events", event) == [
        "30s", "Warning", "BackOff", "pod/p", "spec.containers{c}", "nodelet, n1", "again", "2m", 4, "x",
    ]  # fmt: skip
    assert cells("events", {})[0] == "<unknown>"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"), (600, "10m"),
        (10799, "179m"), (10800, "3h"), (11100, "3h5m"), (28800, "8h"), (172799, "47h"), (172800, "2d"), (180000, "2d2h"),
        (691200, "8d"), (63071999, "729d"), (63072000, "2y"), (63158400, "2y1d"), (252288000, "8y"),
    ],
)  # fmt: skip
def test_durations(seconds: int, text: str) -> None:
    assert format_duration(seconds * 1000) == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource)
def test_every_kind_prints_an_empty_object(kind: Any) -> None:
    assert "x" in cells(kind.resource, {})
