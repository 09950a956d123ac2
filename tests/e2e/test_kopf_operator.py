"""A kopf operator, unmodified, with a custom resource: finalizers, handlers, patches of status, events, peering."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from custom_resources import CRON_TAB, cron_tab
from gateway_server import RunningGateway, served

__all__ = ["served"]
_OPERATOR = Path(__file__).with_name("kopf_operator.py")
_SECONDS = 30


def peering(scope: str, kind: str) -> dict[str, Any]:
    """As kopf documents it."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.kopf.dev"},
        "spec": {
            "scope": scope,
            "group": "kopf.dev",
            "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"status": free}}},
                }
            ],
        },
    }


def free_status(definition: dict[str, Any]) -> dict[str, Any]:
    """The handlers' results are kept in the status: the definition lets them."""
    changed = copy.deepcopy(definition)
    version = changed["spec"]["versions"][0]
    changed["spec"]["versions"] = [version]
    version["schema"]["openAPIV3Schema"]["properties"]["status"]["x-kubernetes-preserve-unknown-fields"] = True
    return changed


def apply(served: RunningGateway, obj: dict[str, Any]) -> None:
    served.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


class Operator:
    def __init__(self, served: RunningGateway, log: Path, *arguments: str) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", str(_OPERATOR), "--namespace=default", "--verbose", *arguments],
            env=served.environment,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    @property
    def told(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="module")
def operator(served: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    apply(served, free_status(CRON_TAB))
    for scope, kind in (("Namespaced", "KopfPeering"), ("Cluster", "ClusterKopfPeering")):
        apply(served, peering(scope, kind))
    apply(
        served,
        {"apiVersion": "kopf.dev/v1", "kind": "KopfPeering", "metadata": {"name": "team", "namespace": "default"}},
    )
    running = Operator(served, tmp_path_factory.mktemp("kopf") / "log", "--peering=team", "--priority=100")
    yield running
    running.stop()


def eventually(look: Callable[[], Any], holds: Callable[[Any], bool], operator: Operator) -> Any:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if holds(found := look()):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{found}\n{operator.told[-4000:]}")


def get(served: RunningGateway, *what: str) -> dict[str, Any]:
    """{} of what is not there."""
    output = served.kubectl("get", *what, "-o", "json", fails=None)
    found: dict[str, Any] = output.json if output.code == 0 else {}
    return found


def test_an_object_is_handled_through_its_whole_life(served: RunningGateway, operator: Operator) -> None:
    apply(served, cron_tab("tab", replicas=2))
    tab = eventually(
        lambda: get(served, "crontab", "tab"), lambda found: "create" in (found.get("status") or {}), operator
    )
    assert tab["metadata"]["finalizers"] == ["stable.example.com/operator"]
    assert tab["status"]["phase"] == "Ready" and tab["status"]["create"] == {"map": "tab"}
    child = get(served, "configmap", "tab")
    assert child["data"] == {"replicas": "2"}
    assert child["metadata"]["ownerReferences"][0]["uid"] == tab["metadata"]["uid"]

    served.kubectl("patch", "crontab", "tab", "--type=merge", "-p", '{"spec": {"replicas": 4}}')
    changed = eventually(
        lambda: get(served, "configmap", "tab"), lambda found: found["data"]["replicas"] == "4", operator
    )
    assert changed["metadata"]["uid"] == child["metadata"]["uid"]
    eventually(
        lambda: get(served, "crontab", "tab")["status"],
        lambda status: status.get("scale/spec.replicas") == {"from": 2, "to": 4},
        operator,
    )

    served.kubectl("delete", "crontab", "tab", "--timeout=20s")
    assert get(served, "configmap", "tab") == {}, "the finalizer holds the object until its handler has run"


def test_its_events_are_there_to_read(served: RunningGateway, operator: Operator) -> None:
    apply(served, cron_tab("told", replicas=1))
    events = eventually(
        lambda: served.kubectl("events", "--for=crontab/told", fails=None).out,
        lambda out: "Handler 'create' succeeded" in out,
        operator,
    )
    assert "crontab/told" in events.lower()


def test_built_in_kinds_and_labels_are_watched(served: RunningGateway, operator: Operator) -> None:
    served.kubectl("create", "configmap", "plain")
    served.kubectl("create", "configmap", "labelled")
    served.kubectl("label", "configmap", "labelled", "watched=yes")

    def seen(name: str) -> str:
        return str(
            (get(served, "configmap", name)["metadata"].get("annotations") or {}).get("stable.example.com/seen", "")
        )

    eventually(lambda: seen("labelled"), lambda found: found == "labelled", operator)
    assert seen("plain") == ""


def test_timers_patch_the_status(served: RunningGateway, operator: Operator) -> None:
    apply(served, cron_tab("ticking", replicas=1, paused=True))
    eventually(
        lambda: get(served, "crontab", "ticking").get("status") or {},
        lambda status: status.get("ticks", 0) >= 2,
        operator,
    )


def test_of_two_operators_the_one_with_less_priority_waits(
    served: RunningGateway, operator: Operator, tmp_path: Path
) -> None:
    eventually(lambda: get(served, "kopfpeering", "team").get("status"), bool, operator)
    second = Operator(served, tmp_path / "log", "--peering=team", "--priority=1")
    try:
        eventually(lambda: second.told, lambda told: "(blockers: team@default)" in told, second)
        eventually(lambda: get(served, "kopfpeering", "team")["status"], lambda status: len(status) == 2, second)
    finally:
        second.stop()
    eventually(lambda: get(served, "kopfpeering", "team")["status"], lambda status: len(status) == 1, operator)
