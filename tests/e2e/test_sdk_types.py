"""A user's script under `mypy --strict`, in a folder of its own: the types are found, and they are right."""

from __future__ import annotations

import subprocess
from pathlib import Path

from whole_cluster import BIN

SCRIPT = """
import raypod

def add(a: int, b: int) -> int:
    return a + b

def more(a: int, b: int = 2, *, c: int = 3) -> int:
    return a + b + c

def main() -> None:
    cluster = raypod.Cluster()
    run = cluster.run("train", image="host", command=["true"], replicas=2, cpus=4, memory="8Gi", gpus=1,
                      env={"EPOCHS": "3"}, volumes={"/data": "/mnt/data"})
    codes: tuple[int | None, ...] = run.exit_codes
    answer: int = cluster.call(add, 1, 2, image="host", gpus=1)
    answer = cluster.call(more, 1) + cluster.call(more, 1, 2) + cluster.call(lambda: 3) + cluster.call(len, "abc")
    print(codes, answer, *(line.upper() for line in run.logs(follow=True)))

async def twin() -> None:
    async with raypod.AsyncCluster() as cluster:
        run = await cluster.run("train", image="host")
        answer: int = await cluster.call(add, 1, 2)
        answer = await cluster.call(add, 1, kwargs={"b": 2}, timeout=5)
        print(answer, (await run.wait()).phase)
"""
WRONG = """
def wrong(cluster: raypod.Cluster) -> None:
    cluster.run("x", image="host", cpuz=1)
    raypod.Klaster()
    cluster.call(more, "1")
    cluster.call(add, 1, "2")

async def wrong_twin(cluster: raypod.AsyncCluster) -> None:
    await cluster.call(add, 1, "2")
"""


def _check(folder: Path, text: str) -> str:
    (folder / "script.py").write_text(text)
    command = [str(BIN / "mypy"), "--strict", "script.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


def test_the_readmes_calls_are_typed(tmp_path: Path) -> None:
    assert "Success: no issues found" in _check(tmp_path, SCRIPT)
    told = _check(tmp_path, SCRIPT + WRONG)
    assert 'Unexpected keyword argument "cpuz"' in told
    assert 'Module has no attribute "Klaster"' in told
    wrong = [line for line in told.splitlines() if "[arg-type]" in line]
    assert [line.partition("incompatible type ")[2].partition(";")[0] for line in wrong] == [
        '"def more(a: int, b: int = ..., *, c: int = ...) -> int"',
        '"Callable[[int, int], int]"',
        '"Callable[[int, int], int]"',
    ]
