"""CronJobs by a clock of our own: Kubernetes' test/e2e/apps/cronjob.go, without its minutes of waiting."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from corerig import START_MS, Rig, finish

from actors.api.clock import format_time, parse_time
from actors.api.key import Key
from actors.controllers.schedule import parse_schedule

MINUTE = 60_000
#: Of the rig's first moment, the minute that has begun.
THIS_MINUTE = START_MS // MINUTE


def cron_job(schedule: str = "*/1 * * * ?", policy: str = "Allow", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "busybox"}]}
    template = {"metadata": {"labels": {"kind": "made"}}, "spec": {"template": {"spec": pod}}}
    spec = {"schedule": schedule, "concurrencyPolicy": policy, "jobTemplate": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec}


def jobs(rig: Rig) -> list[str]:
    return [job["metadata"]["name"] for job in rig.list("jobs.batch")]


def status(rig: Rig) -> dict[str, Any]:
    found = rig.get("cronjobs.batch", "tick")
    assert found is not None
    return dict(found.get("status") or {})


def end_pods(rig: Rig, phase: str = "Succeeded") -> None:
    for pod in rig.list("pods"):
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            finish(rig, pod["metadata"]["name"], phase)
    rig.settle()


def test_several_at_once(rig: Rig) -> None:
    """should schedule multiple jobs concurrently"""
    rig.create(cron_job())
    rig.settle()
    assert jobs(rig) == []
    rig.advance(2 * MINUTE)
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 1}", f"tick-{THIS_MINUTE + 2}"]
    assert [ref["name"] for ref in status(rig)["active"]] == jobs(rig)
    assert status(rig)["lastScheduleTime"] == format_time((THIS_MINUTE + 2) * MINUTE)
    made = rig.list("jobs.batch")[0]["metadata"]
    assert made["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] == format_time(
        (THIS_MINUTE + 1) * MINUTE
    )
    assert (made["labels"]["kind"], made["ownerReferences"][0]["kind"]) == ("made", "CronJob")


def test_none_while_suspended(rig: Rig) -> None:
    """should not schedule jobs when suspended; resumed, the last that was missed is made up for"""
    rig.create(cron_job(suspend=True))
    rig.advance(5 * MINUTE)
    assert jobs(rig) == []
    rig.patch(Key("cronjobs.batch", "default", "tick"), {"spec": {"suspend": False}})
    rig.settle()
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 5}"]


def test_one_at_a_time_where_others_are_forbidden(rig: Rig) -> None:
    """should not schedule new jobs when ForbidConcurrent; should be able to schedule after more than 100 missed"""
    rig.create(cron_job(policy="Forbid"))
    rig.advance(3 * MINUTE)
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 1}"]
    assert "JobAlreadyActive" in {event["reason"] for event in rig.list("events")}
    end_pods(rig)
    rig.advance(200 * MINUTE)
    assert len(jobs(rig)) == 2 and len(status(rig)["active"]) == 1


def test_the_next_replaces_the_one_before(rig: Rig) -> None:
    """should replace jobs when ReplaceConcurrent"""
    rig.create(cron_job(policy="Replace"))
    rig.advance(2 * MINUTE)
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 2}"]
    assert [ref["name"] for ref in status(rig)["active"]] == jobs(rig)


def test_what_has_ended_is_no_longer_active(rig: Rig) -> None:
    """should remove from active list jobs that have been deleted; should delete successful / failed finished jobs"""
    rig.create(cron_job(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0))
    rig.advance(MINUTE)
    rig.delete(Key("jobs.batch", "default", jobs(rig)[0]))
    rig.settle()
    assert "active" not in status(rig)
    rig.advance(MINUTE)
    end_pods(rig)
    assert "active" not in status(rig) and status(rig)["lastSuccessfulTime"]
    rig.advance(MINUTE)
    end_pods(rig)
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 3}"]
    told = [event["message"] for event in rig.list("events") if event["reason"] == "SawCompletedJob"]
    assert sorted(told) == [f"Saw completed job: tick-{THIS_MINUTE + n}, condition: Complete" for n in (2, 3)]


def test_after_a_long_time_only_the_last_is_made_up_for(rig: Rig) -> None:
    rig.create(cron_job())
    rig.settle()
    rig.now += 1000 * MINUTE
    rig.settle()
    assert jobs(rig) == [f"tick-{THIS_MINUTE + 1000}"]


QUOTA = Key("resourcequotas", "default", "q")


def test_a_job_that_is_refused_is_made_once_there_is_room(rig: Rig) -> None:
    hard = {"hard": {"count/jobs.batch": "0"}}
    rig.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    rig.create(cron_job("0 0 * * *"))
    rig.settle()
    rig.now = parse_time("2026-12-01T00:00:05Z")
    rig.advance(MINUTE)
    assert jobs(rig) == [] and "lastScheduleTime" not in status(rig)
    told = [event["message"] for event in rig.list("events") if event["reason"] == "FailedCreate"]
    assert told and told[0].startswith("Error creating:") and "exceeded quota" in told[0]
    rig.patch(QUOTA, {"spec": {"hard": {"count/jobs.batch": "1"}}})
    rig.advance(2 * MINUTE)
    assert jobs(rig) == [f"tick-{parse_time('2026-12-01T00:00:00Z') // MINUTE}"]
    assert status(rig)["lastScheduleTime"] == "2026-12-01T00:00:00Z"


def test_a_job_of_somebody_else_that_has_the_name_is_left_alone(rig: Rig) -> None:
    made = cron_job()["spec"]["jobTemplate"] | {"apiVersion": "batch/v1", "kind": "Job"}
    rig.create(made | {"metadata": {"name": f"tick-{THIS_MINUTE + 1}"}})
    rig.create(cron_job())
    rig.advance(MINUTE)
    assert status(rig) == {} and len(jobs(rig)) == 1
    rig.advance(MINUTE)
    assert [ref["name"] for ref in status(rig)["active"]] == [f"tick-{THIS_MINUTE + 2}"]


def test_what_has_ended_before_its_time_was_noted_is_not_made_again(rig: Rig) -> None:
    rig.create(cron_job("0 0 1 12 *", successfulJobsHistoryLimit=0))
    rig.settle()
    rig.now = parse_time("2026-12-01T00:00:00Z")
    (controllers, *_) = rig.cores
    while not jobs(rig):
        rig.deliver(controllers)
        rig.step(controllers)
    job = Key("jobs.batch", "default", jobs(rig)[0])
    start = format_time(rig.now)
    rows = [{"type": type_, "status": "True"} for type_ in ("SuccessCriteriaMet", "Complete")]
    rig.patch(job, {"status": {"conditions": rows, "startTime": start, "completionTime": start}}, "status")
    rig.advance(2 * MINUTE)
    assert jobs(rig) == [] and status(rig)["lastScheduleTime"] == start
    made = [event for event in rig.list("events") if event["reason"] == "SuccessfulCreate"]
    assert [event.get("count", 1) for event in made if event["involvedObject"]["kind"] == "CronJob"] == [1]


def test_a_deadline_that_has_passed_is_passed(rig: Rig) -> None:
    rig.create(cron_job("0 0 1 1 *", startingDeadlineSeconds=30))
    rig.settle()
    rig.now = parse_time("2027-01-01T00:01:00Z")
    rig.settle()
    assert jobs(rig) == []


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "due"),
    [
        ("*/1 * * * ?", None, "2026-11-23T21:30:00Z", "2026-11-23T21:31:00Z"),
        ("30 4 * * *", None, "2026-11-23T04:30:00Z", "2026-11-24T04:30:00Z"),
        ("0 0 29 2 *", None, "2026-11-23T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 31 2 *", None, "2026-11-23T00:00:00Z", None),
        ("0 9-17/4 * * MON-FRI", None, "2026-11-27T17:00:00Z", "2026-11-30T09:00:00Z"),
        ("0 0 13 * 5", None, "2026-11-23T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("0 0 */2 * 5", None, "2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z"),
        ("5/20 * * * *", None, "2026-11-23T21:26:00Z", "2026-11-23T21:45:00Z"),
        ("@hourly", None, "2026-11-23T21:26:00Z", "2026-11-23T22:00:00Z"),
        ("@weekly", None, "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"),
        ("@every 1m30s", None, "2026-11-23T00:00:00Z", "2026-11-23T00:01:30Z"),
        ("0 8 * * *", "America/New_York", "2026-11-23T00:00:00Z", "2026-11-23T13:00:00Z"),
        ("0 8 * * *", "America/New_York", "2026-07-01T00:00:00Z", "2026-07-01T12:00:00Z"),
    ],
)
def test_when_a_schedule_falls_due(schedule: str, zone: str | None, after: str, due: str | None) -> None:
    found = parse_schedule(schedule, zone).next_after(parse_time(after))
    assert (format_time(found) if found is not None else None) == due


def test_a_schedule_falls_due_once_a_day_also_where_clocks_are_changed() -> None:
    schedule, zone = parse_schedule("30 2 * * *", "Europe/Berlin"), ZoneInfo("Europe/Berlin")
    at, seen = parse_time("2026-01-01T00:00:00Z"), []
    for _ in range(365):
        at = schedule.next_after(at) or 0
        seen.append(datetime.fromtimestamp(at / 1000, zone).date())
    assert len(set(seen)) >= 364


def test_no_zone_of_that_name() -> None:
    with pytest.raises(ValueError, match="unknown time zone Nowhere"):
        parse_schedule("* * * * *", "Nowhere/There")
