"""Laws of StatefulSets and DaemonSets, shown the smallest histories that break them, and some that do not."""

from __future__ import annotations

from typing import Any

import pytest
from test_sim_laws import READY, History, owned

from actors.sim.laws.daemons import DaemonsStayAvailable, OneDaemonPerNode
from actors.sim.laws.law import Breach
from actors.sim.laws.stateful import StatefulPodsComeInOrder, StatefulPodsGoOneAtATime
from actors.sim.laws.workloads import NeverTooMany

Object = dict[str, Any]
DYING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def stateful_set(policy: str, replicas: int = 3, **meta: Any) -> Object:
    return {"metadata": {"name": "db", **meta}, "spec": {"podManagementPolicy": policy, "replicas": replicas}}


def member(ordinal: int, uid: str = "", is_ready: bool = True, **meta: Any) -> Object:
    pod = owned(f"db-{ordinal}", "StatefulSet", "db", uid=uid or f"uid-db-{ordinal}", **meta)
    return pod | {"status": {"phase": "Running", **(READY if is_ready else {})}}


def test_pods_come_in_order() -> None:
    history = History(StatefulPodsComeInOrder())
    history.see("statefulsets.apps", stateful_set("OrderedReady"))
    history.see("pods", member(0))
    history.see("pods", member(0, is_ready=False))
    history.see("pods", member(1, is_ready=False))
    with pytest.raises(Breach, match="db-2 is made before that of ordinal 1 was ready"):
        history.see("pods", member(2))


def test_a_pod_that_was_made_anew_counts_as_new() -> None:
    history = History(StatefulPodsComeInOrder())
    history.see("statefulsets.apps", stateful_set("OrderedReady"))
    history.see("pods", member(0))
    history.see("pods", member(0, uid="again", is_ready=False))
    with pytest.raises(Breach, match="ordinal 0"):
        history.see("pods", member(1))


@pytest.mark.parametrize(("policy", "twins"), [("Parallel", False), ("OrderedReady", True)])
def test_some_need_not_wait(policy: str, twins: bool) -> None:
    history = History(StatefulPodsComeInOrder(lambda: twins))
    history.see("statefulsets.apps", stateful_set(policy))
    history.see("pods", member(2))


@pytest.mark.parametrize(
    ("policy", "ordinals"), [("OrderedReady", (4, 3)), ("OrderedReady", (2, 1)), ("Parallel", (2, 1))]
)
def test_pods_go_one_at_a_time(policy: str, ordinals: tuple[int, int]) -> None:
    history = History(StatefulPodsGoOneAtATime())
    history.see("statefulsets.apps", stateful_set(policy))
    first, second = ordinals
    history.see("pods", member(first, **DYING), at=5_000)
    history.see("pods", member(first, **DYING), at=5_001)
    with pytest.raises(Breach, match=rf"db-{second} is taken down while those of \[{first}\] go"):
        history.see("pods", member(second, **DYING), at=5_002)


def test_an_update_takes_no_more_than_may_be_unavailable() -> None:
    history = History(StatefulPodsGoOneAtATime())
    found = stateful_set("OrderedReady", 4)
    found["spec"]["updateStrategy"] = {"rollingUpdate": {"maxUnavailable": "50%"}}
    history.see("statefulsets.apps", found)
    history.see("pods", member(3, **DYING), at=5_000)
    history.see("pods", member(2, **DYING), at=5_000)
    with pytest.raises(Breach, match=r"db-1 is taken down while those of \[3, 2\] go"):
        history.see("pods", member(1, **DYING), at=5_001)


def test_what_is_too_much_of_a_parallel_set_goes_at_once_and_so_does_what_was_until_now() -> None:
    history = History(StatefulPodsGoOneAtATime())
    history.see("statefulsets.apps", stateful_set("Parallel"))
    history.see("pods", member(4, **DYING), at=5_000)
    history.see("pods", member(3, **DYING), at=5_000)
    history.see("statefulsets.apps", stateful_set("Parallel", 5), at=5_001)
    history.see("pods", member(2, **DYING), at=5_002)
    history.see("statefulsets.apps", stateful_set("Parallel", 5, **DYING), at=9_000)
    history.see("pods", member(1, **DYING), at=9_001)


def test_a_stateful_set_has_no_more_pods_than_it_was_ever_asked_for() -> None:
    history = History(NeverTooMany())
    history.see("statefulsets.apps", stateful_set("Parallel", 1))
    history.see("pods", member(0))
    with pytest.raises(Breach, match="2 live pods"):
        history.see("pods", member(1))


def daemon_set(**rolling: Any) -> Object:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "updateStrategy": {"rollingUpdate": rolling}}
    return {"metadata": {"name": "d"}, "spec": spec}


def daemon(name: str, node: str, labels: Object | None = None, **meta: Any) -> Object:
    pod = owned(name, "DaemonSet", "d", labels={"a": "b"} if labels is None else labels, **meta)
    pod["spec"]["nodeName"] = node
    return pod | {"status": {"phase": "Running", **READY}}


@pytest.mark.parametrize(("surge", "most"), [(0, 1), ("50%", 2)])
def test_a_node_has_one_daemon_pod(surge: int | str, most: int) -> None:
    history = History(OneDaemonPerNode())
    history.see("daemonsets.apps", daemon_set(maxSurge=surge, maxUnavailable=0))
    for number in range(most):
        history.see("pods", daemon(f"p{number}", "n"))
    history.see("pods", daemon("elsewhere", "m"))
    history.see("pods", daemon("stray", "n", labels={}))
    history.see("pods", daemon("dying", "n", **DYING))
    with pytest.raises(Breach, match=f"n has {most + 1} daemon pods"):
        history.see("pods", daemon("last", "n"))


def test_an_excess_of_daemon_pods_is_excused_from_a_twin_until_it_is_gone() -> None:
    twins = [True]
    history = History(OneDaemonPerNode(lambda: bool(twins)))
    history.see("daemonsets.apps", daemon_set(maxUnavailable=1, maxSurge=0))
    history.see("pods", daemon("a", "n"))
    history.see("pods", daemon("b", "n"))
    twins.clear()
    history.see("pods", daemon("b", "n", generation=2))
    history.see("pods", daemon("b", "n"), removed=True)
    with pytest.raises(Breach, match="2 daemon pods"):
        history.see("pods", daemon("c", "n"))


def test_an_update_leaves_enough_daemon_pods() -> None:
    history = History(DaemonsStayAvailable())
    history.see("daemonsets.apps", daemon_set(maxUnavailable="50%"))
    for node in "abc":
        history.see("nodes", {"metadata": {"name": node}})
        history.see("pods", daemon(f"p-{node}", node), at=0)
    history.see("pods", daemon("p-a", "a", **DYING), at=5_000)
    history.see("pods", daemon("p-b", "b", **DYING), at=5_000)
    with pytest.raises(Breach, match="available on 0 nodes, 1 must be"):
        history.see("pods", daemon("p-c", "c", **DYING), at=5_000)
