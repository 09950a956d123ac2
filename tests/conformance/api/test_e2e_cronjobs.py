"""Kubernetes' test/e2e/apps/cronjob.go: "should support CronJob API operations". What a CronJob does by and by is tested
with a clock of our own (tests/unit/controllers/test_controllers_cronjob.py)."""

from __future__ import annotations

from typing import Any

from living_cluster import eventually
from workload_client import Workloads

from actors.api.clock import format_time
from actors.store.local import read_clock

Json = dict[str, Any]


def cron_job(name: str, schedule: str, **spec: Any) -> Json:
    container = {"name": "c", "image": "busybox", "command": ["/bin/sh", "-c", "exit 0"]}
    template = {"spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [container]}}}}
    spec = {"schedule": schedule, "concurrencyPolicy": "Allow", "jobTemplate": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


def test_the_api(work: Workloads) -> None:
    path, mark = work.batch("cronjobs"), {"special-label": work.namespace}
    selector = f"special-label={work.namespace}"
    groups = {group["name"]: group for group in work.get("/apis").ok()["groups"]}
    assert "batch/v1" in {version["groupVersion"] for version in groups["batch"]["versions"]}
    resources = {row["name"] for row in work.get("/apis/batch/v1").ok()["resources"]}
    assert {"cronjobs", "cronjobs/status"} <= resources
    for number in range(3):
        obj = cron_job(f"e2e-{number}", "0 0 1 1 *", suspend=False)
        obj["metadata"]["labels"] = mark
        made = work.post(path, obj).ok()
    one = f"{path}/{made['metadata']['name']}"
    assert work.get(one).ok()["metadata"]["uid"] == made["metadata"]["uid"]
    everywhere = work.get("/apis/batch/v1/cronjobs", labelSelector=selector)
    assert len(everywhere.names) == len(work.items(path, selector)) == 3
    watch = work.watch(path, 20, resourceVersion=everywhere.revision, labelSelector=selector)
    patched = work.patch("merge", one, {"metadata": {"annotations": {"patched": "true"}}}).ok()
    assert patched["metadata"]["annotations"]["patched"] == "true"
    updated = work.change(one, lambda c: c["metadata"]["annotations"].update(updated="true"))
    assert updated["metadata"]["annotations"]["updated"] == "true"
    while watch.next()["object"]["metadata"]["annotations"].get("updated") != "true":
        pass
    watch.close()
    now = format_time(read_clock())
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"lastScheduleTime": now}}
    told = work.patch("merge", f"{one}/status", patch).ok()
    assert (told["status"]["lastScheduleTime"], told["metadata"]["annotations"]["patchedstatus"]) == (now, "true")
    later = format_time(read_clock() + 1000)

    def update() -> bool:
        obj = work.get(one).ok()
        obj["status"]["lastScheduleTime"] = later
        answer = work.put(f"{one}/status", obj)
        return answer.code == 200 and answer.json["status"]["lastScheduleTime"] == later

    eventually("updated", update)
    assert work.get(f"{one}/status").ok()["metadata"]["uid"] == made["metadata"]["uid"]
    work.delete(one).ok()
    assert work.get(one).code == 404
    work.delete(path, labelSelector=selector).ok()
    assert work.items(path, selector) == []


def test_one_that_falls_due_soon_makes_a_job_that_runs(work: Workloads) -> None:
    work.post(work.batch("cronjobs"), cron_job("soon", "@every 1s", successfulJobsHistoryLimit=1)).ok()
    path = work.batch("cronjobs/soon")
    done = work.until(path, "a success", lambda c: c.get("status", {}).get("lastSuccessfulTime"))
    assert done["status"]["lastScheduleTime"]
    (job, *_) = work.items(work.batch("jobs"))
    assert job["metadata"]["ownerReferences"][0]["uid"] == done["metadata"]["uid"]
    work.delete(path, {"propagationPolicy": "Background"}).ok()
    eventually("its jobs go", lambda: not work.items(work.batch("jobs")))
