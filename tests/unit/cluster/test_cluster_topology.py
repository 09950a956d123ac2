"""Which actors must be, given what is."""

from __future__ import annotations

from actors.cluster.topology import (
    CONTROL_PLANE,
    NODELET_PREFIX,
    RAY_NODE_ID_LABEL,
    RayNode,
    SeenActor,
    plan_actors,
    plan_gone,
    plan_nodelet,
)

NODE_LABEL = "raypod.io/node"


def labelled(name: str, id: str = "", alive: bool = True, **resources: float) -> RayNode:
    return RayNode(id=id or f"id-{name}", alive=alive, ip="10.0.0.1", labels={NODE_LABEL: name}, resources=resources)


def unlabelled(ip: str, id: str, alive: bool = True) -> RayNode:
    return RayNode(id=id, alive=alive, ip=ip)


def seen(name: str, state: str = "ALIVE", node_id: str = "") -> SeenActor:
    return SeenActor(name=name, state=state, node_id=node_id)


def everything(*nodes: str) -> list[SeenActor]:
    return [seen(name) for name in (*CONTROL_PLANE, *(NODELET_PREFIX + node for node in nodes))]


def test_from_nothing_the_store_comes_first_and_every_node_gets_a_nodelet() -> None:
    plan = plan_actors([labelled("h1"), labelled("h2")], [], "h1")
    assert [spec.name for spec in plan.start] == [*CONTROL_PLANE, f"{NODELET_PREFIX}h1", f"{NODELET_PREFIX}h2"]
    assert {spec.node for spec in plan.start[: len(CONTROL_PLANE)]} == {"h1"}
    assert plan.stop == ()


def test_nothing_to_do_when_all_is_there_even_if_it_is_being_restarted() -> None:
    actors = [*everything("h1")[:-1], seen(f"{NODELET_PREFIX}h1", "RESTARTING")]
    plan = plan_actors([labelled("h1")], actors, "h1")
    assert (plan.start, plan.stop) == ((), ())


def test_a_dead_actor_is_started_again() -> None:
    actors = [actor for actor in everything("h1") if actor.name != "raypod-store"] + [seen("raypod-store", "DEAD")]
    assert [spec.name for spec in plan_actors([labelled("h1")], actors, "h1").start] == ["raypod-store"]


def test_a_node_that_joins_gets_a_nodelet_pinned_by_its_label() -> None:
    (spec,) = plan_actors([labelled("h1"), labelled("h2")], everything("h1"), "h1").start
    assert spec.name == f"{NODELET_PREFIX}h2"
    assert spec.options["label_selector"] == {NODE_LABEL: "h2"}
    assert (spec.options["lifetime"], spec.options["max_restarts"]) == ("detached", -1)


def test_a_labelled_nodelet_waits_for_its_node() -> None:
    nodes = [labelled("h1"), labelled("h2", alive=False)]
    actors = [*everything("h1"), seen(f"{NODELET_PREFIX}h2", "RESTARTING", "id-h2")]
    plan = plan_actors(nodes, actors, "h1")
    assert (plan.start, plan.stop) == ((), ())


def test_without_a_label_the_node_id_pins_and_a_returning_node_gets_a_new_nodelet() -> None:
    name = f"{NODELET_PREFIX}ray-10-0-0-7"
    (spec,) = plan_actors([labelled("h1"), unlabelled("10.0.0.7", "a")], everything("h1"), "h1").start
    assert (spec.name, spec.options["label_selector"]) == (name, {RAY_NODE_ID_LABEL: "a"})

    waiting = [*everything("h1"), seen(name, "RESTARTING", "a")]
    gone = plan_actors([labelled("h1"), unlabelled("10.0.0.7", "a", alive=False)], waiting, "h1")
    assert (gone.stop, gone.start) == ((name,), ())

    back = [labelled("h1"), unlabelled("10.0.0.7", "a", alive=False), unlabelled("10.0.0.7", "b")]
    plan = plan_actors(back, waiting, "h1")
    assert plan.stop == (name,)
    assert [spec.options["label_selector"] for spec in plan.start] == [{RAY_NODE_ID_LABEL: "b"}]


def test_without_its_head_only_nodelets_are_planned() -> None:
    plan = plan_actors([labelled("h1", alive=False), labelled("h2")], [], "h1")
    assert [spec.name for spec in plan.start] == [f"{NODELET_PREFIX}h2"]


def test_the_plan_carried_out_leaves_nothing_to_do() -> None:
    nodes = [labelled("h1"), labelled("h2"), unlabelled("10.0.0.7", "a")]
    started = [seen(spec.name) for spec in plan_actors(nodes, [], "h1").start]
    assert plan_actors(nodes, started, "h1").start == ()


def test_a_nodelet_holds_what_raypod_may_hand_out_and_the_control_plane_holds_nothing() -> None:
    node = labelled("h1", CPU=16, GPU=4, memory=64e9)
    options = plan_nodelet(node, cpus_left=2).options
    assert (options["num_cpus"], options["num_gpus"], options["memory"]) == (14, 4, 64_000_000_000)
    assert plan_nodelet(labelled("h1", CPU=1), cpus_left=2).options["num_cpus"] == 0
    assert "num_gpus" not in plan_nodelet(labelled("h1", CPU=1)).options
    assert {spec.options["num_cpus"] for spec in plan_actors([node], [], "h1").start[: len(CONTROL_PLANE)]} == {0}


def test_a_node_is_gone_only_when_no_live_ray_node_bears_its_name() -> None:
    nodes = [labelled("h1", "a", alive=False), labelled("h1", "b"), labelled("h2", "c", alive=False)]
    assert plan_gone(nodes) == {"h2"}
