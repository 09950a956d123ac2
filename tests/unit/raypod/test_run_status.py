import pytest

from raypod.manifests import INDEX_LABEL
from raypod.status import derive_status, has_output


def job(**status):
    return {
        "metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"completions": 2},
        "status": status,
    }


def pod(index, created="2026-01-01T00:00:01Z", phase="Running", conditions=(), **state):
    return {
        "metadata": {"labels": {INDEX_LABEL: str(index)}, "creationTimestamp": created},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": [{"name": "main", "state": state}],
        },
    }


def ended(index, code, **fields):
    phase = "Failed" if code else "Succeeded"
    times = {"startedAt": "2026-01-01T00:00:02Z", "finishedAt": "2026-01-01T00:00:05Z"}
    return pod(
        index, phase=phase, terminated={"exitCode": code, "reason": "Error" if code else "Completed", **times}, **fields
    )


def test_before_there_are_pods():
    status = derive_status(job(), [])
    assert (status.phase, status.exit_codes, status.is_finished) == ("Pending", (None, None), False)


def test_why_it_waits_for_a_node():
    refused = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}
    status = derive_status(job(), [pod(0, phase="Pending", conditions=[refused])])
    assert (status.phase, status.message) == ("Pending", refused["message"])


def test_why_it_waits_for_an_image():
    waiting = pod(0, phase="Pending", waiting={"reason": "ImagePullBackOff", "message": "no such image"})
    assert derive_status(job(), [waiting]).message == "ImagePullBackOff: no such image"
    assert not has_output(waiting)


def test_creating_is_not_worth_a_word():
    assert derive_status(job(), [pod(0, phase="Pending", waiting={"reason": "ContainerCreating"})]).message == ""


def test_succeeded():
    done = job(succeeded=2, conditions=[{"type": "Complete", "status": "True"}])
    status = derive_status(done, [ended(0, 0), ended(1, 0)])
    assert (status.phase, status.exit_codes, status.is_finished) == ("Succeeded", (0, 0), True)
    assert status.finished_at - status.started_at == 3


def test_failed_says_which_replica_and_how():
    done = job(failed=1, conditions=[{"type": "Failed", "status": "True", "message": "too many"}])
    status = derive_status(done, [ended(0, 0), ended(1, 3)])
    assert (status.phase, status.exit_codes) == ("Failed", (0, 3))
    assert status.message == "replica 1 exited with code 3: Error"


def test_the_newest_attempt_counts():
    again = ended(0, 0, created="2026-01-01T00:01:00Z")
    assert derive_status(job(), [again, ended(0, 1)]).exit_codes == (0, None)


def test_a_suspended_condition_is_not_an_end():
    assert derive_status(job(conditions=[{"type": "Complete", "status": "False"}]), []).phase == "Pending"


def test_being_deleted():
    stopping = job()
    stopping["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:09Z"
    assert derive_status(stopping, [pod(0, running={"startedAt": "2026-01-01T00:00:02Z"})]).phase == "Stopping"


def test_a_job_of_a_billion_replicas_has_not_a_billion_exit_codes():
    huge = job() | {"spec": {"completions": 1_000_000_000}}
    assert len(derive_status(huge, [ended(0, 0)]).exit_codes) == 100_000


def test_the_first_of_several_failed_replicas_is_named():
    first, second = ended(1, 1), ended(0, 2, created="2026-01-01T00:00:09Z")
    assert derive_status(job(failed=2), [first, second]).message == "replica 0 exited with code 2: Error"


def test_replicas_that_were_stopped_are_told_and_not_blamed():
    failed = job(failed=2, conditions=[{"type": "Failed", "status": "True", "message": "limit"}])
    failed["metadata"]["annotations"] = {"raypod.io/stopped": '{"0":[143,"j-0-abcde"]}'}
    status = derive_status(failed, [ended(1, 3)])
    assert (status.exit_codes, status.exit_code) == ((143, 3), 3)
    assert status.message == "replica 1 exited with code 3: Error"


def test_while_the_others_are_being_stopped_the_first_is_blamed():
    stopped = ended(0, 143)
    stopped["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:04Z"
    status = derive_status(job(), [stopped, ended(1, 3)])
    assert (status.exit_codes, status.exit_code) == ((143, 3), 3)


def test_notes_that_somebody_else_wrote_are_no_exit_codes():
    failed = job(failed=1)
    failed["metadata"]["annotations"] = {"raypod.io/stopped": "many"}
    assert derive_status(failed, []).exit_codes == (None, None)


@pytest.mark.parametrize(
    ("pods", "started"),
    [
        ([], False),
        ([pod(0, running={})], False),
        ([pod(0, running={}), pod(1, phase="Pending", waiting={"reason": "ErrImagePull"})], False),
        ([pod(0, running={}), pod(1, running={})], True),
        ([ended(0, 3), pod(1, running={})], True),
    ],
)
def test_started_are_all_replicas_or_none(pods, started):
    assert derive_status(job(), pods).is_started is started


def test_what_is_finished_has_started():
    failed = {"type": "Failed", "status": "True", "message": "too late"}
    assert derive_status(job(conditions=[failed]), []).is_started
