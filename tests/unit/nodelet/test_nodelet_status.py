"""A pod's status once the pod is over: what was told of its end stays, whatever its node still knows."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.key import Key
from actors.api.pod import Pod
from actors.nodelet.config import NodeletConfig
from actors.nodelet.facts import NodeFacts
from actors.nodelet.lifecycle import Stage
from actors.nodelet.operations import Failure
from actors.nodelet.record import PodRecord, Refusal, Retry
from actors.nodelet.spec import NodeView
from actors.nodelet.status import derive_status
from actors.nodelet.termination import Stop, find_stop
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus

NODE = NodeView("n", NodeletConfig(), NodeFacts(address="192.0.2.1"))


def exited(attempt: int, code: int) -> ContainerStatus:
    spec = ContainerSpec(id=f"c{attempt}", sandbox_id=f"s{attempt}", name="main", attempt=attempt, image="app")
    return ContainerStatus(
        spec=spec, state=ContainerState.EXITED, exit_code=code, reason="Error", started_at_ms=1, finished_at_ms=2
    )


def told(record: PodRecord) -> dict[str, Any]:
    assert record.pod is not None
    status = derive_status(record, record.pod, NODE, Stage.CLEANING, Stop(grace_ms=0), 5)
    row: dict[str, Any] = status["containerStatuses"][0]
    return row


def test_an_earlier_run_does_not_replace_the_last_one_when_the_node_forgets_that_first() -> None:
    pod = msgspec.convert({"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "main"}]}}, Pod)
    record = PodRecord(uid="u", key=Key("pods", "n", "p"), pod=pod)
    record.containers = {"c0": exited(0, 137), "c1": exited(1, 143)}
    last = told(record)
    assert (last["restartCount"], last["state"]["terminated"]["exitCode"]) == (1, 143)
    record.status = {"phase": "Failed", "containerStatuses": [last]}
    del record.containers["c1"]
    assert told(record) == last


def test_a_run_that_the_api_still_thinks_goes_on_is_told_to_have_ended() -> None:
    pod = msgspec.convert({"spec": {"containers": [{"name": "main"}]}}, Pod)
    record = PodRecord(uid="u", key=Key("pods", "n", "p"), pod=pod, containers={"c0": exited(0, 3)})
    running = {"name": "main", "restartCount": 0, "containerID": "raypod://c0", "state": {"running": {}}}
    record.status = {"phase": "Failed", "containerStatuses": [running]}
    assert told(record)["state"]["terminated"]["exitCode"] == 3


def test_messages_in_a_status_are_cut() -> None:
    pod = msgspec.convert({"spec": {"containers": [{"name": "main"}]}}, Pod)
    record = PodRecord(uid="u", key=Key("pods", "n", "p"), pod=pod)
    failure = Failure(reason="CreateContainerError", message="x" * 100_000)
    record.retries["create/main"] = Retry(failure, 1, 0, 1_000)
    status = derive_status(record, pod, NODE, Stage.PREPARING, None, 5)
    message = status["containerStatuses"][0]["state"]["waiting"]["message"]
    assert (len(message), message[-4:]) == (1_024, "x...")
    refused = derive_status(record, pod, NODE, Stage.GONE, Stop(grace_ms=0, message="y" * 9_999, fails=True), 5)
    assert (len(refused["message"]), refused["message"][-4:]) == (1_024, "y...")
    record.containers = {"c0": msgspec.structs.replace(exited(0, 1), message="\N{EURO SIGN}" * 9_999)}
    last_words = told(record)["state"]["terminated"]["message"]
    assert 4_090 < len(last_words.encode()) <= 4_096 and last_words.endswith("\N{EURO SIGN}...")


def test_a_pod_that_the_node_refuses_shows_its_reason_and_no_container_that_is_being_created() -> None:
    pod = msgspec.convert({"spec": {"containers": [{"name": "main"}], "initContainers": [{"name": "first"}]}}, Pod)
    record = PodRecord(uid="u", key=Key("pods", "n", "p"), pod=pod, refusal=Refusal("UnsupportedField", "remove it"))
    status = derive_status(record, pod, NODE, Stage.GONE, find_stop(record, 5), 5)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "UnsupportedField", "remove it")
    assert not {"containerStatuses", "initContainerStatuses"} & set(status)
