"""`cluster.call`: a user's functions in containers, their results and their exceptions back."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from registry import Registry, host_programs
from whole_cluster import WholeCluster

from raypod import CallError, WaitTimeout

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

#: A project of a user's: a module, a package called `actors`, and functions from all of them.
PROJECT = {
    "script.py": """
import raypod
from actors.trainer import Trainer, TrainingFailed
import shapes

factor = 7

def scaled(value, *, plus=0):
    return shapes.Square(value * factor + plus)

def fails():
    raise TrainingFailed("no convergence", epoch=3)

if __name__ == "__main__":
    with raypod.Cluster() as cluster:
        square = cluster.call(scaled, 6, kwargs={"plus": 1})
        print(type(square).__name__, square.side)
        print(cluster.call(Trainer(5).step))
        try:
            cluster.call(fails)
        except TrainingFailed as error:
            print("caught", error, error.epoch, "in fails" in str(error.__cause__))
""",
    "shapes.py": "class Square:\n    def __init__(self, side):\n        self.side = side\n",
    "actors/__init__.py": "",
    "actors/trainer.py": """
class TrainingFailed(Exception):
    def __init__(self, message, epoch):
        super().__init__(message, epoch)
        self.epoch = epoch

    def __str__(self):
        return self.args[0]

class Trainer:
    def __init__(self, start):
        self.at = start

    def step(self):
        return self.at + 1
""",
}


@pytest.fixture
def project() -> Iterator[Path]:
    """Not under /tmp: a container of the host image has a /tmp of its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for name, text in PROJECT.items():
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text(text)
        yield Path(folder)


def test_a_script_with_modules_and_a_folder_called_actors(whole: WholeCluster, project: Path) -> None:
    said = whole.python(project / "script.py")
    assert said.code == 0, said
    assert said.out.splitlines() == ["Square 43", "6", "caught no convergence 3 True"]


def test_a_closure_runs_as_pid_1_of_another_host(whole: WholeCluster) -> None:
    mine, added = os.uname().nodename, {"n": 40}

    def look(more: int) -> tuple[int, int, bool]:
        import platform

        return added["n"] + more, os.getpid(), platform.node() != mine

    assert whole.cluster.call(look, 2) == (42, 1, True)
    assert added == {"n": 40}


def test_output_does_not_mix_with_the_result(whole: WholeCluster) -> None:
    def noisy() -> str:
        print("x" * 100_000, end="")
        sys.stderr.write("no line end")
        os.write(1, b"\x02raypod-result bm90IHRoaXM=\n")
        return "the result " * 10_000

    assert whole.cluster.call(noisy) == "the result " * 10_000


def test_what_it_prints_comes_as_it_is_printed(
    whole: WholeCluster, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The function waits until the caller has seen its first line, and only then ends."""

    def talk() -> int:
        print("first\n\nlast of the first")
        sys.stderr.write("to stderr\n")
        while not os.path.exists("/seen/yes"):
            time.sleep(0.05)
        print("no line feed", end="")
        return 3

    out = err = ""
    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(whole.cluster.call, talk, volumes={"/seen": str(tmp_path)}, timeout=60)
        while not (out.count("\n") == 3 and err):
            assert not called.done(), called.result()
            more = capsys.readouterr()
            out, err = out + more.out, err + more.err
            time.sleep(0.05)
        (tmp_path / "yes").touch()
        assert called.result() == 3
    more = capsys.readouterr()
    assert (out + more.out, err + more.err) == ("first\n\nlast of the first\nno line feed\n", "to stderr\n")


@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (lambda: os._exit(3), r"did not return: replica 0 exited with code 3"),
        (lambda: os.abort(), r"did not return: replica 0 exited with code 13[49]"),
        (lambda: bytearray(1 << 30).count(1), r"did not return: replica 0 exited with code 137: OOMKilled"),
        (lambda: (i for i in range(3)), r"what the function returned cannot be sent back: .*generator"),
        (lambda: bytes(17 << 20), r"at most 16777216 can be sent back: write it to a volume"),
    ],
    ids=["it exits", "it aborts", "out of memory", "a generator", "too large"],
)
def test_what_does_not_come_back_is_told(whole: WholeCluster, fn: Any, told: str) -> None:
    with pytest.raises(CallError, match=told):
        whole.cluster.call(fn, memory="256Mi")


def test_what_cannot_be_sent_is_told_before_anything_runs(whole: WholeCluster) -> None:
    lock = __import__("threading").Lock()
    with pytest.raises(CallError, match=r"cannot be sent: .*lock"):
        whole.cluster.call(lambda: lock)
    with pytest.raises(CallError, match="put large data on a volume"):
        whole.cluster.call(len, bytes(33 << 20))


def test_exceptions_of_every_kind_come_back(whole: WholeCluster) -> None:
    def leave() -> None:
        sys.exit("enough")

    with pytest.raises(SystemExit, match="enough"):
        whole.cluster.call(leave)
    with pytest.raises(ZeroDivisionError) as caught:
        whole.cluster.call(lambda: 1 // 0)
    assert "1 // 0" in str(caught.value.__cause__) or "lambda" in str(caught.value.__cause__)


def test_a_call_that_takes_too_long_is_taken_down(whole: WholeCluster) -> None:
    with pytest.raises(WaitTimeout, match="still running after 2 s"):
        whole.cluster.call(time.sleep, 1000, timeout=2)
    assert [run.name for run, _ in whole.cluster.runs() if run.name.startswith("call-")] == []


def test_nothing_of_a_call_stays_behind(whole: WholeCluster) -> None:
    whole.cluster.call(len, "abc", env={"A": "b"}, cpus=0.2)
    left = [item["metadata"]["name"] for item in whole.get("secrets,jobs")["items"]]
    assert [name for name in left if name.startswith("call-")] == []


def test_an_image_with_a_python(whole: WholeCluster, images: Registry) -> None:
    """The interpreter and its libraries come in as volumes, so that the image is small."""
    python = Path(sys.executable).resolve()
    image = images.push("python", files={"etc/where": b"in the image"})

    def where() -> str:
        return Path("/etc/where").read_text()

    volumes = {path: f"{path}:ro" for path in ("/usr", "/lib", "/lib64", sys.base_prefix)}
    assert whole.cluster.call(where, image=image, python=str(python), volumes=volumes) == "in the image"


def test_an_image_without_a_python_is_told(whole: WholeCluster, images: Registry) -> None:
    image = images.push("no-python", files=host_programs("sh"))
    with pytest.raises(CallError, match=r'"python3": executable file not found'):
        whole.cluster.call(len, "abc", image=image)


def test_a_wrong_python_is_told(whole: WholeCluster, tmp_path: Path) -> None:
    """A Python that says it is another version."""
    other = tmp_path / "python9"
    other.write_text(f"#!/bin/sh\nexec {sys.executable} $1 $2 9.9\n")
    other.chmod(0o755)
    with pytest.raises(CallError, match=r"the image's Python is 3\.\d+ and the caller's is 9\.9: use an image"):
        whole.cluster.call(len, "abc", python="/other/python9", volumes={"/other": str(tmp_path)})
