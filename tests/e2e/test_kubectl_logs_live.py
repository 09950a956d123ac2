"""Logs of containers that really run: every option, through rotations and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from whole_cluster import WholeCluster, wait_for

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "writer"


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    """Its first run says five lines in about a second and a half and ends; the second one stays."""
    script = (
        "[ -e /shared/seen ] && { echo second run; exec sleep 1000; }; touch /shared/seen; "
        "echo one; echo two; sleep 1.5; echo three; sleep 0.2; echo four >&2; sleep 0.2; echo five; exit 4"
    )
    main = {"name": "main", "image": "host", "command": ["sh", "-c", script]}
    main["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]  # type: ignore[assignment]  # a list beside texts
    spec = {"terminationGracePeriodSeconds": 0, "containers": [main], "volumes": [{"name": "shared", "emptyDir": {}}]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    wait_for("it runs again", lambda: whole.kubectl("logs", POD, check=False).out == "second run\n")
    yield POD
    whole.kubectl("delete", "pod", POD)


def test_the_run_before(whole: WholeCluster, pod: str) -> None:
    assert whole.kubectl("logs", pod, "-p").out == "one\ntwo\nthree\nfour\nfive\n"
    assert whole.kubectl("logs", pod, "-p", "--tail=2").out == "four\nfive\n"
    assert whole.kubectl("logs", pod, "-p", "--limit-bytes=6").out == "one\ntw"
    assert whole.kubectl("logs", pod, "-p", "-f").out.endswith("five\n"), "it has ended: following it ends"


def test_since_a_time(whole: WholeCluster, pod: str) -> None:
    """To the fraction of a second that the lines bear."""
    stamped = [line.split(" ", 1) for line in whole.kubectl("logs", pod, "-p", "--timestamps").out.splitlines()]
    assert [text for _, text in stamped] == ["one", "two", "three", "four", "five"]
    third = stamped[2][0]
    assert whole.kubectl("logs", pod, "-p", f"--since-time={third}").out == "three\nfour\nfive\n"
    assert whole.kubectl("logs", pod, "-p", f"--since-time={third}", "--tail=1").out == "five\n"
    assert whole.kubectl("logs", pod, "-p", "--since=1h").out.startswith("one\n")
    assert whole.kubectl("logs", pod, "-p", "--since-time=2099-01-01T00:00:00Z").out == ""


def test_one_stream_alone(whole: WholeCluster, pod: str) -> None:
    path = f"/api/v1/namespaces/default/pods/{pod}/log?previous=true&stream="
    assert whole.kubectl("get", "--raw", f"{path}Stderr").out == "four\n"
    assert whole.kubectl("get", "--raw", f"{path}Stdout").out == "one\ntwo\nthree\nfive\n"


def test_following_through_rotations(whole: WholeCluster) -> None:
    """25 MB, where a file holds ten: each line once, in order."""
    script = 'i=0; while [ $i -lt 25 ]; do seq -f "$i %010.0f $(printf %080d 0)" 10000; i=$((i+1)); sleep 0.05; done'
    run = whole.cluster.run("rotated", image="host", command=["bash", "-c", script])
    lines = [line.split()[:2] for line in run.logs(follow=True)]
    assert len(lines) == 250_000
    assert lines == sorted(lines, key=lambda words: (int(words[0]), words[1]))
    assert len({tuple(words) for words in lines}) == 250_000
    run.delete()


def test_following_a_run_over_its_retries(whole: WholeCluster) -> None:
    """A container that fails is tried again in a new pod, and the follower goes on with it."""
    run: raypod.Run = whole.cluster.run(
        "tried-again", image="host", command=["sh", "-c", "echo try; sleep 0.3; exit 1"], retries=2
    )
    assert list(run.logs(follow=True)) == ["try"] * 3
    run.delete()
