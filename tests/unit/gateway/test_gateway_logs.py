from __future__ import annotations

import msgspec
import pytest

from actors.api.errors import BadRequest, Invalid
from actors.api.pod import Pod
from actors.gateway.logs import check_started, choose_container, parse_options
from actors.gateway.options import parse_query


def pod(containers: list[str], status: dict[str, object] | None = None, **fields: object) -> Pod:
    spec = {
        "containers": [{"name": name} for name in containers],
        "nodeName": "n1",
        "initContainers": [{"name": "init"}],
    }
    return msgspec.convert({"metadata": {"name": "p", **fields}, "spec": spec, "status": status or {}}, Pod)


def test_which_container() -> None:
    assert choose_container(pod(["a"]), "") == "a"
    assert choose_container(pod(["a", "b"]), "b") == "b"
    assert choose_container(pod(["a", "b"]), "init") == "init"
    assert choose_container(pod(["a", "b"], annotations={"kubectl.kubernetes.io/default-container": "b"}), "") == "b"
    told = "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [init]"
    with pytest.raises(BadRequest) as refused:
        choose_container(pod(["a", "b"]), "")
    assert refused.value.message == told
    with pytest.raises(BadRequest, match=r"^container x is not valid for pod p$"):
        choose_container(pod(["a"]), "x")


RUNNING = {"running": {"startedAt": "2026-11-23T10:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("state", "last", "previous", "readable"),
    [
        (RUNNING, {}, False, True),
        (ENDED, {}, False, True),
        (WAITING, ENDED, False, True),
        (WAITING, {}, False, False),
        (RUNNING, {}, True, False),
        (WAITING, ENDED, True, True),
    ],
)
def test_whether_there_is_a_log(state: dict, last: dict, previous: bool, readable: bool) -> None:
    status = {"phase": "Running", "containerStatuses": [{"name": "a", "state": state, "lastState": last}]}
    if readable:
        check_started(pod(["a"], status), "a", previous)
    else:
        with pytest.raises(BadRequest):
            check_started(pod(["a"], status), "a", previous)


def test_a_pod_that_ended_without_telling_may_still_have_a_log() -> None:
    check_started(pod(["a"], {"phase": "Failed"}), "a", False)


def test_options() -> None:
    options = parse_options(parse_query("container=c&follow=true&tailLines=5&timestamps=1&limitBytes=9&previous=false"))
    assert (options.container, options.follow, options.tail_lines, options.timestamps) == ("c", True, 5, True)
    assert (options.bytes_max, options.previous) == (9, False)
    with pytest.raises(Invalid) as refused:
        parse_options(parse_query("tailLines=-1&limitBytes=0&sinceSeconds=0"))
    assert [cause.field for cause in refused.value.causes] == ["tailLines", "limitBytes", "sinceSeconds"]
