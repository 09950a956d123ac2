"""run, ps, logs, stop: containers."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer

from raypod.cli.output import (
    Format,
    Output,
    Progress,
    format_age,
    format_line,
    print_json,
    print_json_line,
    print_table,
)
from raypod.errors import NotFound, RaypodError, WaitTimeout

_STOPPED_BY_USER = 130
_TIMED_OUT = 124
#: So many exit codes are shown one by one.
_CODES_MAX = 8


def run(
    image: Annotated[str, typer.Argument(help="an image reference, or host for the node's own file system")],
    command: Annotated[list[str] | None, typer.Argument(help="after --: the command and its arguments")] = None,
    gpus: Annotated[int, typer.Option(help="whole GPUs for each replica")] = 0,
    cpus: Annotated[float | None, typer.Option(help="CPUs for each replica")] = None,
    memory: Annotated[str | None, typer.Option(help="memory for each replica, such as 512Mi or 8Gi")] = None,
    replicas: Annotated[int, typer.Option(help="how many containers")] = 1,
    env: Annotated[list[str] | None, typer.Option("-e", "--env", help="NAME=VALUE, or NAME to pass yours on")] = None,
    volume: Annotated[list[str] | None, typer.Option("-v", "--volume", help="SRC:DST[:ro], both absolute")] = None,
    name: Annotated[str, typer.Option(help="the run's name; drawn when left out")] = "",
    retries: Annotated[int, typer.Option(help="how many containers may fail in all")] = 0,
    workdir: Annotated[str, typer.Option("-w", "--workdir", help="working directory in the container")] = "",
    detach: Annotated[bool, typer.Option("-d", "--detach", help="print the name and return")] = False,
    timeout: Annotated[
        float, typer.Option(help="seconds for all replicas to start: else the run is stopped and the exit code is 124")
    ] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Run an image, stream its logs, exit with its code. Ctrl-C stops the run.

    With -o json each line of its log is an object {"line": ...} as it comes, and the last object is what became of it.
    """
    if timeout < 0 or timeout != timeout:
        raise ValueError(f"--timeout: seconds, not {timeout:g}")
    options: dict[str, Any] = {
        "image": image,
        "command": command or [],
        "gpus": gpus,
        "cpus": cpus,
        "memory": memory,
        "replicas": replicas,
        "env": parse_env(env or ()),
        "volumes": parse_volumes(volume or ()),
        "retries": retries,
        "working_dir": workdir,
    }
    sys.exit(asyncio.run(_run(name, options, detach, timeout, output)))


def parse_env(words: Sequence[str]) -> dict[str, str]:
    """Raises ValueError. A name without a value is passed on from this process."""
    import os

    env = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise ValueError(f"-e {word!r}: write NAME=VALUE")
        if equals:
            env[name] = value
        elif name in os.environ:
            env[name] = os.environ[name]
    return env


def parse_volumes(words: Sequence[str]) -> dict[str, str]:
    """`SRC:DST[:ro]` to container path -> host path. Raises ValueError."""
    volumes = {}
    for word in words:
        source, target, *mode = word.split(":")[:4] if word.count(":") else (word, "")
        if not source.startswith("/") or not target.startswith("/") or mode not in ([], ["ro"], ["rw"]):
            raise ValueError(f"-v {word!r}: write SRC:DST or SRC:DST:ro, both paths absolute")
        volumes[target] = source + (":ro" if mode == ["ro"] else "")
    return volumes


async def _run(name: str, options: dict[str, Any], detach: bool, timeout: float, output: Format) -> int:
    from raypod.cluster import AsyncCluster

    async with AsyncCluster(start=False) as cluster:
        if detach and not timeout:
            submitted = await cluster.run(name, **options)
            _print_name(submitted.name, output)
            return 0
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        submission = asyncio.ensure_future(cluster.run(name, **options))
        try:
            submitted = await asyncio.shield(submission)
            if detach:
                await _start_by(submitted, timeout)
                _print_name(submitted.name, output)
                return 0
            return await _follow_by(submitted, timeout, output)
        except _NotStarted as late:
            sys.stderr.write(f"raypod: {late}; it is stopped\n")
            await _stop(await submission)
            return _TIMED_OUT
        except asyncio.CancelledError:
            task.uncancel()
            submitted = await submission
            sys.stderr.write(f"\nraypod: stopping {submitted.name}; Ctrl-C once more does not wait for it\n")
            await _stop(submitted)
            return _STOPPED_BY_USER
        except BrokenPipeError:
            name = submission.result().name
            sys.stderr.write(
                f"raypod: nobody reads its output; it goes on: `raypod logs -f {name}`, `raypod stop {name}`\n"
            )
            raise


def _print_line(line: str, output: Format) -> None:
    print_json_line({"line": line}) if output is Format.JSON else sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _print_name(name: str, output: Format) -> None:
    print_json({"name": name}) if output is Format.JSON else sys.stdout.write(f"{name}\n")


async def _stop(submitted: Any) -> None:
    """Until its containers are gone. Interrupted once more it does not wait: what was asked for happens anyway."""
    deletion = asyncio.ensure_future(submitted.delete())
    try:
        await asyncio.shield(deletion)
        with suppress(RaypodError):
            await submitted.wait_deleted(40)
    except asyncio.CancelledError:
        sys.stderr.write(f"raypod: {submitted.name} goes on stopping: `raypod ps` and `kubectl get pods` show it\n")
        await deletion


class _NotStarted(RaypodError):
    """The time given for the start is over."""


async def _start_by(submitted: Any, timeout: float) -> None:
    """Raises _NotStarted after `timeout` seconds; 0: however long it takes."""
    try:
        await submitted.wait_started(timeout or None)
    except WaitTimeout as late:
        raise _NotStarted(str(late)) from late


async def _follow_by(submitted: Any, timeout: float, output: Format) -> int:
    """Raises _NotStarted; what it has written by then is shown."""
    follower = asyncio.ensure_future(_follow(submitted, output))
    starter = asyncio.ensure_future(_start_by(submitted, timeout))
    try:
        if timeout:
            await asyncio.wait((follower, starter), return_when=asyncio.FIRST_COMPLETED)
            if not follower.done():
                await starter
        return await follower
    finally:
        follower.cancel()
        starter.cancel()
        await asyncio.wait((follower, starter))


async def _follow(submitted: Any, output: Format) -> int:
    """Logs to stdout, what it waits for to stderr; the exit code of the first replica that failed."""
    progress = Progress(output is Format.TABLE)
    watcher = asyncio.create_task(_tell_waiting(submitted, progress))
    try:
        async for line in submitted.logs(follow=True):
            progress.clear()
            _print_line(line, output)
    finally:
        watcher.cancel()
        progress.clear()
    status = await submitted.wait(30)
    if output is Format.JSON:
        print_json_line({"name": submitted.name, **msgspec.to_builtins(status)})
    elif status.phase == "Failed":
        sys.stderr.write(f"raypod: run {submitted.name} failed: {status.message or 'see its logs'}\n")
    return status.exit_code or int(status.phase == "Failed")


async def _tell_waiting(submitted: Any, progress: Progress) -> None:
    """Each reason once: a pull that is tried again and again has two that alternate."""
    told: set[str] = set()
    with suppress(RaypodError):
        async for status in submitted.watch():
            if status.phase != "Pending":
                return
            if status.message and status.message not in told:
                told.add(status.message)
                progress.show(f"{submitted.name} is pending: {status.message}")


def format_codes(codes: Sequence[int | None]) -> str:
    """`0 1 -`, by replica; of many replicas how often each: `0 x 98, 1 x 2`."""
    words = ["-" if code is None else str(code) for code in codes]
    if len(words) <= _CODES_MAX:
        return " ".join(words)
    return ", ".join(f"{word} x {count}" for word, count in Counter(words).most_common())


def ps(output: Output = Format.TABLE) -> None:
    """All runs."""
    from raypod.sync import Cluster

    with Cluster(start=False) as cluster:
        found = cluster.runs()
    if output is Format.JSON:
        print_json([{"name": run.name, "image": run.image, **msgspec.to_builtins(status)} for run, status in found])
        return
    rows = (
        (run.name, run.image, status.phase, f"{status.succeeded + status.active}/{status.replicas}",
         format_codes(status.exit_codes),
         format_age(status.submitted_at), format_line(status.message))
        for run, status in found
    )  # fmt: skip
    print_table(("NAME", "IMAGE", "PHASE", "REPLICAS", "EXIT", "AGE", "MESSAGE"), rows)


def logs(
    name: Annotated[str, typer.Argument(help="a run")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="as they come, until the run is finished")] = False,
    output: Output = Format.TABLE,
) -> None:
    """What a run has written, also after its containers are gone."""
    from raypod.sync import Cluster

    with Cluster(start=False) as cluster:
        for line in cluster.get(name).logs(follow):
            _print_line(line, output)


def stop(
    names: Annotated[list[str], typer.Argument(help="runs")],
    output: Output = Format.TABLE,
) -> None:
    """Stop runs and forget them: SIGTERM, then SIGKILL after the grace period."""
    from raypod.sync import Cluster

    progress = Progress(output is Format.TABLE)
    with Cluster(start=False) as cluster:
        found = [cluster.get(name) for name in names]
        for run in found:
            run.delete()
        for run in found:
            progress.show(f"stopping {run.name}")
            with suppress(NotFound):
                run.wait_deleted()
    progress.clear()
    print_json({"stopped": names}) if output is Format.JSON else sys.stdout.write("\n".join(names) + "\n")
