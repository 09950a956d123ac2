"""cp, attach and port-forward from Python and by the raypod command, in runs that really run."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_cluster import BIN, WholeCluster, wait_for

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
_SERVER = """
import socketserver, threading
class Counting(socketserver.BaseRequestHandler):
    def handle(self):
        total = 0
        while data := self.request.recv(65536): total += len(data)
        self.request.sendall(str(total).encode())
class Talking(socketserver.BaseRequestHandler):
    def handle(self):
        for _ in range(100): self.request.sendall(bytes(65536))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 200
threading.Thread(target=Server(("127.0.0.1", 8081), Talking).serve_forever).start()
print("up", flush=True)
Server(("127.0.0.1", 8080), Counting).serve_forever()
"""


@pytest.fixture(scope="module")
def run(whole: WholeCluster) -> Iterator[raypod.Run]:
    run = whole.cluster.run(
        "streamed", image="host", command=["python3", "-c", _SERVER], working_dir="/root", replicas=2
    )
    run.wait_started(60)
    wait_for("it listens", lambda: len(list(run.logs())) == 2)
    yield run
    run.delete()


# --- exec ---------------------------------------------------------------------------------------------------------


def test_commands_that_cannot_be_run(whole: WholeCluster, run: raypod.Run) -> None:
    with pytest.raises(raypod.CommandNotStarted) as caught:
        run.exec(["no-such-command"])
    assert caught.value.exit_code == 127
    missing = whole.raypod("exec", run.name, "--", "no-such-command")
    assert (missing.code, missing.err) == (
        127, 'raypod: exec: "no-such-command": executable file not found in $PATH\n',
    )  # fmt: skip
    folder = whole.raypod("exec", run.name, "--", "/etc")
    assert folder.code == 126, folder
    assert folder.err.count("\n") == 1


# --- cp -----------------------------------------------------------------------------------------------------------


def _tree(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        told = (
            os.readlink(path)
            if path.is_symlink()
            else ""
            if path.is_dir()
            else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {told}"
    return found


def test_a_tree_there_and_back(run: raypod.Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "empty").mkdir(parents=True)
    (tree / "large").write_bytes(os.urandom(30_000_000))
    (tree / ("long" * 50)).mkdir()
    (tree / ("long" * 50) / ("name" * 40)).write_text("deep")
    (tree / "tool").write_text("#!/bin/sh\n")
    (tree / "tool").chmod(0o755)
    (tree / "link").symlink_to("large")
    run.copy_to(tree, "/root/new", replica=1)
    assert (
        run.exec(["sh", "-c", "stat -c %U:%a /root/new/tool; ls /root/new | wc -l"], replica=1).stdout
        == b"root:755\n5\n"
    )
    assert run.copy_from("/root/new", tmp_path / "back", replica=1) == []
    assert _tree(tmp_path / "back") == _tree(tree)
    assert run.exec(["ls", "/root/new"], replica=0).exit_code == 2, "the other replica has none of it"


def test_into_folders_and_contents_only(run: raypod.Run, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    run.exec(["mkdir", "-p", "/root/into"])
    run.copy_to(tmp_path / "a", "/root/into")
    run.copy_to(f"{tmp_path}/a/.", "/root/into")
    assert run.exec(["sh", "-c", "cd /root/into && ls -d x a/x"]).stdout == b"a/x\nx\n"
    run.copy_from("into/a/x", tmp_path)  # relative to the working directory
    assert (tmp_path / "x").read_text() == "x"
    run.copy_from("/root/into/.", tmp_path / "contents")
    assert sorted(os.listdir(tmp_path / "contents")) == ["a", "x"]


def test_what_cannot_be_copied(whole: WholeCluster, run: raypod.Run, tmp_path: Path) -> None:
    with pytest.raises(raypod.CopyError, match="No such file"):
        run.copy_from("/root/none", tmp_path)
    with pytest.raises(raypod.CopyError, match="No such file"):
        run.copy_to(__file__, "/root/none/deeper/")
    with pytest.raises(FileNotFoundError):
        run.copy_to(tmp_path / "none", "/root")
    assert "NAME:PATH" in whole.raypod("cp", "a", "b").complaint
    assert "no replica 7" in whole.raypod("cp", "--replica", "7", f"{run.name}:/etc/hostname", "x").complaint
    assert os.listdir(tmp_path) == []


def test_a_hostile_tar_writes_nothing_elsewhere(whole: WholeCluster, run: raypod.Run, tmp_path: Path) -> None:
    """The container's `tar` is a program of its own that sends what it likes."""
    (tmp_path / "tar").write_text(
        "#!/usr/bin/python3\nimport io, sys, tarfile\n"
        "with tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as tar:\n"
        "    for name in ('data', '../escaped'):\n"
        "        member = tarfile.TarInfo(name); member.size = 4\n"
        "        tar.addfile(member, io.BytesIO(b'evil'))\n"
    )
    (tmp_path / "tar").chmod(0o755)
    run.copy_to(tmp_path / "tar", "/usr/local/bin/tar")
    target = tmp_path / "target"
    target.mkdir()
    try:
        said = whole.raypod("cp", f"{run.name}:/data", str(target))
    finally:
        run.exec(["rm", "/usr/local/bin/tar"])
    assert "../escaped" in said.complaint
    assert sorted(os.listdir(tmp_path)) == ["tar", "target"]


def test_the_cp_command(whole: WholeCluster, run: raypod.Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(256)))
    assert whole.raypod("cp", str(tmp_path / "f"), f"{run.name}:g").code == 0
    assert whole.raypod("cp", f"{run.name}:/root/g", str(tmp_path / "h")).code == 0
    assert (tmp_path / "h").read_bytes() == bytes(range(256))


# --- attach -------------------------------------------------------------------------------------------------------


def test_attach_to_an_input(whole: WholeCluster) -> None:
    run = whole.cluster.run("attached", image="host", command=["sh", "-c", "wc -c; exit 3"], stdin=True)
    run.wait_started(60)
    assert list(run.attach(input=bytes(3_000_000))) == [("Stdout", b"3000000\n")]
    run.wait(30)
    assert run.exit_codes == (3,)
    run.delete()


def test_the_attach_command_exits_with_the_code(whole: WholeCluster) -> None:
    run = whole.cluster.run(
        "attached-to", image="host", command=["sh", "-c", "read word; echo got $word; exit 4"], stdin=True
    )
    run.wait_started(60)
    said = subprocess.run(
        [BIN / "raypod", "attach", "-i", run.name], env=whole.environment, input="this\n", text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (said.stdout, said.returncode) == ("got this\n", 4), said.stderr
    assert "does not run" in whole.raypod("attach", run.name).complaint
    run.delete()


def test_ctrl_c_leaves_it_running(whole: WholeCluster, run: raypod.Run) -> None:
    with whole.started("raypod", "attach", run.name) as running:
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
    assert run.status.phase == "Running"


def test_attach_to_a_terminal(whole: WholeCluster) -> None:
    run = whole.cluster.run(
        "in-a-terminal", image="host", command=["sh", "-c", "read w; stty size; exit 6"], stdin=True, tty=True
    )
    run.wait_started(60)
    words = f"stty rows 33 cols 99; {BIN}/raypod attach -t {run.name}"
    with subprocess.Popen(
        ["script", "-qec", words, "/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=whole.environment | {"PATH": os.environ["PATH"]},
    ) as running:  # fmt: skip
        assert running.stdin is not None
        time.sleep(2)
        running.stdin.write("go\n")
        running.stdin.flush()
        out, _ = running.communicate(timeout=60)
    assert "33 99" in out
    assert running.returncode == 6
    run.delete()


# --- port-forward -------------------------------------------------------------------------------------------------


def _count(port: int, size: int) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(bytes(size))
        line.shutdown(socket.SHUT_WR)
        return int(line.recv(100))


def _drain(port: int) -> int:
    with socket.create_connection(("::1" if port % 2 else "127.0.0.1", port), timeout=30) as line:
        total = 0
        while data := line.recv(1 << 20):
            total += len(data)
        return total


def test_many_ports_and_connections(run: raypod.Run) -> None:
    told: list[str] = []
    with run.port_forward(":8080", ":8081", ":9", replica=1, told=told.append) as ports:
        assert [remote for _, remote in ports] == [8080, 8081, 9]
        counting, talking, nobody = (local for local, _ in ports)
        with (
            socket.create_connection(("127.0.0.1", talking), timeout=30),
            concurrent.futures.ThreadPoolExecutor(20) as pool,
        ):
            sizes = [0, 1, 100_000, 5_000_000] * 10  # while one more does not read at all
            assert list(pool.map(lambda size: _count(counting, size), sizes)) == sizes
            assert set(pool.map(lambda _: _drain(talking), range(20))) == {100 * 65536}
        with socket.create_connection(("127.0.0.1", nobody), timeout=30) as line:
            assert line.recv(1) == b""
    assert re.search(r"error forwarding port 9 to pod .*connection refused", told[0]), told
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", counting), timeout=5)


def test_a_port_that_is_taken(run: raypod.Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(raypod.RaypodError, match=f"cannot listen .*{port}"), run.port_forward(f"{port}:8080"):
            pass


def test_the_port_forward_command(whole: WholeCluster, run: raypod.Run) -> None:
    with whole.started("raypod", "port-forward", run.name, ":8080", ":8081") as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(2)]
        found = [re.match(r"Forwarding from localhost:(\d+) -> (\d+)\n", line) for line in lines]
        assert [match and match[2] for match in found] == ["8080", "8081"], lines
        assert found[0]
        assert _count(int(found[0][1]), 12345) == 12345
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
    assert "only TCP" in whole.raypod("port-forward", run.name, "53/udp").complaint


def test_the_forwarding_ends_with_the_run(whole: WholeCluster) -> None:
    run = whole.cluster.run("forwarded", image="host", command=["sleep", "5"])
    run.wait_started(60)
    assert "has ended" in whole.raypod("port-forward", run.name, ":80").complaint
    run.delete()
