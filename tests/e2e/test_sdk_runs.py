"""A user's Python program: runs, their logs, limits, exit codes and ends, over a real cluster."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from whole_cluster import TICKING, WholeCluster, wait_for

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_a_run_from_its_beginning_to_after_its_end(whole: WholeCluster) -> None:
    run = whole.cluster.run(
        "first", image="host", command=sh("echo $GREETING from $(hostname); echo oops >&2; pwd"),
        env={"GREETING": "hello", "NUMBER": 3}, working_dir="/usr", labels={"team": "a"},
    )  # fmt: skip
    assert repr(run) == "<raypod run default/first>"
    status = run.wait(60)
    assert (status.phase, run.exit_codes, status.succeeded, status.message) == ("Succeeded", (0,), 1, "")
    lines = list(run.logs())
    assert sorted(lines) == ["/usr", "hello from first-0", "oops"]
    assert {name for name, _ in run.timeline().phases()} >= {"queued", "scheduled", "started", "finished"}
    again = whole.cluster.get("first")
    assert (list(again.logs(follow=True)), again.image, again.replicas) == (lines, "host", 1)

    run.delete()
    run.delete()
    run.wait_deleted(30)
    assert list(run.logs()) == lines, "the log outlives its container"
    with pytest.raises(raypod.NotFound, match="first"):
        _ = run.status
    with pytest.raises(raypod.NotFound, match="raypod ps"):
        whole.cluster.get("first")


def test_replicas_have_numbers_prefixes_and_exit_codes_of_their_own(whole: WholeCluster) -> None:
    script = "for i in 1 2 3; do echo line $i of $JOB_COMPLETION_INDEX; done; "
    script += "test $JOB_COMPLETION_INDEX != 1 || { sleep 2; exit 5; }"  # once the others have ended
    run = whole.cluster.run(image="host", command=sh(script), replicas=3)
    lines = list(run.logs(follow=True))
    assert sorted(lines) == sorted(f"[{r}] line {i} of {r}" for r in range(3) for i in (1, 2, 3))
    for replica in range(3):
        own = [line for line in lines if line.startswith(f"[{replica}]")]
        assert own == sorted(own), "the order within a replica is the container's"
    status = run.wait(30)
    assert (status.phase, status.exit_codes) == ("Failed", (0, 5, 0))
    assert status.message == "replica 1 exited with code 5: Error"
    assert list(run.logs()) == sorted(lines)


def test_replicas_that_are_stopped_because_one_failed_say_how_they_ended(whole: WholeCluster) -> None:
    script = "trap 'exit 7' TERM; test $JOB_COMPLETION_INDEX != 1 || { sleep 1; exit 5; }; echo $$; sleep 60 & wait"
    run = whole.cluster.run(image="host", command=sh(script), replicas=3)
    status = run.wait(60)
    assert (status.phase, status.exit_codes, status.exit_code, status.failed) == ("Failed", (7, 5, 7), 5, 3)
    assert status.message == "replica 1 exited with code 5: Error"
    assert sorted(run.logs()) == ["[0] 1", "[2] 1"], "the shell reads its dollar signs itself"


def test_followed_lines_come_while_the_container_runs(whole: WholeCluster) -> None:
    run = whole.cluster.run(image="host", command=sh("echo early; sleep 2; echo late; printf unfinished"))
    seen = [(line, run.status.phase) for line in run.logs(follow=True)]
    assert seen[0] == ("early", "Running")
    assert [line for line, _ in seen] == ["early", "late", "unfinished"]


def test_following_can_be_given_up(whole: WholeCluster) -> None:
    run = whole.cluster.run(image="host", command=sh(TICKING), grace_seconds=0)
    lines = run.logs(follow=True)
    assert [next(lines), next(lines)] == ["tick 0", "tick 1"]
    lines.close()  # type: ignore[attr-defined]
    assert run.status.phase == "Running"
    run.delete()
    run.wait_deleted(30)


def test_volumes_are_written_and_read_only_ones_are_not(whole: WholeCluster, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text").write_text("given")
    (tmp_path / "out").mkdir()
    script = "cat /data/text; cp /data/text /out/copy; touch /data/x && echo written || echo refused"
    volumes = {"/data": f"{tmp_path}/in:ro", "/out": f"{tmp_path}/out"}
    run = whole.cluster.run(image="host", command=sh(script), volumes=volumes)
    assert run.wait(60).phase == "Succeeded"
    assert (tmp_path / "out" / "copy").read_text() == "given"
    assert not (tmp_path / "in" / "x").exists()
    assert "givenrefused" in run.logs(), "the text has no line end"


def test_limits_are_in_the_kernel(whole: WholeCluster) -> None:
    run = whole.cluster.run(image="host", command=["sleep", "1000"], cpus=0.5, memory="96Mi", grace_seconds=0)
    wait_for("the run runs", lambda: run.status.phase == "Running")
    assert _limits(whole, "memory", "memory.limit_in_bytes", "memory.max") == {str(96 << 20)}
    quota = _limits(whole, "cpu", "cpu.cfs_quota_us", "cpu.max")
    assert quota in ({"50000"}, {"50000 100000"})
    node = whole.cluster.status()["nodes"][0]
    assert (node["requested"]["cpu"], node["requested"]["memory"]) == (500, 96 << 20)
    run.delete()
    run.wait_deleted(30)
    wait_for("the cgroup is gone", lambda: not _limits(whole, "memory", "memory.limit_in_bytes", "memory.max"))


def _limits(whole: WholeCluster, controller: str, v1: str, v2: str) -> set[str]:
    """The values set in this node's cgroups; those without a limit are left out."""
    root = whole.cgroup(controller)
    texts = {path.read_text().strip() for name in (v1, v2) for path in root.glob(f"**/{name}")}
    return {text for text in texts if text != "-1" and not text.startswith("max") and int(text.split()[0]) < 1 << 50}


def test_waiting_has_an_end_and_says_for_what(whole: WholeCluster) -> None:
    run = whole.cluster.run("wants-gpus", image="host", command=["true"], gpus=2)
    began = time.monotonic()
    with pytest.raises(raypod.WaitTimeout, match=r"wants-gpus is still pending after 1 s: .*nvidia.com/gpu"):
        run.wait(1)
    assert time.monotonic() - began < 5
    with pytest.raises(TimeoutError):
        run.wait(0.1)
    run.delete()
    run.wait_deleted(30)


def test_a_name_is_taken_until_it_is_free(whole: WholeCluster) -> None:
    run = whole.cluster.run("twice", image="host", command=["sleep", "1000"], grace_seconds=0)
    with pytest.raises(raypod.NameTaken, match="`raypod stop twice`"):
        whole.cluster.run("twice", image="host", command=["true"])
    run.delete()
    run.wait_deleted(30)
    assert whole.cluster.run("twice", image="host", command=["true"]).wait(30).phase == "Succeeded"


def test_retries_give_a_replica_another_container(whole: WholeCluster, tmp_path: Path) -> None:
    script = "test -e /out/tried && exit 0; touch /out/tried; exit 9"
    run = whole.cluster.run(image="host", command=sh(script), retries=2, volumes={"/out": str(tmp_path)})
    status = run.wait(60)
    assert (status.phase, status.exit_codes, status.failed) == ("Succeeded", (0,), 1)


def test_runs_are_listed_in_the_order_of_submission(whole: WholeCluster) -> None:
    names = [whole.cluster.run(image="host", command=["true"]).name for _ in range(2)]
    listed = [run.name for run, _ in whole.cluster.runs()]
    assert set(names) <= set(listed)
    statuses = [status.submitted_at for _, status in whole.cluster.runs()]
    assert statuses == sorted(statuses)
    assert whole.cluster.nodes() == [whole.node]


async def test_the_same_for_asyncio(whole: WholeCluster) -> None:
    async with raypod.AsyncCluster(whole.kubeconfig) as cluster:
        runs = await asyncio.gather(*(cluster.run(image="host", command=sh(f"echo {i}; exit {i}")) for i in range(3)))
        texts = await asyncio.gather(*(_followed(run) for run in runs))
        assert texts == [["0"], ["1"], ["2"]]
        statuses = await asyncio.gather(*(run.wait(60) for run in runs))
        assert [status.exit_codes for status in statuses] == [(0,), (1,), (2,)]
        assert (await cluster.status())["healthy"]
        for run in runs:
            await run.delete()
            await run.wait_deleted(30)
            with pytest.raises(raypod.NotFound):
                await run.status()


async def _followed(run: raypod.AsyncRun) -> list[str]:
    return [line async for line in run.logs(follow=True)]


async def test_a_cancelled_wait_leaves_the_run_alone(whole: WholeCluster) -> None:
    async with raypod.AsyncCluster(whole.kubeconfig) as cluster:
        run = await cluster.run(image="host", command=sh(TICKING), grace_seconds=0)
        waiting = asyncio.create_task(run.wait())
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await run.status()).phase == "Running"
        await run.delete()
        await run.wait_deleted(30)


def test_a_program_that_does_not_close_its_cluster_ends(whole: WholeCluster, tmp_path: Path) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(
        "import raypod\n"
        "cluster = raypod.Cluster()\n"
        "run = cluster.run(image='host', command=['echo', 'from a script'])\n"
        "lines = run.logs(follow=True)\n"
        "statuses = run.watch()\n"
        "print(next(lines), next(statuses).replicas, run.wait(60).phase)\n"
    )
    said = whole.python(script)
    assert (said.code, said.out, said.err) == (0, "from a script 1 Succeeded\n", "")


def test_the_import_is_quick_and_brings_no_ray(whole: WholeCluster, tmp_path: Path) -> None:
    script = tmp_path / "quick.py"
    script.write_text(
        "import raypod, sys\nprint([m for m in ('ray', 'actors', 'aiohttp', 'yaml') if m in sys.modules])\n"
    )
    said = whole.python(script)
    assert (said.code, said.out) == (0, "[]\n")
    assert sys.version_info[:2] >= (3, 11)


def test_a_deleted_run_says_that_it_was_deleted(whole: WholeCluster) -> None:
    """Also where another one bears its name by now."""
    run = whole.cluster.run("forgotten", image="host", command=["true"])
    run.wait(60)
    run.delete()
    for again in (False, True):
        if again:
            run.wait_deleted(30)
            whole.cluster.run("forgotten", image="host", command=["true"])
        for ask in (lambda: run.status, lambda: run.exit_codes, lambda: run.wait(5)):
            with pytest.raises(raypod.NotFound, match=r"run forgotten was deleted, .* submit it again"):
                ask()
    whole.cluster.get("forgotten").delete()


def test_a_start_that_does_not_come(whole: WholeCluster) -> None:
    run = whole.cluster.run(image="127.0.0.1:9/no-such:1", command=["true"])
    with pytest.raises(raypod.WaitTimeout, match=r"has not started after 1\.5 s: .*cannot be reached"):
        run.wait_started(1.5)
    run.delete()
    run = whole.cluster.run(image="host", command=["sleep", "100"], replicas=2)
    assert (run.wait_started(30).phase, run.status.active) == ("Running", 2)
    run.delete()


def test_an_unknown_keyword_is_named_as_the_callers(whole: WholeCluster) -> None:
    with pytest.raises(TypeError, match=r"^run\(\) got an unexpected keyword argument 'cpu': did you mean 'cpus'\?"):
        whole.cluster.run(image="host", cpu=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^run_many\(\) got an unexpected keyword argument 'cpu'"):
        whole.cluster.run_many([{"image": "host", "cpu": 1}])  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TypeError, match=r"^call\(\) got an unexpected keyword argument 'colour'; it has cpus, env"):
        whole.cluster.call(len, "abc", colour=1)  # type: ignore[call-overload]
