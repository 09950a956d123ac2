"""exec into a container that may be hostile: as whom it runs, what it cannot reach, and what kills do to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig, is_alive, kill, until

from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import STDOUT, ExecResult, ExecSpec, Resources, Security, Streams

pytestmark = pytest.mark.root


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


async def _exec(rig: Rig, container_id: str, script: str, *, tty: bool = False) -> ExecResult:
    spec = ExecSpec(container_id=container_id, command=("/bin/sh", "-c", script), tty=tty)
    return await rig.runtime.exec_sync(spec, 20_000)


_SELF = (
    "id; grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; cat /proc/self/cgroup; pwd; echo $MINE $HOME; "
    "for kind in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$kind; done; cat /proc/self/limits | grep files"
)


@pytest.mark.parametrize(
    "security",
    [
        Security(),
        Security(uid=1000, gid=1000, groups=(2000,)),
        Security(no_new_privileges=True, capabilities_drop=("ALL",), capabilities_add=("NET_BIND_SERVICE",)),
        Security(privileged=True),
    ],
)
async def test_it_is_what_the_containers_own_process_is(rig: Rig, security: Security) -> None:
    """User, groups, capabilities, seccomp, namespaces, cgroups, directory, environment: all as the first process has."""
    fields = {"security": security, "env": {"MINE": "yes"}, "working_dir": "/usr", "resources": Resources(pids_max=50)}
    status = await rig.run("/bin/sh", "-c", f"{_SELF}; exec sleep 1000", **fields)
    await until(lambda: "files" in rig.output(status))
    result = await _exec(rig, status.spec.id, _SELF)
    assert result.stdout.decode() == rig.output(status)
    assert result.exit_code == 0


async def test_it_counts_against_the_containers_limits(rig: Rig) -> None:
    status = await rig.run("sleep", "1000", resources=Resources(memory_limit_bytes=32 << 20))
    result = await _exec(rig, status.spec.id, "python3 -c 'kept = [b\"x\" * (1 << 20) for _ in range(200)]'")
    assert result.exit_code == 137


async def test_no_descriptor_of_ours_is_inherited(rig: Rig) -> None:
    """CVE-2016-9962, CVE-2024-21626: one of the host's would lead out."""
    status = await rig.run("sleep", "1000")
    for tty in (False, True):
        result = await _exec(rig, status.spec.id, "exec ls /proc/self/fd", tty=tty)
        assert result.stdout.split() == [b"0", b"1", b"2", b"3"]


async def test_a_container_that_lies_in_wait_gets_no_executable_or_descriptor_of_the_host(rig: Rig) -> None:
    """CVE-2019-5736 and the race behind CVE-2016-9962: whoever enters is seen in /proc before it has executed anything.

    Nothing of it can be opened but what is the container's own already.
    """
    spy = (
        "import os\nseen = set()\n"
        "while True:\n"
        "  for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    for name in ('exe', 'cwd', 'root', 'fd'):\n"
        "      try:\n"
        "        if name == 'fd':\n"
        "          found = [os.readlink(f'/proc/{pid}/fd/{n}') for n in os.listdir(f'/proc/{pid}/fd')]\n"
        "        else:\n"
        "          found = [os.readlink(f'/proc/{pid}/{name}')]\n"
        "      except OSError: continue\n"
        "      for path in found:\n"
        "        if path not in seen: seen.add(path); print(name, path, flush=True)\n"
    )
    status = await rig.run("/usr/bin/python3", "-c", spy)
    await until(lambda: "exe" in rig.output(status))
    for _ in range(25):
        await _exec(rig, status.spec.id, "true")
    words = [line.split(" ", 1) for line in rig.output(status).splitlines()]
    executables = {path for name, path in words if name == "exe"}
    assert all(Path(path).parts[1] in ("usr", "bin", "sbin", "lib") for path in executables), executables
    own = ("/proc", "/dev/null", "/usr/", "/lib", "/etc/ld", "pipe:", "anon")
    leaked = {path for name, path in words if name == "fd" and not path.startswith(own)}
    assert not leaked
    assert {path for name, path in words if name in ("cwd", "root")} == {"/"}


async def test_the_interpreter_cannot_be_written_through_proc(rig: Rig) -> None:
    """CVE-2019-5736 itself: the command is a link to /proc/self/exe, which would be our own executable."""
    image = rig.layer()
    (image / "shell").symlink_to("/proc/self/exe")
    attempt = "import os; print('writable', os.access('/proc/self/exe', os.W_OK))"
    (image / "script").write_text(f"#!/proc/self/exe\n{attempt}\n")
    (image / "script").chmod(0o755)
    status = await rig.run("sleep", "1000", image=rig.image(image))
    for command in (("/shell", "-c", attempt), ("/script",)):
        result = await rig.runtime.exec_sync(ExecSpec(container_id=status.spec.id, command=command), 20_000)
        assert (result.exit_code, result.stdout) == (0, b"writable False\n"), result


async def test_nothing_is_imported_from_the_containers_files(rig: Rig) -> None:
    """A module that the launcher has not loaded yet must not come from the image, at the path of the host's library."""
    image = rig.layer()
    library = Path(os.__file__).parent
    for name in ("encodings/ascii.py", "encodings/idna.py", "encodings/latin_1.py", "traceback.py", "pwd.py"):
        place = image / str(library).lstrip("/") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("import os\nos.write(2, b'HIJACKED')\nos._exit(99)\n")
    status = await rig.run("/bin/sh", "-c", "echo here; exec sleep 1000", image=rig.image(image))
    result = await _exec(rig, status.spec.id, "echo there")
    assert (result.exit_code, result.stdout, result.stderr) == (0, b"there\n", b"")
    with pytest.raises(PluginError, match="not found"):
        await rig.runtime.exec(ExecSpec(container_id=status.spec.id, command=("no-such-command",)))
    assert "HIJACKED" not in rig.launcher_log()


@pytest.mark.parametrize("lure", ["ln -sf /etc/shadow /dev/ptmx", "rm -f /dev/ptmx; mknod /dev/ptmx c 1 8"])
async def test_a_false_terminal_is_not_taken(rig: Rig, lure: str) -> None:
    """CVE-2025-52565's kin: the terminal is the container's devpts', whatever lies beside it."""
    status = await rig.run("/bin/sh", "-c", f"{lure}; echo ready; exec sleep 1000")
    await until(lambda: "ready" in rig.output(status))
    result = await _exec(rig, status.spec.id, "tty; stat -c %t:%T $(tty) | cut -d: -f1", tty=True)
    assert result.stdout == b"/dev/pts/0\r\n88\r\n"


async def test_a_terminal_is_the_containers_users(rig: Rig) -> None:
    status = await rig.run("sleep", "1000", security=Security(uid=1000, gid=1000))
    result = await _exec(
        rig, status.spec.id, "stat -c %u $(tty); echo mine > $(tty); ps -o tpgid= -p $$ | tr -d ' '", tty=True
    )
    owner, mine, group = result.stdout.split()
    assert (owner, mine) == (b"1000", b"mine")
    assert int(group) > 0, "it has job control"


async def test_a_terminal_has_the_clients_size(rig: Rig) -> None:
    status = await rig.run("sleep", "1000")
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"
    streams = await rig.runtime.exec(
        ExecSpec(container_id=status.spec.id, command=("/bin/sh", "-c", script), tty=True, stdin=True)
    )
    assert await streams.read() == (STDOUT, b"ready\r\n")
    await streams.resize(132, 43)
    assert await _read_all(streams) == b"43 132\r\n"
    await streams.close()


async def _read_all(streams: Streams) -> bytes:
    seen = b""
    while (found := await streams.read()) is not None:
        seen += found[1]
    return seen


async def test_a_process_left_behind_does_not_hold_the_client(rig: Rig) -> None:
    """It keeps the pipe open, but what was started has ended."""
    status = await rig.run("sleep", "1000")
    result = await asyncio.wait_for(_exec(rig, status.spec.id, "sleep 500 & echo done"), 10)
    assert (result.exit_code, result.stdout) == (0, b"done\n")


def _pids_of(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in words and is_alive(int(entry.name)):
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("tty", [False, True])
async def test_what_runs_for_a_client_that_goes_is_killed(rig: Rig, tty: bool) -> None:
    status = await rig.run("sleep", "1000")
    script = "trap '' HUP TERM; sleep 54321.25 & wait; wait"
    spec = ExecSpec(container_id=status.spec.id, command=("/bin/sh", "-c", script), tty=tty)
    streams = await rig.runtime.exec(spec)
    await until(lambda: len(_pids_of("54321.25")) == 2)
    await streams.close()
    await until(lambda: not _pids_of("54321.25"))
    assert (await _exec(rig, status.spec.id, "true")).exit_code == 0


@pytest.mark.parametrize("victims", [("worker",), ("supervisor",), ("worker", "supervisor")])
async def test_a_launcher_that_is_replaced_changes_nothing(rig: Rig, victims: tuple[str, ...]) -> None:
    """Input, output and exit code pass beside it."""
    status = await rig.run("sleep", "1000")
    script = "while read line; do echo got $line; done; exit 9"
    streams = await rig.runtime.exec(
        ExecSpec(container_id=status.spec.id, command=("/bin/sh", "-c", script), stdin=True)
    )
    await streams.write(b"one\n")
    assert await streams.read() == (STDOUT, b"got one\n")
    pids = await rig.launcher()
    for victim in victims:
        kill(pids[victim])
    await until(lambda: not any(is_alive(pids[victim]) for victim in victims))
    await streams.write(b"two\n")
    assert await streams.read() == (STDOUT, b"got two\n")
    await streams.close_stdin()
    assert await streams.read() is None
    assert await streams.wait() == 9
    await streams.close()
    assert (await _exec(rig, status.spec.id, "echo again")).stdout == b"again\n"


async def test_it_ends_with_its_container(rig: Rig) -> None:
    status = await rig.run("sleep", "1000")
    streams = await rig.runtime.exec(ExecSpec(container_id=status.spec.id, command=("sleep", "1000")))
    await rig.runtime.stop_container(status.spec.id, 0)
    assert await asyncio.wait_for(streams.read(), 10) is None
    assert await asyncio.wait_for(streams.wait(), 10) == 137
    await streams.close()


async def test_many_at_once_leave_nothing(rig: Rig) -> None:
    status = await rig.run("sleep", "1000")
    before = len(os.listdir("/proc/self/fd"))
    results = await asyncio.gather(*(_exec(rig, status.spec.id, f"echo {n}; exit {n}") for n in range(20)))
    assert [(result.exit_code, result.stdout) for result in results] == [(n, f"{n}\n".encode()) for n in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    (own,) = (await _exec(rig, status.spec.id, "ls -d /proc/[0-9]* | wc -l")).stdout.split()
    assert int(own) <= 4, "the container has only its own process beside"
