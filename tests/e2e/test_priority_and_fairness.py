"""Priority and fairness over real connections: a client that floods, and one that asks for little meanwhile."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from statistics import median

import pytest
from gateway_server import RunningGateway

from actors.gateway.config import AuthenticationConfig, FlowConfig
from actors.gateway.pki import pki_at
from actors.reconcile.actions import Create

PODS, FLOODERS, ASKED = 1_500, 200, 10
FLOOD = Path(__file__).with_name("flood_client.py")


def start(home: Path, flow: FlowConfig) -> RunningGateway:
    """With two users by token who may read, and many pods to list."""
    (home / "tokens.csv").write_text("flood-token,flood,1\nquiet-token,quiet,2\n")
    running = RunningGateway(home, flow=flow, authentication=AuthenticationConfig(token_file=str(home / "tokens.csv")))
    for user in ("flood", "quiet"):
        running.kubectl("create", "clusterrolebinding", user, "--clusterrole=view", f"--user={user}")
    return running


def fill(running: RunningGateway) -> None:
    containers = [{"name": "c", "image": "i:1", "env": [{"name": f"V{n}", "value": "x" * 40} for n in range(20)]}]
    spec = {"containers": containers, "automountServiceAccountToken": False}
    pods = [{"metadata": {"name": f"p{n}"}, "spec": spec} for n in range(PODS)]
    for first in range(0, PODS, 500):
        running.act(*(Create(resource="pods", namespace="default", object=pod) for pod in pods[first : first + 500]))


@contextmanager
def flooded(running: RunningGateway) -> Iterator[subprocess.Popen[str]]:
    ca = pki_at(running.home).ca.certificate
    words = [str(FLOOD), str(running.gateway.port), str(ca), "flood-token", str(FLOODERS)]
    flood = subprocess.Popen([sys.executable, "-P", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(5)
        yield flood
    finally:
        said, _ = flood.communicate("", timeout=30)
        print(f"the flood was answered {said.strip()}")
        assert "200:" in said


def quiet_ms(running: RunningGateway) -> float:
    """How long a get takes another client on its connection, as a rule."""
    context = ssl.create_default_context(cafile=str(pki_at(running.home).ca.certificate))
    line = HTTPSConnection("127.0.0.1", running.gateway.port, context=context, timeout=60)
    took = []
    for _ in range(ASKED):
        since = time.monotonic()
        line.request("GET", "/api/v1/namespaces/default", headers={"Authorization": "Bearer quiet-token"})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200
        took.append(1000 * (time.monotonic() - since))
    line.close()
    return median(took)


def test_one_client_with_200_connections_starves_nobody(tmp_path: Path) -> None:
    """The same flood twice: without priority and fairness the other client's gets take many times as long."""
    found = {}
    for enabled in (True, False):
        home = tmp_path / str(enabled)
        home.mkdir()
        running = start(home, FlowConfig(enabled=enabled))
        fill(running)
        eventually_classified(running, wanted=enabled)
        with flooded(running):
            found[enabled] = quiet_ms(running)
        running.stop()
    print(f"a get beside the flood: {found[True]:.0f} ms with, {found[False]:.0f} ms without priority and fairness")
    assert found[True] * 3 < found[False], found


def eventually_classified(running: RunningGateway, *, wanted: bool) -> None:
    deadline = time.monotonic() + 10
    while wanted and "X-Kubernetes-PF-FlowSchema-UID" not in headers_of(running, "quiet-token"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(running: RunningGateway, token: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    return running.request("GET", "/api/v1/namespaces/default", headers=headers, certificate="")


def headers_of(running: RunningGateway, token: str) -> dict[str, str]:
    return ask(running, token)[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = start(tmp_path_factory.mktemp("flow"), FlowConfig())
    eventually_classified(running, wanted=True)
    yield running
    running.stop()
    assert running.gateway.app.failures == 0


def test_a_schema_of_ones_own_classifies_whom_it_names_and_the_answer_says_so(served: RunningGateway) -> None:
    """As Kubernetes' own end-to-end test has it."""
    level = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "mine"},
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}},
    }
    rules = {
        "subjects": [{"kind": "User", "user": {"name": "quiet"}}],
        "resourceRules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
        ],
    }
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "mine"},
        "spec": {"matchingPrecedence": 900, "priorityLevelConfiguration": {"name": "mine"}, "rules": [rules]},
    }
    served.kubectl("create", "-f", "-", stdin=json.dumps(schema))
    eventually_row(served, "mine", "True")
    served.kubectl("create", "-f", "-", stdin=json.dumps(level))
    eventually_row(served, "mine", "False")
    uids = [
        served.kubectl("get", f"{kind}.flowcontrol.apiserver.k8s.io", "mine", "-o", "jsonpath={.metadata.uid}").out
        for kind in ("flowschema", "prioritylevelconfiguration")
    ]
    headers = headers_of(served, "quiet-token")
    assert [headers[f"X-Kubernetes-PF-{what}-UID"] for what in ("FlowSchema", "PriorityLevel")] == uids
    assert headers_of(served, "flood-token")["X-Kubernetes-PF-FlowSchema-UID"] not in uids
    headers = {"Authorization": "Bearer quiet-token"}
    code, told, _ = served.request("GET", "/api/v1/namespaces/default/pods/no", headers=headers, certificate="")
    assert (code, told["X-Kubernetes-PF-FlowSchema-UID"]) == (404, uids[0])
    served.kubectl("delete", "flowschema,prioritylevelconfiguration", "mine")


def eventually_row(served: RunningGateway, name: str, missing: str) -> None:
    """The column MISSINGPL, which is the condition Dangling."""
    deadline = time.monotonic() + 10
    while served.kubectl("get", "flowschemas", name).rows[-1][-1] != missing:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_kubectl_shows_what_is_there_from_the_start_and_the_mandatory_comes_back(served: RunningGateway) -> None:
    rows = {row[0]: row[1:] for row in served.kubectl("get", "flowschemas").rows[1:]}
    assert rows["exempt"][:2] == ["exempt", "1"] and rows["service-accounts"][:3] == ["workload-low", "9000", "ByUser"]
    assert len(rows) == 13 and {row[-1] for row in rows.values()} == {"False"}
    levels = {row[0]: row[1:] for row in served.kubectl("get", "prioritylevelconfigurations").rows[1:]}
    assert levels["workload-low"][:5] == ["Limited", "100", "128", "6", "50"] and levels["exempt"][0] == "Exempt"
    served.kubectl("delete", "flowschema", "catch-all")
    deadline = time.monotonic() + 10
    while served.kubectl("get", "flowschema", "catch-all", fails=None).code:
        assert time.monotonic() < deadline


def test_a_full_level_and_a_client_over_its_rate_are_told_when_to_come_again(tmp_path: Path) -> None:
    running = start(tmp_path, FlowConfig(client_requests_per_second=0.5, client_burst=5))
    answers = [ask(running, "quiet-token") for _ in range(8)]
    codes = [answer[0] for answer in answers]
    assert codes[0] == 200 and codes[-1] == 429
    status = json.loads(answers[-1][2])
    assert (status["reason"], status["code"]) == ("TooManyRequests", 429)
    assert int(answers[-1][1]["Retry-After"]) == status["details"]["retryAfterSeconds"] >= 1
    running.kubectl("get", "namespaces")
    running.stop()
