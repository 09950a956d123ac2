"""A simulator that cannot fail proves nothing: each defect, planted in a core, must be caught within some tens of seeds.

A defect replaces one function of a core; what is caught, and in which words, is part of the expectation.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from actors.api.quota import usage_of
from actors.controllers import core as controllers_core
from actors.controllers import (
    daemonset,
    deployment,
    garbage_collector,
    job_indexes,
    job_tally,
    namespace,
    pod_gc,
    replicaset,
    statefulset,
    taint_eviction,
)
from actors.nodelet import attempts, inventory, lifecycle, status, sync_pod, termination
from actors.nodelet.executor import Executor
from actors.nodelet.operations import Listing
from actors.reconcile.revisions import Revisions
from actors.scheduler.cache import Cache
from actors.scheduler.core import SchedulerCore
from actors.scheduler.framework import Change
from actors.scheduler.plugins.node_unschedulable import NodeUnschedulable
from actors.scheduler.plugins.taint_toleration import TaintToleration
from actors.scheduler.queue import PendingQueue
from actors.sim.runner import run_seed
from actors.sim.store import SimStore
from actors.store import watch
from actors.store.admission.plugins import resource_quota
from actors.store.backend.memory import MemoryBackend
from actors.store.log import Log

SEEDS_MAX = 60

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def find_breach(seeds: range, words: str) -> str:
    """What the first seed says that fails for the reason that `words` give; "" when none does."""
    problems = (outcome.problem for outcome in map(run_seed, seeds))
    return next((problem for problem in problems if problem and re.search(words, problem)), "")


# --- the scheduler ----------------------------------------------------------------------------------------------------


def scheduler_ignores_own_binds(patch: Patch) -> None:
    """Neither when it decides nor when it hears that they are done."""
    patch.setattr(Cache, "assume", lambda self, placements, nodes: None)
    patch.setattr(SchedulerCore, "_bound", lambda self, placement, reply, now: None)


def scheduler_never_tries_again(patch: Patch) -> None:
    patch.setattr(PendingQueue, "wake", lambda self, change, now: None)


def scheduler_overlooks_cordons(patch: Patch) -> None:
    """The field and the taint that follows from it."""
    patch.setattr(NodeUnschedulable, "filter", lambda self, shape, nodes: [])
    patch.setattr(TaintToleration, "filter", lambda self, shape, nodes: [])


def scheduler_frees_nothing(patch: Patch) -> None:
    """A pod that has finished goes on taking its share."""
    patch.setattr(Cache, "release", lambda self, key: Change(0))


# --- the controllers --------------------------------------------------------------------------------------------------


def controllers_ignore_own_writes_and_draw_names(patch: Patch) -> None:
    """Either alone does no harm: a derived name that is taken stops the second pod."""
    numbers = itertools.count()
    original = controllers_core.ControllersCore.replied

    def replied(self: Any, writes: Any, replies: Any, now: int) -> None:
        blind = [msgspec.structs.replace(reply, stored=None) for reply in replies]
        original(self, writes, blind, now)

    def names(owner: Any, view: Any) -> Iterator[str]:
        return (f"{owner.metadata.name[:40]}-{next(numbers)}" for _ in itertools.count())

    patch.setattr(controllers_core.ControllersCore, "replied", replied)
    patch.setattr(replicaset, "free_names", names)


def job_counts_what_it_has_counted(patch: Patch) -> None:
    """The counter goes up each time a pod is listed, not once when it leaves the list."""
    original = job_tally.tally

    def tally(job: Any, owned: Any) -> Any:
        count = original(job, owned)
        return msgspec.structs.replace(count, failed=count.failed + len(count.uncounted_failed))

    patch.setattr("actors.controllers.job.tally", tally)


def job_forgets_how_often_an_index_failed(patch: Patch) -> None:
    """A failed pod is let go of before its successor bears the count."""
    patch.setattr(job_tally, "select_last", lambda job, failures, over: {})


def job_gives_an_index_up_too_early(patch: Patch) -> None:
    patch.setattr(job_tally, "select_failed", lambda job, failures: {job_indexes.index_of(pod) for pod in failures})


def deployment_takes_all_old_pods_down(patch: Patch) -> None:
    def plan(deployment_: Any, new: Any, old: Any) -> dict[str, int]:
        return {new.metadata.name: deployment_.spec.replicas, **{rs.metadata.name: 0 for rs in old}}

    patch.setattr(deployment, "plan_rolling", plan)


def stateful_sets_wait_for_nobody(patch: Patch) -> None:
    patch.setattr(statefulset._State, "_is_healthy", lambda self, pod: True)


def stateful_sets_roll_all_at_once(patch: Patch) -> None:
    def roll(self: Any, there: dict[int, Any]) -> Iterator[Any]:
        old = [pod for pod in there.values() if statefulset.version_of(pod) != self.update]
        for pod in old if any(ordinal in self.ordinals for ordinal in there) else ():
            yield from () if pod.metadata.is_deleting else self._delete(pod)

    patch.setattr(statefulset._State, "_roll", roll)


def daemon_sets_overlook_pods_that_wait(patch: Patch) -> None:
    original = daemonset._places

    def places(daemon: Any, pods: Any, view: Any) -> Any:
        return original(daemon, [pod for pod in pods if pod.spec.node_name], view)

    patch.setattr(daemonset, "_places", places)


def daemon_sets_roll_all_at_once(patch: Patch) -> None:
    patch.setattr(daemonset, "_bounds", lambda daemon, nodes: (nodes, 0))


def daemon_pods_wait_for_nodes_that_are_gone(patch: Patch) -> None:
    patch.setattr(daemonset, "_stranded", lambda pods, view: ())


def replicas_only_grow(patch: Patch) -> None:
    patch.setattr(replicaset, "select_victims", lambda pods, count: [])


def garbage_is_not_collected(patch: Patch) -> None:
    patch.setattr(garbage_collector, "_collect", lambda key, obj, view: iter(()))


def orphans_are_collected(patch: Patch) -> None:
    """`orphan` is let go without taking the owner off its dependents."""
    original = garbage_collector._without_finalizer

    def finalize(key: Any, obj: Any, view: Any) -> Iterator[Any]:
        yield from (original(key, obj, name) for name in obj.metadata.finalizers or () if name in ("orphan",))

    patch.setattr(garbage_collector, "_finalize", finalize)


def namespaces_go_before_they_are_empty(patch: Patch) -> None:
    original = namespace._empty

    class Blind:
        """Sees nothing in any namespace."""

        def in_namespace(self, name: str) -> list[Any]:
            return []

    patch.setattr(namespace, "_empty", lambda ns, view, now: original(ns, Blind(), now))


def pods_of_lost_nodes_stay(patch: Patch) -> None:
    patch.setattr(pod_gc, "_end", lambda pod, due_ms, why, now: iter(()))


def silent_nodes_keep_their_pods(patch: Patch) -> None:
    patch.setattr(taint_eviction, "_evicting", lambda node: [])
    patch.setattr(pod_gc, "_end", lambda pod, due_ms, why, now: iter(()))


# --- the nodelet ------------------------------------------------------------------------------------------------------


def nodelet_does_not_adopt(patch: Patch) -> None:
    """What runs on the node is not found again."""

    async def list_node(self: Any, operation: Any) -> Listing:
        return Listing()

    patch.setitem(Executor.__dict__["_perform"].__globals__["_VERBS"], inventory.ListNode, list_node)


def nodelet_forgets_ends_before_they_are_told(patch: Patch) -> None:
    patch.setattr(termination, "is_reported", lambda record: True)


def nodelet_always_tells_success(patch: Patch) -> None:
    original = attempts._from_runtime
    patch.setattr(
        attempts, "_from_runtime", lambda record, seen: msgspec.structs.replace(original(record, seen), exit_code=0)
    )


def nodelet_restarts_at_once(patch: Patch) -> None:
    patch.setattr(sync_pod, "restart_at", lambda attempt, backoff: 0)


def nodelet_forgives_what_never_ran(patch: Patch) -> None:
    """A container that cannot be started is tried again without end."""
    patch.setattr(attempts.Attempt, "ran_ms", property(lambda self: self.finished_ms - self.started_ms))


def nodelet_restarts_what_shall_end(patch: Patch) -> None:
    patch.setattr(lifecycle, "restarts", lambda policy, attempt: True)
    patch.setattr(sync_pod, "restarts", lambda policy, attempt: True)


def nodelet_confirms_the_end_too_early(patch: Patch) -> None:
    """The object goes while containers still run."""
    patch.setattr(termination, "derive_end", lambda record: lifecycle.Stage.GONE)
    patch.setattr(sync_pod, "derive_end", lambda record: lifecycle.Stage.GONE)


def nodelet_never_resizes(patch: Patch) -> None:
    """It agrees, and does nothing."""
    patch.setattr(sync_pod, "_PLANS", tuple(plan for plan in sync_pod._PLANS if plan.__name__ != "_plan_sizes"))


def nodelet_tells_sizes_before_they_are_there(patch: Patch) -> None:
    patch.setattr(status, "actual_size", lambda running: None)


def nodelet_runs_ephemeral_containers_again(patch: Patch) -> None:
    original = lifecycle.restart_policy_of

    def policy_of(pod: Any, container: Any) -> str:
        return "Always" if container in (pod.spec.ephemeral_containers or ()) else original(pod, container)

    patch.setattr(sync_pod, "restart_policy_of", policy_of)

    def plan(record: Any, pod: Any, node: Any, now: int) -> Iterator[Any]:
        if record.ready_sandbox is not None and (record.volumes is not None or not pod.spec.volumes):
            for container in pod.spec.ephemeral_containers or ():
                yield from sync_pod._plan_container(record, pod, container, node, now)

    plans = (plan if known.__name__ == "_plan_ephemerals" else known for known in sync_pod._PLANS)
    patch.setattr(sync_pod, "_PLANS", tuple(plans))


# --- the store --------------------------------------------------------------------------------------------------------


def store_acknowledges_before_it_is_durable(patch: Patch) -> None:
    """The disk keeps the last batch in its cache, and a crash loses that."""
    original = MemoryBackend.append

    def append(self: Any, batch: Any) -> None:
        cached, self.cached = getattr(self, "cached", None), batch
        if cached is not None:
            original(self, cached)

    patch.setattr(MemoryBackend, "append", append)


def store_answers_before_it_writes(patch: Patch) -> None:
    original = SimStore._write

    def write(self: Any, plan: Any, group: Any, life: int) -> None:
        for (request, acknowledge), replies in zip(group, plan.replies, strict=True):
            self._answer(request.idempotency_key, replies, acknowledge)
        original(self, plan, group, life)

    patch.setattr(SimStore, "_write", write)


def store_forgets_answers(patch: Patch) -> None:
    patch.setattr(Log, "answer", lambda self, key: None)


def store_forgets_answers_when_it_restarts(patch: Patch) -> None:
    original = Log.recover.__func__  # type: ignore[attr-defined]

    def recover(cls: Any, recovered: Any, config: Any) -> Any:
        return original(cls, msgspec.structs.replace(recovered, answers=()), config)

    patch.setattr(Log, "recover", classmethod(recover))


def watch_loses_deletions(patch: Patch) -> None:
    original = watch.derive_event
    patch.setattr(watch, "derive_event", lambda c, m: None if c.record.removed else original(c, m))


def watch_begins_too_late(patch: Patch) -> None:
    """The first change after the list is not told."""
    original = Log.changes_since
    patch.setattr(Log, "changes_since", lambda self, topic, revision: original(self, topic, revision + 1))


def compaction_drops_what_is_there(patch: Patch) -> None:
    """Not only superseded states go, but the newest ones, too."""
    original = Log._plan_drop

    def plan_drop(self: Any, now: int) -> tuple[int, int, list[int]]:
        horizon, at, dropped = original(self, now)
        return horizon, at, [*dropped, horizon] if horizon > self.horizon else dropped

    patch.setattr(Log, "_plan_drop", plan_drop)


# --- what they share --------------------------------------------------------------------------------------------------


def old_news_undoes_new(patch: Patch) -> None:
    def accepts(self: Any, stored: Any) -> bool:
        self._live[stored.key] = stored.revision
        return True

    patch.setattr(Revisions, "accepts", accepts)


def finalizers_are_overlooked(patch: Patch) -> None:
    def is_released(obj: Any, kind: Any) -> bool:
        meta = obj["metadata"]
        return "deletionTimestamp" in meta and not meta.get("deletionGracePeriodSeconds", 0)

    for module in ("delete", "update"):
        patch.setattr(f"actors.store.admission.{module}.is_released", is_released)


def quotas_are_never_full(patch: Patch) -> None:
    patch.setattr(resource_quota, "exceeded", lambda quota, used, more: "")


def quotas_are_not_given_back(patch: Patch) -> None:
    original = resource_quota.ResourceQuota.settle

    def settle(self: Any, change: Any) -> Any:
        return original(self, change) if change.after is not None else []

    patch.setattr(resource_quota.ResourceQuota, "settle", settle)


def quotas_are_charged_for_the_dead(patch: Patch) -> None:
    """A new quota counts what has finished, too."""
    patch.setattr(resource_quota, "usage_of", lambda resource, obj: usage_of(resource, {**obj, "status": {}}))


DEFECTS: list[tuple[Plant, str]] = [
    (scheduler_ignores_own_binds, "promised|given to two|scheduler"),
    (scheduler_never_tries_again, "has no node and there is room"),
    (scheduler_overlooks_cordons, "which is cordoned"),
    (scheduler_frees_nothing, "the scheduler"),
    (controllers_ignore_own_writes_and_draw_names, "were asked for"),
    (job_counts_what_it_has_counted, "failures"),
    (job_forgets_how_often_an_index_failed, "are its limit"),
    (job_gives_an_index_up_too_early, "has failed after"),
    (deployment_takes_all_old_pods_down, "pods available"),
    (stateful_sets_wait_for_nobody, "is made before that of ordinal"),
    (stateful_sets_roll_all_at_once, "is taken down while those of"),
    (daemon_sets_overlook_pods_that_wait, "daemon pods"),
    (daemon_sets_roll_all_at_once, "is available on"),
    (daemon_pods_wait_for_nodes_that_are_gone, "wait for nodes that are gone"),
    (replicas_only_grow, "replication controller rc-[0-9]+ has"),
    (garbage_is_not_collected, "outlived|is there"),
    (orphans_are_collected, "left behind|orphan|replica set|rest"),
    (namespaces_go_before_they_are_empty, "namespace"),
    (pods_of_lost_nodes_stay, "lost|deleted|rest"),
    (silent_nodes_keep_their_pods, "lost|deleted|rest"),
    (nodelet_does_not_adopt, "ended with None, and its end is told|is started while|IllegalStage"),
    (nodelet_forgets_ends_before_they_are_told, "unknown|ended|restarted|IllegalStage"),
    (nodelet_always_tells_success, "ended with"),
    (nodelet_restarts_at_once, "ms after"),
    (nodelet_forgives_what_never_ran, "ms after"),
    (nodelet_restarts_what_shall_end, "started again"),
    (nodelet_never_resizes, "still being resized|asks for"),
    (nodelet_tells_sizes_before_they_are_there, "is told to have"),
    (nodelet_runs_ephemeral_containers_again, "it is ephemeral"),
    (nodelet_confirms_the_end_too_early, "run|IllegalStage|ended"),
    (store_acknowledges_before_it_is_durable, "durable|follows"),
    (store_answers_before_it_writes, "acknowledged"),
    (store_forgets_answers, "answered twice|refused"),
    (store_forgets_answers_when_it_restarts, "answered twice|refused"),
    (watch_loses_deletions, "watch-|controllers|scheduler"),
    (watch_begins_too_late, "watch-|controllers|scheduler"),
    (compaction_drops_what_is_there, "before the store's restart|KeyError"),
    (old_news_undoes_new, ""),
    (finalizers_are_overlooked, "is removed while"),
    (quotas_are_never_full, "has grown"),
    (quotas_are_not_given_back, "is used, and it is"),
    (quotas_are_charged_for_the_dead, "is used, and it is"),
]


@pytest.mark.parametrize(("plant", "words"), DEFECTS, ids=[plant.__name__ for plant, _ in DEFECTS])
def test_a_defect_is_caught(plant: Plant, words: str, monkeypatch: Patch) -> None:
    plant(monkeypatch)
    assert find_breach(range(SEEDS_MAX), words), f"{SEEDS_MAX} seeds pass: {plant.__name__.replace('_', ' ')}"
