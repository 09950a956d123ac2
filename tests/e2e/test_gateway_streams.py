"""The gateway's side of streams with nodes in memory: what is written down, when an idle one ends, and nodes that go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_server import RunningGateway, pod, running_status
from whole_cluster import wait_for

from actors.api.errors import Unavailable
from actors.api.streams import StreamRequest
from actors.gateway.config import AuditConfig
from actors.plugins.runtime.fake import Script
from actors.plugins.runtime.fake_streams import FakeProcess
from actors.plugins.runtime.port import Connection, Streams


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("gateway")
    gateway = RunningGateway(home, stream_idle_seconds=2, audit=AuditConfig(path=str(home / "audit.log")))
    gateway.make(pod("web"), "pods")
    gateway.place("web", "n1")
    gateway.set_status("pods", "default", "web", running_status())
    yield gateway
    gateway.stop()


def _says(gateway: RunningGateway, script: Script, *, forever: bool = False) -> None:
    def stream(request: StreamRequest) -> Streams | Connection:
        return FakeProcess(script, stdin=request.stdin, tty=request.tty, forever=forever)

    gateway.nodes.streams = stream


def test_what_the_node_is_asked_for(gateway: RunningGateway) -> None:
    _says(gateway, Script(stdout=("hi",), exit_code=4))
    said = gateway.kubectl("exec", "web", "--", "ls", "-l", "/a b", fails=True)
    assert (said.out, said.code) == ("hi\n", 4)
    asked = gateway.nodes.opened[-1]
    assert (asked.verb, asked.command, asked.container) == ("exec", ("ls", "-l", "/a b"), "main")
    assert (asked.stdin, asked.stdout, asked.stderr, asked.tty) == (False, True, True, False)


def test_it_is_written_down(gateway: RunningGateway) -> None:
    """Who executed what where: once when it began, once when it was over."""
    _says(gateway, Script())
    gateway.kubectl("exec", "web", "--", "audited-command")

    def written() -> list[dict[str, Any]] | None:
        """The client may have its last word a moment before the gateway writes that it was so."""
        text = (gateway.home / "audit.log").read_text()
        found = [json.loads(line) for line in text.splitlines() if "audited-command" in line]
        return found if len(found) > 1 else None

    events = wait_for("it is written down", written)
    assert [event["stage"] for event in events] == ["ResponseStarted", "ResponseComplete"]
    assert {event["responseStatus"]["code"] for event in events} == {101}
    reference = events[0]["objectRef"]
    assert (reference["resource"], reference["subresource"], reference["name"]) == ("pods", "exec", "web")
    assert "command=audited-command" in events[0]["requestURI"]


@pytest.mark.parametrize("verb", [("exec", "web", "--", "sleep"), ("attach", "web")])
def test_one_in_which_nothing_happens_is_ended(gateway: RunningGateway, verb: tuple[str, ...]) -> None:
    _says(gateway, Script(stdout=("here",)), forever=True)
    said = gateway.kubectl(*verb, fails=None, timeout_seconds=20)
    assert said.out == "here\n"


def test_a_node_that_is_away(gateway: RunningGateway) -> None:
    gateway.nodes.away.add("n1")
    try:
        said = gateway.kubectl("exec", "web", "--", "true", fails=True)
    finally:
        gateway.nodes.away.clear()
    assert "node n1 does not answer" in said.err


def test_a_node_that_refuses(gateway: RunningGateway) -> None:
    def refuse(request: StreamRequest) -> Streams | Connection:
        raise Unavailable("the node is full")

    gateway.nodes.streams = refuse
    assert "the node is full" in gateway.kubectl("exec", "web", "--", "true", fails=True).err


def test_a_node_that_dies_meanwhile_is_told(gateway: RunningGateway) -> None:
    """Not taken for success: nobody knows how the command ended."""

    class Dying(FakeProcess):
        async def read(self) -> tuple[int, bytes] | None:
            raise ConnectionResetError

    gateway.nodes.streams = lambda request: Dying(Script(), stdin=False, tty=False, forever=True)
    said = gateway.kubectl("exec", "web", "--", "true", fails=True)
    assert "the node has gone" in said.err


def test_a_pod_without_a_node(gateway: RunningGateway) -> None:
    gateway.make(pod("unplaced"), "pods")
    code, _, text = gateway.request("GET", "/api/v1/namespaces/default/pods/unplaced/exec?command=x&stdout=1")
    assert (code, json.loads(text)["message"]) == (400, "pod unplaced does not have a host assigned")


def test_bad_options_before_anything_else(gateway: RunningGateway) -> None:
    before = len(gateway.nodes.opened)
    for query, words in (("", "at least 1 of stdin"), ("stdout=1", "at least one command")):
        code, _, text = gateway.request("POST", f"/api/v1/namespaces/default/pods/web/exec?{query}")
        assert (code, words in json.loads(text)["message"]) == (400, True)
    assert len(gateway.nodes.opened) == before
    assert Path(gateway.home).exists()
