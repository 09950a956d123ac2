"""The lives of pods on a node, told from outside: what users see, and what is left behind."""

from __future__ import annotations

from nodelet_world import World, conditions, make_container, statuses_of

from actors.nodelet.operations import CreateContainer, StartContainer, StopContainer
from actors.plugins.runtime.fake import FOREVER, Script
from actors.plugins.runtime.port import ContainerSpec


async def test_a_pod_runs_and_is_deleted_without_a_trace() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.160.0.")
    assert status["hostIP"] == "10.0.0.1"
    assert set(conditions(status).values()) == {"True"}
    main = status["containerStatuses"][0]
    assert main["containerID"].startswith("raypod://") and main["ready"] and main["restartCount"] == 0
    await world.delete(key)
    await world.settle()
    assert await world.get(key) is None
    assert world.is_clean()
    assert {"Pulling", "Pulled", "Created", "Started", "Killing"} <= set(await world.events())


async def test_success_is_final_and_frees_the_node() -> None:
    world = World(lambda spec: Script(run_ms=5_000, message="42"))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.advance(6_000)
    status = await world.status(key)
    assert status["phase"] == "Succeeded"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (0, "Completed", "42")
    assert conditions(status)["Ready"] == "False"
    assert world.is_clean()
    revision = world.store.revision
    await world.settle()
    await world.start()
    await world.settle()
    after = await world.status(key)
    assert after == status, "a new nodelet says the same"
    assert world.store.revision - revision <= 3, "and writes only its heartbeat"


async def test_failure_keeps_the_exit_code() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=3))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.advance(2_000)
    status = await world.status(key)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def test_a_crash_loop_backs_off_as_kubelet_does() -> None:
    world = World(lambda spec: Script(run_ms=1_000, exit_code=1))
    await world.start()
    key = await world.create("a")
    await world.advance(1_000)
    starts = [s.started_at_ms for s in world.machine.containers.values()]
    assert len(starts) == 2, "the first restart is at once"
    await world.advance(2_000)
    assert (await world.state(key))["waiting"]["reason"] == "CrashLoopBackOff"
    entry = (await world.status(key))["containerStatuses"][0]
    assert entry["lastState"]["terminated"]["exitCode"] == 1
    assert (await world.status(key))["phase"] == "Running"
    await world.advance(620_000)
    created = [op.spec.attempt for op in world.performed if isinstance(op, CreateContainer)]
    assert created == list(range(8)), "after 0, 10, 20, 40, 80, 160 and 300 s"
    assert len(world.machine.containers) == 2, "older attempts are removed"
    assert "BackOff" in await world.events()


async def test_no_such_command() -> None:
    world = World(lambda spec: Script(start_error=127))
    await world.start()
    key = await world.create("a", restartPolicy="Never")
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Failed"
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (127, "StartError")


async def test_init_containers_run_in_order_and_sidecars_stay() -> None:
    order: list[str] = []

    def script(spec: ContainerSpec) -> Script:
        if spec.name not in order:
            order.append(spec.name)
        return Script(run_ms=FOREVER if spec.name == "proxy" else 1_000)

    world = World(script)
    await world.start()
    init = [make_container("one"), make_container("proxy", restartPolicy="Always"), make_container("two")]
    key = await world.create("a", restartPolicy="Never", initContainers=init)
    await world.settle()
    assert (await world.state(key))["waiting"]["reason"] == "PodInitializing"
    assert conditions(await world.status(key))["Initialized"] == "False"
    await world.advance(1_500)
    assert order == ["one", "proxy", "two"]
    await world.advance(1_000)
    assert (await world.status(key))["phase"] == "Running"
    assert conditions(await world.status(key))["Initialized"] == "True"
    await world.advance(1_000)
    assert order == ["one", "proxy", "two", "main"]
    assert (await world.status(key))["phase"] == "Succeeded"
    assert [op.name for op in world.performed if isinstance(op, StopContainer)] == ["proxy"]
    assert world.is_clean()


async def test_an_init_container_that_fails_for_good() -> None:
    world = World(lambda spec: Script(exit_code=2))
    await world.start()
    key = await world.create("a", restartPolicy="Never", initContainers=[make_container("one")])
    await world.settle()
    status = await world.status(key)
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 2
    assert world.is_clean()


async def test_the_deadline() -> None:
    world = World()
    await world.start()
    key = await world.create("a", restartPolicy="Never", activeDeadlineSeconds=30)
    await world.advance(29_000)
    assert (await world.status(key))["phase"] == "Running"
    await world.advance(2_000)
    status = await world.status(key)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert world.is_clean()


async def test_what_does_not_fit_is_refused_with_kubelets_words() -> None:
    world = World()
    await world.start()
    big = make_container(resources={"requests": {"cpu": "3"}})
    first = await world.create("a", containers=[big])
    second = await world.create("b", containers=[big])
    await world.settle()
    assert (await world.status(first))["phase"] == "Running"
    status = await world.status(second)
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    await world.start()
    await world.settle()
    assert (await world.status(first))["phase"] == "Running", "who was admitted stays"
    assert (await world.status(second))["phase"] == "Failed"


async def test_a_field_that_nobody_carries_out_is_refused_or_reported() -> None:
    world = World()
    await world.start()
    refused = await world.create("a", hostUsers=False)
    probe = {"httpGet": {"path": "/", "port": 80}}
    reported = await world.create("b", containers=[make_container(livenessProbe=probe)])
    await world.settle()
    status = await world.status(refused)
    assert (status["phase"], status["reason"]) == ("Failed", "UnsupportedField")
    assert "spec.hostUsers" in status["message"]
    assert (await world.status(reported))["phase"] == "Running"
    assert (await world.events()).count("UnsupportedField") == 2


async def test_a_shorter_grace_overtakes_a_longer_one() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.settle()
    await world.delete(key, 300)
    batch = await world.store.watch(world.core.selection(), world.revision, 0)
    world.core.observe(batch, world.now)
    (slow,) = [op for op in world.core.operations(world.now) if isinstance(op, StopContainer)]
    await world.delete(key, 1)
    batch = await world.store.watch(world.core.selection(), batch.revision, 0)
    world.core.observe(batch, world.now)
    (fast,) = [op for op in world.core.operations(world.now) if isinstance(op, StopContainer)]
    assert (slow.grace_ms, fast.grace_ms) == (300_000, 1_000)


async def test_how_a_pod_ended_stays_when_its_container_never_started() -> None:
    world = World()
    await world.start()
    key = await world.create("a")
    await world.begin(StartContainer)
    before = world.store.revision
    await world.delete(key, 5)
    await world.start()
    await world.settle()
    told = await world.store.watch(world.core.selection(), before, 0)
    states = [entry["state"] for event in told.events for entry in statuses_of(event)]
    ends = [state.get("terminated", {}).get("exitCode") for state in states]
    assert 137 in ends
    assert set(ends[ends.index(137) :]) == {137}
    assert world.is_clean()
