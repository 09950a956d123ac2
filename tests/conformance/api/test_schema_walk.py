"""schemathesis walks every operation of our own OpenAPI, with what the schemas allow and with what they forbid.

Nothing is a 5xx, nothing hangs, nothing fails inside the gateway. `make hostile` walks 10,000 requests; the tests a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from gateway_server import RunningGateway, deployment, pod
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from line import Line
from schemathesis.generation import GenerationMode

from actors.gateway import openapi

#: Half of the requests go to what is there: names that the schema allows are nearly never those of anything.
KNOWN = {"namespace": ["default", "kube-system"], "name": ["walked", "default", "kubernetes", "cluster-admin"]}


@pytest.fixture
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    served = RunningGateway(tmp_path_factory.mktemp("walk"), watch_seconds_max=1)
    served.make(pod("walked"), "pods")
    served.make(deployment("walked"), "deployments.apps")
    yield Line(served)
    failures = served.gateway.app.failures
    served.stop()
    assert failures == 0


def _operations() -> list[Any]:
    """Of every document; each knows its path, its parameters and its bodies."""
    found = []
    for path in openapi.v3_paths():
        schema = schemathesis.openapi.from_dict(openapi.v3_document(path))
        found += [result.ok() for result in schema.get_all_operations()]
    return found


def test_no_request_that_the_documents_lead_to_breaks_anything(line: Line, request: pytest.FixtureRequest) -> None:
    operations = _operations()
    codes: dict[int, int] = {}

    @settings(
        max_examples=request.config.getoption("--walk"),
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def walk(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(operations))
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        known = {name: data.draw(st.sampled_from(KNOWN[name])) for name in KNOWN if f"{{{name}}}" in operation.path}
        there = {"path_parameters": known} if known and data.draw(st.booleans()) else {}
        case = data.draw(operation.as_strategy(generation_mode=mode, **there))
        sent = requests.Request(**_arguments(case)).prepare()
        body = sent.body.encode("utf-8", "surrogatepass") if isinstance(sent.body, str) else sent.body
        headers = {name: value for name, value in sent.headers.items() if name != "Content-Length"}
        code = line.ask(sent.method or "GET", sent.path_url, body, headers=headers)
        codes[code] = codes.get(code, 0) + 1

    walk()
    print("answers by code:", dict(sorted(codes.items())))
    assert {200, 404} <= set(codes), "neither what is there nor what is not has been asked for"


def _arguments(case: Any) -> dict[str, Any]:
    given = case.as_transport_kwargs(base_url="https://gateway")
    return {name: given[name] for name in ("method", "url", "headers", "params", "data", "json") if name in given}
