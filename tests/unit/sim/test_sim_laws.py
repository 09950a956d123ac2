"""Each law, shown the smallest history that breaks it, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus
from actors.reconcile.actions import Reply
from actors.sim.laws.calm import CordonsHold, GoneMeansStopped, RollingKeepsAvailable
from actors.sim.laws.history import FinalizersHold, GenerationsAreObserved, Mirror, NamespacesHold, RevisionsGrow
from actors.sim.laws.indexes import IndexesFailByThemselves
from actors.sim.laws.law import Breach, Law, Sight, read
from actors.sim.laws.machines import MachineLaws
from actors.sim.laws.nodes import NodesHoldTheirPods
from actors.sim.laws.pods import AddressesAreUnique, FinishedIsFinal, RestartsGrow, TimesMakeSense
from actors.sim.laws.workloads import JobsCountRight, NeverTooMany
from actors.store.record import Record

Object = dict[str, Any]


class History:
    """Objects as they become durable, one revision after the other."""

    def __init__(self, *laws: Law) -> None:
        self.laws, self.revision = laws, 0

    def see(self, resource: str, obj: Object, removed: bool = False, at: int = 0, revision: int = 0) -> None:
        self.revision = revision or self.revision + 1
        meta = obj.setdefault("metadata", {})
        meta.setdefault("name", "a")
        uid = meta.setdefault("uid", f"uid-{meta['name']}")
        key = Key(resource, meta.get("namespace", ""), meta["name"])
        sight = self.sight(Record(Stored(key, self.revision, 1, uid, encode(obj)), removed, at))
        for law in self.laws:
            law.see(sight)

    @staticmethod
    def sight(record: Record) -> Sight:
        return read(record)


def pod(name: str = "a", node: str = "", **status: Any) -> Object:
    spec: Object = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec, "status": status}


def ended(code: int, **more: Any) -> Object:
    return {"name": "main", "state": {"terminated": {"exitCode": code, **more}}}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def test_revisions_grow() -> None:
    history = History(RevisionsGrow())
    history.see("pods", pod())
    with pytest.raises(Breach, match="follows"):
        history.see("pods", pod(), revision=1)


def test_a_uid_belongs_to_one_object() -> None:
    history = History(RevisionsGrow())
    history.see("pods", pod("a"))
    with pytest.raises(Breach, match="given again"):
        history.see("pods", {"metadata": {"name": "b", "uid": "uid-a"}})


def test_finalizers_hold_and_the_dying_stay_dying() -> None:
    history = History(FinalizersHold())
    dying = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    history.see("pods", {"metadata": dict(dying)})
    with pytest.raises(Breach, match="is not any more"):
        history.see("pods", {"metadata": {"name": "a"}})
    with pytest.raises(Breach, match="hold it"):
        history.see("pods", {"metadata": {**dying, "finalizers": ["x/y"]}}, removed=True)


def test_namespaces_hold_what_is_in_them() -> None:
    history = History(NamespacesHold())
    with pytest.raises(Breach, match="does not exist"):
        history.see("pods", {"metadata": {"namespace": "team"}})
    history.see("namespaces", {"metadata": {"name": "team"}})
    history.see("pods", {"metadata": {"namespace": "team"}})
    with pytest.raises(Breach, match="is in it"):
        history.see("namespaces", {"metadata": {"name": "team"}}, removed=True)


def test_a_generation_is_observed_after_it_exists() -> None:
    history = History(GenerationsAreObserved())
    with pytest.raises(Breach, match="was observed"):
        history.see("deployments.apps", {"metadata": {"generation": 1}, "status": {"observedGeneration": 2}})


def test_what_is_acknowledged_is_durable_and_answered_once() -> None:
    mirror = Mirror()
    history = History(mirror)
    history.see("pods", pod())
    (stored,) = mirror.objects.values()
    mirror.answered("k", [Reply(stored=stored)])
    later = Stored(stored.key, 2, 1, stored.uid, stored.body)
    with pytest.raises(Breach, match="only 1 is durable"):
        mirror.answered("l", [Reply(stored=later)])
    history.see("pods", pod())
    with pytest.raises(Breach, match="carried out twice"):
        mirror.answered("k", [Reply(stored=later)])


def test_a_node_holds_its_pods_and_no_more() -> None:
    history = History(NodesHoldTheirPods())
    history.see("nodes", {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "1", "pods": "9"}}})
    history.see("pods", pod("a", "n"))
    with pytest.raises(Breach, match="are promised"):
        history.see("pods", pod("b", "n"))


def test_a_device_has_one_pod_and_a_pod_one_node() -> None:
    history = History(NodesHoldTheirPods())
    devices = '{"gpu": [{"id": "g0"}]}'
    meta = {"name": "n", "annotations": {"raypod.io/devices": devices}}
    history.see("nodes", {"metadata": meta, "status": {"allocatable": {"cpu": "9", "pods": "9"}}})
    chosen = {"annotations": {"raypod.io/devices": '{"main": {"gpu": ["g0"]}}'}}
    first, second = pod("a", "n"), pod("b", "n")
    first["metadata"] |= chosen
    second["metadata"] |= chosen
    history.see("pods", first)
    with pytest.raises(Breach, match="two pods"):
        history.see("pods", second)
    with pytest.raises(Breach, match="moved"):
        history.see("pods", pod("a", "m"))


def test_how_a_pod_ended_stays() -> None:
    history = History(FinishedIsFinal())
    history.see("pods", pod(phase="Failed", containerStatuses=[ended(3)]))
    with pytest.raises(Breach, match="became"):
        history.see("pods", pod(phase="Failed", containerStatuses=[ended(0)]))


def test_restarts_are_not_taken_back() -> None:
    history = History(RestartsGrow())
    history.see("pods", pod(containerStatuses=[{"name": "main", "restartCount": 2}]))
    with pytest.raises(Breach, match="and now 1"):
        history.see("pods", pod(containerStatuses=[{"name": "main", "restartCount": 1}]))


def test_an_end_comes_after_its_start_unless_the_clock_has_jumped() -> None:
    times = {"startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:00:01Z"}
    History(TimesMakeSense(lambda node: True)).see("pods", pod(containerStatuses=[ended(0, **times)]))
    with pytest.raises(Breach, match="before it started"):
        History(TimesMakeSense(lambda node: False)).see("pods", pod(containerStatuses=[ended(0, **times)]))


def test_two_ready_pods_of_a_node_have_two_addresses() -> None:
    law = AddressesAreUnique()
    history = History(law)
    history.see("pods", pod("a", "n", podIP="10.0.0.2", **READY))
    history.see("pods", pod("b", "m", podIP="10.0.0.2", **READY))
    law.settle()
    history.see("pods", pod("c", "n", podIP="10.0.0.2", **READY))
    with pytest.raises(Breach, match="2 ready pods on n"):
        law.settle()


def owned(name: str, kind: str, owner: str, phase: str = "Running", **meta: Any) -> Object:
    made = pod(name, phase=phase)
    ref = {"kind": kind, "name": owner, "uid": f"uid-{owner}", "controller": True}
    made["metadata"] |= {"ownerReferences": [ref], "finalizers": ["batch.kubernetes.io/job-tracking"], **meta}
    return made


def test_a_set_has_no_more_pods_than_it_was_ever_asked_for() -> None:
    history = History(NeverTooMany())
    history.see("replicasets.apps", {"metadata": {"name": "rs"}, "spec": {"replicas": 1}})
    history.see("pods", owned("a", "ReplicaSet", "rs"))
    with pytest.raises(Breach, match="2 live pods"):
        history.see("pods", owned("b", "ReplicaSet", "rs"))


def test_an_index_has_one_pod_at_a_time() -> None:
    history = History(NeverTooMany())
    index = {"annotations": {"batch.kubernetes.io/job-completion-index": "0"}}
    history.see("jobs.batch", {"metadata": {"name": "j"}, "spec": {"parallelism": 2}})
    history.see("pods", owned("a", "Job", "j", **index))
    with pytest.raises(Breach, match="two live pods of index 0"):
        history.see("pods", owned("b", "Job", "j", **index))


def test_an_excess_is_excused_from_a_twin_until_it_is_gone() -> None:
    twins = [True]
    history = History(NeverTooMany(lambda: bool(twins)))
    history.see("replicasets.apps", {"metadata": {"name": "rs"}, "spec": {"replicas": 1}})
    history.see("pods", owned("a", "ReplicaSet", "rs"))
    history.see("pods", owned("b", "ReplicaSet", "rs"))
    twins.clear()
    history.see("pods", owned("b", "ReplicaSet", "rs", labels={"seen": "again"}))
    history.see("pods", owned("b", "ReplicaSet", "rs", phase="Failed"))
    history.see("pods", owned("a", "ReplicaSet", "rs", labels={"seen": "again"}))
    with pytest.raises(Breach, match="2 live pods"):
        history.see("pods", owned("c", "ReplicaSet", "rs"))


def test_a_job_counts_the_pods_that_succeeded_once_each() -> None:
    history = History(JobsCountRight())
    history.see("pods", owned("a", "Job", "j", phase="Succeeded"))
    history.see("jobs.batch", {"metadata": {"name": "j"}, "status": {"succeeded": 1}})
    with pytest.raises(Breach, match="counts 2 successes"):
        history.see("jobs.batch", {"metadata": {"name": "j"}, "status": {"succeeded": 2}})


def test_a_job_that_ended_has_counted_all_and_stays() -> None:
    complete = {"type": "Complete", "status": "True"}
    history = History(JobsCountRight())
    history.see("pods", owned("a", "Job", "j", phase="Succeeded"))
    with pytest.raises(Breach, match="1 pods succeeded"):
        history.see("jobs.batch", {"metadata": {"name": "j"}, "status": {"succeeded": 0, "conditions": [complete]}})
    with pytest.raises(Breach, match="was Complete and is"):
        history.see("jobs.batch", {"metadata": {"name": "j"}, "status": {}})


def of_index_0(name: str, phase: str = "Failed", **meta: Any) -> Object:
    return owned(name, "Job", "j", phase, annotations={"batch.kubernetes.io/job-completion-index": "0"}, **meta)


def each_index_twice(twins: list[bool] | None = None, **status: Any) -> History:
    """Of a Job whose indexes may fail once and be tried again."""
    history = History(IndexesFailByThemselves(lambda: bool(twins)))
    spec = {"completions": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1}
    history.see("jobs.batch", {"metadata": {"name": "j"}, "spec": spec, "status": status})
    return history


def test_an_index_is_tried_as_often_as_its_limit_says() -> None:
    history = each_index_twice()
    for name in "ab":
        history.see("pods", of_index_0(name))
    history.see("pods", of_index_0("stopped", "Running", finalizers=[]))
    history.see("pods", of_index_0("c"))
    history.see("pods", of_index_0("d"))
    with pytest.raises(Breach, match="has failed 5 times, 4 are its limit"):
        history.see("pods", of_index_0("e"))


def test_a_twin_may_try_an_index_once_more() -> None:
    history = each_index_twice([True])
    for name in "abc":
        history.see("pods", of_index_0(name))


@pytest.mark.parametrize(
    ("failed", "words"), [("0", "after 1 failures"), ("", "have failed no more"), ("1", "failed and succeeded")]
)
def test_failed_indexes_have_failed_for_good(failed: str, words: str) -> None:
    history = each_index_twice()
    history.see("pods", of_index_0("a"))
    spec = {"completions": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1 if failed == "0" else 0}
    job = {"metadata": {"name": "j"}, "spec": spec, "status": {"failedIndexes": "0"}}
    if failed != "0":
        history.see("jobs.batch", job)
        job["status"] = {"failedIndexes": failed and f"0,{failed}", "completedIndexes": "1"}
    with pytest.raises(Breach, match=words):
        history.see("jobs.batch", job)


def run(state: ContainerState, attempt: int = 0, code: int = 0, at: int = 0) -> ContainerStatus:
    spec = ContainerSpec(id=f"c{attempt}", sandbox_id="s", name="main", attempt=attempt, image="i")
    return ContainerStatus(spec=spec, state=state, exit_code=code, started_at_ms=at, finished_at_ms=at)


RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED


def machines(policy: str) -> tuple[MachineLaws, History]:
    laws = MachineLaws(lambda node: False)
    history, made = History(laws), pod("a", "n")
    made["spec"]["restartPolicy"] = policy
    history.see("pods", made)
    return laws, history


def test_one_run_after_the_other_where_the_pod_is_bound() -> None:
    laws, _ = machines("Always")
    with pytest.raises(Breach, match="bound to 'n'"):
        laws.changed("m", "uid-a", run(RUNNING))
    with pytest.raises(Breach, match="never was"):
        laws.changed("n", "uid-b", run(RUNNING))
    laws.changed("n", "uid-a", run(RUNNING))
    with pytest.raises(Breach, match="while #0 runs"):
        laws.changed("n", "uid-a", run(RUNNING, 1))


@pytest.mark.parametrize(("policy", "code"), [("Never", 1), ("OnFailure", 0)])
def test_the_restart_policy_holds(policy: str, code: int) -> None:
    laws, _ = machines(policy)
    laws.changed("n", "uid-a", run(RUNNING))
    laws.changed("n", "uid-a", run(EXITED, code=code))
    with pytest.raises(Breach, match=f"restartPolicy {policy}"):
        laws.changed("n", "uid-a", run(RUNNING, 1))


def test_the_second_restart_waits() -> None:
    laws, _ = machines("Always")
    for attempt in (0, 1):
        laws.changed("n", "uid-a", run(EXITED, attempt, code=1, at=1_000))
    with pytest.raises(Breach, match="9000 ms after"):
        laws.changed("n", "uid-a", run(RUNNING, 2, at=10_000))


def test_the_api_tells_the_exit_code_of_the_machine() -> None:
    laws, history = machines("Never")
    laws.changed("n", "uid-a", run(RUNNING))
    laws.changed("n", "uid-a", run(EXITED, code=3))
    history.see("pods", pod("a", "n", containerStatuses=[ended(3, containerID="raypod://c0")]))
    with pytest.raises(Breach, match="ended with 3 and is told"):
        history.see("pods", pod("a", "n", containerStatuses=[ended(0, containerID="raypod://c0")]))
    unknown = ended(137, containerID="raypod://c0", reason="ContainerStatusUnknown")
    with pytest.raises(Breach, match="told to be unknown"):
        history.see("pods", pod("a", "n", containerStatuses=[unknown]))
    laws.died("n")
    history.see("pods", pod("a", "n", containerStatuses=[unknown]))
    with pytest.raises(Breach, match="did not end with 0"):
        history.see("pods", pod("a", "n", phase="Succeeded"))


def test_a_pod_is_gone_when_nothing_of_it_runs() -> None:
    laws, _ = machines("Never")
    history = History(GoneMeansStopped(laws))
    laws.changed("n", "uid-a", run(RUNNING))
    with pytest.raises(Breach, match="is gone and its containers"):
        history.see("pods", pod("a", "n"), removed=True)
    laws.changed("n", "uid-a", run(EXITED))
    history.see("pods", pod("a", "n"), removed=True)


def test_a_rolling_update_keeps_what_is_owed() -> None:
    history = History(RollingKeepsAvailable())
    history.see("deployments.apps", {"metadata": {"name": "d"}, "spec": {"replicas": 2}})
    ref = {"kind": "Deployment", "name": "d", "uid": "uid-d", "controller": True}
    history.see("replicasets.apps", {"metadata": {"name": "rs", "ownerReferences": [ref]}})
    for name in ("a", "b"):
        made = owned(name, "ReplicaSet", "rs")
        made["status"] = READY
        history.see("pods", made)
    with pytest.raises(Breach, match="1 pods available, 2 must be"):
        history.see("pods", owned("b", "ReplicaSet", "rs"), at=5_000)


def test_nothing_is_bound_to_a_node_that_was_cordoned_a_while_ago() -> None:
    history = History(CordonsHold())
    history.see("nodes", {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}, at=0)
    history.see("pods", pod("a", "n"), at=500)
    with pytest.raises(Breach, match="is cordoned"):
        history.see("pods", pod("b", "n"), at=5_000)
