from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, finish, node, start

from actors.api.clock import format_time
from actors.api.key import Key
from actors.controllers.indexes import format_indexes, parse_indexes

JOBS = "jobs.batch"


def job(name: str = "train", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": spec.pop("restartPolicy", "Never"), "containers": [{"name": "main", "image": "host"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod}, **spec},
    }


def pods(rig: Rig, *, live: bool = True) -> list[dict[str, Any]]:
    over = ("Succeeded", "Failed")
    found = rig.list("pods")
    if live:
        found = [p for p in found if p["status"]["phase"] not in over and "deletionTimestamp" not in p["metadata"]]
    return sorted(found, key=lambda p: p["metadata"].get("annotations", {}).get(INDEX, p["metadata"]["name"]))


INDEX = "batch.kubernetes.io/job-completion-index"


def status(rig: Rig, name: str = "train") -> dict[str, Any]:
    return rig.get(JOBS, name)["status"]


def conditions(rig: Rig) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in status(rig).get("conditions") or ()}


@pytest.fixture
def world(rig: Rig) -> Rig:
    rig.create(node("n", cpu=64))
    return rig


def end(rig: Rig, pod: dict[str, Any], phase: str = "Succeeded") -> None:
    finish(rig, pod["metadata"]["name"], phase)


def test_runs_to_completion_and_says_so_in_kubernetes_words(world: Rig) -> None:
    world.create(job(completions=3, parallelism=2))
    world.settle()
    assert len(pods(world)) == 2
    assert status(world)["active"] == 2
    for _ in range(3):
        end(world, pods(world)[0])
        world.settle()
    assert pods(world) == []
    assert status(world)["succeeded"] == 3
    assert conditions(world) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert status(world)["completionTime"]
    assert not any(p["metadata"].get("finalizers") for p in pods(world, live=False))


def test_a_job_completes_though_the_clock_was_set_back(world: Rig) -> None:
    world.create(job())
    world.settle()
    started = status(world)["startTime"]
    world.now -= 3_600_000
    end(world, pods(world)[0])
    world.settle()
    assert conditions(world)["Complete"][0] == "True"
    assert status(world)["completionTime"] == started


def test_indexed_gives_each_index_a_pod_its_environment_and_host_name(world: Rig) -> None:
    world.create(job(completions=3, parallelism=3, completionMode="Indexed"))
    world.settle()
    three = pods(world)
    assert [p["metadata"]["annotations"][INDEX] for p in three] == ["0", "1", "2"]
    assert [p["spec"]["hostname"] for p in three] == ["train-0", "train-1", "train-2"]
    assert three[1]["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "value": "1"}]
    assert three[1]["metadata"]["labels"][INDEX] == "1"
    assert three[1]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "train"
    end(world, three[0])
    end(world, three[2])
    world.settle()
    assert status(world)["completedIndexes"] == "0,2"
    end(world, three[1], "Failed")
    world.settle()
    assert status(world)["failed"] == 1
    world.advance(15_000)
    (again,) = pods(world)
    assert again["metadata"]["annotations"][INDEX] == "1"
    assert again["metadata"]["name"] != three[1]["metadata"]["name"]
    end(world, again)
    world.settle()
    assert status(world)["completedIndexes"] == "0-2"
    assert conditions(world)["Complete"] == ("True", "CompletionsReached")


def test_fails_past_its_backoff_limit_and_stops_what_runs(world: Rig) -> None:
    world.create(job(completions=4, parallelism=2, backoffLimit=0))
    world.settle()
    failing, running = pods(world)
    start(world, running["metadata"]["name"])
    end(world, failing, "Failed")
    world.settle()
    assert conditions(world)["FailureTarget"] == ("True", "BackoffLimitExceeded")
    assert "Failed" not in conditions(world)
    left = world.get("pods", running["metadata"]["name"])
    assert "deletionTimestamp" in left["metadata"]
    world.delete(Key("pods", "default", running["metadata"]["name"]), grace_period_seconds=0)
    world.settle()
    assert conditions(world)["Failed"] == ("True", "BackoffLimitExceeded")
    assert status(world)["failed"] == 2, "as in Kubernetes, what is taken down with a failed job has failed"


def test_a_failed_job_tells_how_the_pods_ended_that_it_took_down(world: Rig) -> None:
    world.create(job(completions=3, parallelism=3, backoffLimit=0, completionMode="Indexed"))
    world.settle()
    for pod in pods(world):
        start(world, pod["metadata"]["name"])
    first, stopped, lost = (Key("pods", "default", pod["metadata"]["name"]) for pod in pods(world))
    finish(world, first.name, "Failed")
    world.settle()
    assert "Failed" not in conditions(world), "two are still ending"
    died = {"terminated": {"exitCode": 143, "finishedAt": format_time(world.now)}}
    row = {"name": "main", "ready": False, "image": "host", "imageID": "", "state": died}
    world.patch(stopped, {"status": {"phase": "Failed", "containerStatuses": [row]}}, "status")
    for key in (stopped, lost):
        world.settle()
        world.delete(key, grace_period_seconds=0)
    world.settle()
    assert conditions(world)["Failed"] == ("True", "BackoffLimitExceeded")
    assert [pod["metadata"]["name"] for pod in pods(world, live=False)] == [first.name]
    noted = world.get(JOBS, "train")["metadata"]["annotations"]["raypod.io/stopped"]
    assert noted == f'{{"1":[143,"{stopped.name}"]}}', "nobody knows how the third ended"


def test_failures_back_off_but_disruptions_do_not(world: Rig) -> None:
    world.create(job(backoffLimit=6))
    world.settle()
    end(world, pods(world)[0], "Failed")
    world.settle()
    assert pods(world) == []
    world.advance(10_500)
    (second,) = pods(world)
    key = Key("pods", "default", second["metadata"]["name"])
    target = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
    world.patch(key, {"status": {"phase": "Failed", "conditions": [target]}}, "status")
    world.settle()
    assert len(pods(world)) == 1
    assert status(world)["failed"] == 2


@pytest.mark.parametrize("ahead_ms", [7_200_000, -7_200_000])
def test_a_clock_of_a_node_that_is_wrong_delays_no_replacement(world: Rig, ahead_ms: int) -> None:
    world.create(job(backoffLimit=6))
    world.settle()
    died = {"exitCode": 1, "finishedAt": format_time(world.now + ahead_ms)}
    row = {"name": "main", "ready": False, "image": "host", "imageID": "", "state": {"terminated": died}}
    key = Key("pods", "default", pods(world)[0]["metadata"]["name"])
    world.patch(key, {"status": {"phase": "Failed", "containerStatuses": [row]}}, "status")
    world.advance(10_500)
    assert len(pods(world)) == 1


def test_our_own_clock_set_back_delays_no_replacement(world: Rig) -> None:
    world.create(job(backoffLimit=6))
    world.settle()
    end(world, pods(world)[0], "Failed")
    world.settle()
    world.now -= 7_200_000
    world.advance(10_500)
    assert len(pods(world)) == 1


def test_deadline(world: Rig) -> None:
    world.create(job(activeDeadlineSeconds=30))
    world.advance(29_000)
    assert conditions(world) == {}
    world.advance(2_000)
    assert conditions(world)["FailureTarget"] == ("True", "DeadlineExceeded")


def test_ttl_deletes_the_finished_job_and_its_pods(world: Rig) -> None:
    world.create(job(ttlSecondsAfterFinished=60))
    world.settle()
    end(world, pods(world)[0])
    world.advance(59_000)
    assert world.get(JOBS, "train")
    world.advance(2_000)
    assert world.get(JOBS, "train") is None
    assert world.list("pods") == []


def test_suspend_and_resume_count_no_failure(world: Rig) -> None:
    world.create(job(parallelism=2, completions=2))
    world.settle()
    world.patch(Key(JOBS, "default", "train"), {"spec": {"suspend": True}})
    world.settle()
    for pod in pods(world, live=False):
        world.delete(Key("pods", "default", pod["metadata"]["name"]), grace_period_seconds=0)
    world.settle()
    assert world.list("pods") == []
    assert conditions(world)["Suspended"] == ("True", "JobSuspended")
    assert (status(world).get("failed", 0), status(world).get("startTime")) == (0, None)
    world.patch(Key(JOBS, "default", "train"), {"spec": {"suspend": False}})
    world.settle()
    assert len(pods(world)) == 2
    assert conditions(world)["Suspended"] == ("False", "JobResumed")


def test_less_parallelism_stops_pods_without_a_failure(world: Rig) -> None:
    world.create(job(parallelism=3, completions=9))
    world.settle()
    world.patch(Key(JOBS, "default", "train"), {"spec": {"parallelism": 1}})
    world.settle()
    assert len(pods(world)) == 1
    assert status(world).get("failed", 0) == 0


def test_a_pod_deleted_by_somebody_counts_as_failed_and_is_replaced(world: Rig) -> None:
    world.create(job())
    world.settle()
    world.delete(Key("pods", "default", pods(world)[0]["metadata"]["name"]))
    world.settle()
    assert len(pods(world)) == 1
    assert status(world)["failed"] == 1


def test_a_pod_force_deleted_before_it_was_counted_is_counted_all_the_same(world: Rig) -> None:
    world.create(job(completions=2, parallelism=2))
    world.settle()
    one, two = pods(world)
    end(world, one)
    world.delete(Key("pods", "default", one["metadata"]["name"]), grace_period_seconds=0)
    end(world, two, "Failed")
    world.delete(Key("pods", "default", two["metadata"]["name"]), grace_period_seconds=0)
    world.settle()
    assert (status(world)["succeeded"], status(world)["failed"]) == (1, 1)
    assert world.get("pods", one["metadata"]["name"]) is None


def test_a_pod_that_was_listed_as_failed_and_then_succeeds_counts_once(world: Rig) -> None:
    """It was on its way out when it was listed; before it loses its finalizer, it ends well."""
    world.create(job(completions=2, parallelism=1, podReplacementPolicy="TerminatingOrFailed"))
    world.settle()
    (one,) = pods(world)
    world.delete(Key("pods", "default", one["metadata"]["name"]))
    (controllers, *_) = world.cores
    world.deliver(controllers)
    world.step(controllers)
    assert status(world)["uncountedTerminatedPods"] == {"failed": [one["metadata"]["uid"]]}
    end(world, one)
    world.settle()
    for _ in range(3):
        for pod in pods(world):
            end(world, pod)
        world.settle()
    assert (status(world)["succeeded"], status(world)["failed"]) == (2, 1)


def test_deleting_the_job_takes_its_pods_along(world: Rig) -> None:
    world.create(job(parallelism=2, completions=2))
    world.settle()
    world.delete(Key(JOBS, "default", "train"))
    world.settle()
    for pod in world.list("pods"):
        assert "deletionTimestamp" in pod["metadata"] and not pod["metadata"].get("finalizers")


def test_restarts_in_place_count_against_the_limit(world: Rig) -> None:
    world.create(job(restartPolicy="OnFailure", backoffLimit=2))
    world.settle()
    key = Key("pods", "default", pods(world)[0]["metadata"]["name"])
    state = {"running": {}}
    row = {"name": "main", "restartCount": 2, "ready": True, "image": "host", "imageID": "", "state": state}
    world.patch(key, {"status": {"phase": "Running", "containerStatuses": [row]}}, "status")
    world.settle()
    assert conditions(world)["FailureTarget"] == ("True", "BackoffLimitExceeded")


def test_a_work_queue_is_done_when_one_succeeded_and_none_runs(world: Rig) -> None:
    world.create(job(parallelism=2))
    world.settle()
    one, two = pods(world)
    end(world, one)
    world.settle()
    assert len(pods(world)) == 1 and conditions(world) == {}
    end(world, two)
    world.settle()
    assert conditions(world)["Complete"][0] == "True"


@pytest.mark.parametrize(
    ("indexes", "text"), [((), ""), ((0,), "0"), ((0, 1), "0,1"), ((1, 2, 3), "1-3"), ((0, 2, 3, 4, 9), "0,2-4,9")]
)
def test_index_text(indexes: tuple[int, ...], text: str) -> None:
    assert format_indexes(indexes) == text
    assert parse_indexes(text, 10) == set(indexes)


def test_index_text_from_a_stranger_is_bounded() -> None:
    assert parse_indexes("x,3-,0-99999999999,-5", 4) == {0, 1, 2, 3}
