"""Kubernetes' test/e2e/apps/job.go and ttl_after_finished.go. What a pod does is told by its command (`exit N`)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from living_cluster import eventually
from workload_client import Workloads, owners

from actors.api.clock import format_time
from actors.store.local import read_clock

Json = dict[str, Any]
FOREVER, SUCCEED, FAIL = "sleep 1000000", "exit 0", "exit 1"
FAIL_ODD = "exit $(expr ${JOB_COMPLETION_INDEX} % 2)"


def job(name: str, command: str, parallelism: int = 2, completions: int = 4, **spec: Any) -> Json:
    container = {"name": "c", "image": "busybox", "command": ["/bin/sh", "-c", command]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": {"job": name}}, "spec": pod}
    spec = {"parallelism": parallelism, "completions": completions, "backoffLimit": 6, "template": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def make(work: Workloads, obj: Json) -> tuple[str, Json]:
    made = work.post(work.batch("jobs"), obj).ok()
    return work.batch(f"jobs/{made['metadata']['name']}"), made


def condition(obj: Json, type_: str) -> Json:
    rows = [row for row in obj["status"].get("conditions") or () if row["type"] == type_ and row["status"] == "True"]
    return rows[0] if rows else {}


def completed(work: Workloads, path: str, completions: int) -> Json:
    return work.until(
        path, "complete", lambda j: j["status"].get("succeeded") == completions and condition(j, "Complete")
    )


def test_runs_to_completion(work: Workloads) -> None:
    """should run a job to completion when tasks succeed"""
    path, _ = make(work, job("all-succeed", SUCCEED))
    done = completed(work, path, 4)
    assert done["status"]["completionTime"] and condition(done, "SuccessCriteriaMet")
    pods = work.items("pods", "job-name=all-succeed")
    assert [pod["status"]["phase"] for pod in pods].count("Succeeded") == 4
    assert all(not pod["metadata"].get("finalizers") for pod in pods)


def test_pods_of_an_indexed_job_know_their_index(work: Workloads) -> None:
    """should create pods for an Indexed job with completion indexes and specified hostname"""
    path, _ = make(work, job("indexed-job", SUCCEED, completionMode="Indexed"))
    assert completed(work, path, 4)["status"]["completedIndexes"] == "0-3"
    seen = set()
    for pod in work.items("pods", "job-name=indexed-job"):
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert pod["spec"]["hostname"] == f"indexed-job-{index}"
        seen.add(int(index))
    assert seen == {0, 1, 2, 3}


def test_suspension(work: Workloads) -> None:
    """should not create pods when created in suspend state; should delete pods when suspended"""
    path, _ = make(work, job("suspend", FOREVER, suspend=True))
    work.until(path, "suspended", lambda j: condition(j, "Suspended"))
    assert work.items("pods") == []
    work.change(path, lambda j: j["spec"].update(suspend=False))
    work.running(2)
    work.until(path, "two are ready", lambda j: j["status"].get("ready") == 2 and not condition(j, "Suspended"))
    work.change(path, lambda j: j["spec"].update(suspend=True))
    work.running(0)
    assert work.until(path, "suspended", lambda j: condition(j, "Suspended"))["status"].get("ready", 0) == 0


def test_adopts_orphans_and_lets_go_of_strays(work: Workloads) -> None:
    """should adopt matching orphans and release non-matching pods"""
    _, made = make(work, job("adopt-release", FOREVER))
    uid = made["metadata"]["uid"]
    one = work.running(2, "job=adopt-release")[0]["metadata"]["name"]
    work.change(f"pods/{one}", lambda pod: pod["metadata"].pop("ownerReferences"))
    again = work.until(f"pods/{one}", "adopted again", lambda pod: owners(pod) == [uid])
    assert again["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    assert "deletionTimestamp" not in again["metadata"]
    work.change(f"pods/{one}", lambda pod: pod["metadata"].pop("labels"))
    free = work.until(f"pods/{one}", "released", lambda pod: owners(pod) == [])
    assert "finalizers" not in free["metadata"]
    work.running(2, "job=adopt-release")


def test_a_job_fails_after_its_deadline(work: Workloads) -> None:
    """should fail when exceeds active deadline"""
    path, _ = make(work, job("exceed-active-deadline", FOREVER, activeDeadlineSeconds=1))
    assert (
        condition(work.until(path, "failed", lambda j: condition(j, "Failed")), "Failed")["reason"]
        == "DeadlineExceeded"
    )


def test_a_job_fails_after_its_retries(work: Workloads) -> None:
    """should fail to exceed backoffLimit"""
    path, _ = make(work, job("backofflimit", FAIL, 1, 1, backoffLimit=1))
    failed = work.until(path, "failed", lambda j: condition(j, "Failed"))
    assert condition(failed, "Failed")["reason"] == "BackoffLimitExceeded"
    assert [pod["status"]["phase"] for pod in work.items("pods", "job=backofflimit")] == ["Failed", "Failed"]


def test_a_deleted_job_takes_its_pods_along(work: Workloads) -> None:
    """should delete a job; should remove pods when job is deleted"""
    path, _ = make(work, job("foo", FOREVER))
    work.running(2)
    work.delete(path, {"propagationPolicy": "Background"}).ok()
    work.gone(path)
    work.running(0)


def test_without_a_policy_pods_stay_and_the_client_is_warned(work: Workloads) -> None:
    """rest.OrphanDependents of batch/v1 (pkg/registry/batch/job/strategy.go)"""
    path, _ = make(work, job("left", FOREVER))
    work.running(2)
    answer = work.delete(path)
    assert "child pods are preserved by default when jobs are deleted" in answer.headers["Warning"]
    work.gone(path)
    pods = work.running(2)
    assert [owners(pod) for pod in pods] == [[], []]
    assert "Warning" not in work.delete(work.batch("jobs"), {"propagationPolicy": "Orphan"}).headers


def test_status_is_patched_replaced_and_read(work: Workloads) -> None:
    """should apply changes to a job status"""
    path, _ = make(work, job("suspended-in-status", FOREVER, 1, 1))
    work.running(1)
    before = work.until(path, "started", lambda j: j["status"].get("startTime") and j["status"].get("ready") == 1)
    now = format_time(read_clock())
    row = {"type": "CustomConditionType", "status": "True", "lastTransitionTime": now}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"conditions": [row]}}
    patched = work.patch("merge", f"{path}/status", patch).ok()
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    assert patched["status"]["startTime"] == before["status"]["startTime"]
    later = format_time(read_clock() + 1000)

    def update() -> Json | None:
        obj = work.get(path).ok()
        obj["status"]["conditions"] = [{"type": "CustomConditionType", "status": "True", "lastTransitionTime": later}]
        answer = work.put(f"{path}/status", obj)
        return None if answer.code == 409 else answer.ok()

    updated = eventually("updated", update)
    assert updated["status"]["conditions"][0]["lastTransitionTime"] == later
    assert work.get(f"{path}/status").ok()["status"]["conditions"][0]["type"] == "CustomConditionType"


def test_the_lifecycle(work: Workloads) -> None:
    """should manage the lifecycle of a job"""
    labels = {"e2e-job-label": work.namespace}
    obj = job("e2e", SUCCEED, 1, 1, suspend=True)
    obj["metadata"]["labels"] = labels
    revision = work.get(work.batch("jobs")).revision
    watch = work.watch(
        work.batch("jobs"), 60, labelSelector=f"e2e-job-label={work.namespace}", resourceVersion=revision
    )
    path, _ = make(work, obj)
    assert watch.next()["type"] == "ADDED"
    patched = work.patch("strategic", path, {"metadata": {"labels": {"e2e": "patched"}}}).ok()
    assert patched["metadata"]["labels"]["e2e"] == "patched"
    while "e2e" not in watch.next()["object"]["metadata"]["labels"]:
        pass

    def start(j: Json) -> None:
        j["spec"]["suspend"] = False
        j["metadata"].setdefault("annotations", {})["updated"] = "true"

    assert work.change(path, start)["metadata"]["annotations"]["updated"] == "true"
    completed(work, path, 1)
    everywhere = work.items("/apis/batch/v1/jobs", f"e2e-job-label={work.namespace}")
    assert [item["metadata"]["name"] for item in everywhere] == ["e2e"]
    options = {"propagationPolicy": "Background"}
    work.delete(work.batch("jobs"), options, labelSelector=f"e2e-job-label={work.namespace}").ok()
    while watch.next()["type"] != "DELETED":
        pass
    watch.close()
    work.running(0)


def failure_policy(*rules: Json) -> Json:
    return {"podFailurePolicy": {"rules": list(rules)}}


def test_an_exit_code_fails_the_job_at_once(work: Workloads) -> None:
    """should allow to use the pod failure policy on exit code to fail the job early"""
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
    obj = job("pod-failure-failjob", FOREVER, **failure_policy(rule))
    path, _ = make(work, obj)
    one = work.running(2)[0]["metadata"]["name"]
    work.living.end_pod(work.namespace, one, 1)
    failed = condition(work.until(path, "failed", lambda j: condition(j, "Failed")), "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    assert failed["message"] == (
        f"Container c for pod {work.namespace}/{one} failed with exit code 1 matching FailJob rule at index 0"
    )


def test_disruptions_are_no_failures_where_the_policy_says_so(work: Workloads) -> None:
    """should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition"""
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    obj = job("pod-failure-ignore", FOREVER, 2, 2, backoffLimit=0, completionMode="Indexed", **failure_policy(rule))
    path, _ = make(work, obj)
    first = work.running(2)
    for pod in first:
        name = pod["metadata"]["name"]
        row = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        work.patch("strategic", f"pods/{name}/status", {"status": {"conditions": [row]}}).ok()
        work.living.end_pod(work.namespace, name, 137)
    eventually("both are replaced", lambda: len(work.items("pods")) == 4)
    for pod in work.running_now():
        work.living.end_pod(work.namespace, pod["metadata"]["name"], 0)
    done = completed(work, path, 2)
    assert done["status"].get("failed", 0) == 0


def failed_by_index(work: Workloads, obj: Json, **spec: Any) -> Json:
    """Its status, once it has failed."""
    del obj["spec"]["backoffLimit"]
    obj["spec"] |= {"completionMode": "Indexed", **spec}
    path, _ = make(work, obj)
    return work.until(path, "failed", lambda j: condition(j, "Failed"))


def indexes(failed: Json) -> tuple[str, str, int, int]:
    status = failed["status"]
    told = status["failedIndexes"], status.get("completedIndexes", "")
    return *told, status.get("failed", 0), status.get("succeeded", 0)


def test_every_index_is_tried_though_some_fail(work: Workloads) -> None:
    """should execute all indexes despite some failing when using backoffLimitPerIndex"""
    failed = failed_by_index(work, job("with-backoff-limit-per-index", FAIL_ODD), backoffLimitPerIndex=1)
    assert indexes(failed) == ("1,3", "0,2", 4, 2)
    assert condition(failed, "Failed")["reason"] == "FailedIndexes"


def test_too_many_failed_indexes_end_the_job(work: Workloads) -> None:
    """should terminate job execution when the number of failed indexes exceeds maxFailedIndexes"""
    obj = job("with-max-failed-indexes", FAIL, 1)
    failed = failed_by_index(work, obj, backoffLimitPerIndex=0, maxFailedIndexes=0)
    assert indexes(failed) == ("0", "", 1, 0)
    assert condition(failed, "Failed")["reason"] == "MaxFailedIndexesExceeded"


def test_a_pod_says_how_often_its_index_has_failed(work: Workloads) -> None:
    """should record the failure-count in the Pod annotation when using backoffLimitPerIndex"""
    failed = failed_by_index(work, job("backofflimitperindex", FAIL, 2, 2), backoffLimitPerIndex=1)
    assert indexes(failed) == ("0,1", "", 4, 0)
    marks = [pod["metadata"]["annotations"] for pod in work.items("pods", "job=backofflimitperindex")]
    prefix = "batch.kubernetes.io/job-"
    told = sorted((mark[f"{prefix}completion-index"], mark[f"{prefix}index-failure-count"]) for mark in marks)
    assert told == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]


def test_a_failure_policy_fails_an_index_at_once(work: Workloads) -> None:
    """should mark indexes as failed when the FailIndex action is matched in podFailurePolicy"""
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}
    obj = job("matching-fail-index-action", FAIL_ODD, 2, 2, **failure_policy(rule))
    assert indexes(failed_by_index(work, obj, backoffLimitPerIndex=1)) == ("1", "0", 1, 1)


def test_a_pod_is_replaced_only_when_it_has_failed(work: Workloads) -> None:
    """should recreate pods only after they have failed if pod replacement policy is set to Failed"""
    path, _ = make(work, job("pod-recreate-failed", FOREVER, 1, 1, backoffLimit=1, podReplacementPolicy="Failed"))
    pod = work.running(1)[0]["metadata"]["name"]
    lingering = work.living.kubelets.lingering
    lingering.add((work.namespace, pod))
    work.delete(f"pods/{pod}", {"gracePeriodSeconds": 30}).ok()

    def counts(status: Json) -> list[int]:
        return [status.get(name, 0) for name in ("active", "failed", "terminating")]

    work.until(path, "one terminates, none takes its place", lambda j: counts(j["status"]) == [0, 0, 1])
    time.sleep(0.3)
    assert len(work.items("pods")) == 1
    work.patch("merge", f"pods/{pod}/status", {"status": {"phase": "Failed"}}).ok()
    lingering.clear()
    work.living.look_again()
    work.until(path, "another is there", lambda j: counts(j["status"]) == [1, 1, 0])


@pytest.mark.parametrize(
    ("rule", "ending"),
    [({"succeededIndexes": "0-1"}, [0, 1]), ({"succeededIndexes": "0"}, [0]), ({"succeededCount": 1}, [1])],
)
def test_a_policy_says_what_is_success_enough(work: Workloads, rule: Json, ending: list[int]) -> None:
    """with successPolicy should succeeded when all indexes succeeded; succeededIndexes rule, succeededCount rule should
    succeeded even when some indexes remain pending"""
    policy = {"completionMode": "Indexed", "successPolicy": {"rules": [rule]}}
    path, _ = make(work, job("with-success-policy", FOREVER, 2, 2, **policy))
    for pod in work.running(2):
        if int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]) in ending:
            work.living.end_pod(work.namespace, pod["metadata"]["name"], 0)
    done = work.until(path, "complete", lambda j: condition(j, "Complete"))
    for type_ in ("SuccessCriteriaMet", "Complete"):
        row = condition(done, type_)
        assert (row["reason"], row["message"]) == ("SuccessPolicy", "Matched rules at index 0")
    status = done["status"]
    assert (status["succeeded"], status.get("failed", 0), status.get("active", 0)) == (len(ending), 0, 0)
    eventually("no other pod is left", lambda: len(work.items("pods")) == len(ending))


def test_somebody_elses_job_is_left_alone(work: Workloads) -> None:
    """should allow to delegate reconciliation to external controller"""
    path, _ = make(work, job("managed-by", SUCCEED, managedBy="example.com/custom-job-controller"))
    make(work, job("ours", SUCCEED, managedBy="kubernetes.io/job-controller"))
    completed(work, work.batch("jobs/ours"), 4)
    assert work.get(path).ok()["status"] == {}
    assert work.items("pods", "job=managed-by") == []


def test_a_finished_job_goes_after_its_time_to_live(work: Workloads) -> None:
    """TTLAfterFinished: job should be deleted once it finishes after TTL seconds; a finalizer of another holds it"""
    obj = job("rand-non-local", SUCCEED, ttlSecondsAfterFinished=1)
    obj["metadata"]["finalizers"] = ["example.com/dummy-finalizer"]
    path, _ = make(work, obj)
    completed(work, path, 4)
    dying = work.until(path, "on its way out", lambda j: "deletionTimestamp" in j["metadata"])
    assert condition(dying, "Complete")
    work.change(path, lambda j: j["metadata"]["finalizers"].remove("example.com/dummy-finalizer"))
    work.gone(path)
    work.running(0)


@pytest.mark.parametrize("change", [{"completions": 5}, {"selector": {"matchLabels": {"a": "b"}}}])
def test_what_a_job_is_does_not_change(work: Workloads, change: Json) -> None:
    path, _ = make(work, job("fixed", FOREVER, suspend=True))
    work.patch("merge", path, {"spec": change}).refused(422, "Invalid")
