"""The main job, as `make run` shows it: an embedded cluster, a run on the node's own file system, a function call.

Prints the run's logs, its result and where the time went, takes everything down and checks that nothing is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import raypod

SCRIPT = """
import os, platform
index = os.environ["JOB_COMPLETION_INDEX"]
print("hello from replica", index, "on", platform.node(), "as pid", os.getpid())
for step in range(1, 4):
    print("step", step, "loss", round(1 / (step + int(index)), 3))
"""


def add_up(numbers: list[int]) -> tuple[int, str]:
    """Runs in a container: pid 1 of its own Linux namespaces."""
    return sum(numbers), f"pid {os.getpid()}"


def main() -> int:
    home = os.environ.get("RAYPOD_HOME")
    temporary = None if home else tempfile.mkdtemp(prefix="raypod-")
    os.environ["RAYPOD_HOME"] = home or str(temporary)
    if temporary:
        Path(temporary, "config.yaml").write_text("gateway: {port: 0}\n")  # 6443 may be somebody's
    before = leftovers()
    try:
        return run_it()
    except raypod.RaypodError as error:
        tell(f"failed: {error}")
        return 1
    finally:
        tell("taking everything down")
        command = [Path(sys.executable).with_name("raypod"), "down", "-o", "json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        left = sorted(leftovers() - before)
        tell(
            f"left behind: {', '.join(left)}" if left else "nothing is left: no process, mount, cgroup, Linux namespace"
        )
        if temporary:
            shutil.rmtree(temporary)
        if left:
            sys.exit(1)


def run_it() -> int:
    started = time.monotonic()
    tell("starting an embedded Ray cluster with the control plane")
    cluster = raypod.Cluster()
    tell(f"up after {time.monotonic() - started:.1f} s, nodes: {', '.join(cluster.nodes())}")
    run = cluster.run(
        "hello", image="host", command=[sys.executable, "-uc", SCRIPT], replicas=2, cpus=0.5, memory="256Mi"
    )
    for line in run.logs(follow=True):
        print(f"  {line}")
    status = run.wait(60)
    tell(f"{status.phase.lower()}, exit codes {list(status.exit_codes)}")
    tell(
        "where the time went: "
        + ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in run.timeline().phases())
    )
    total, where = cluster.call(add_up, list(range(101)))
    tell(f"a Python function in a container: 0 + 1 + ... + 100 = {total} ({where})")
    run.delete()
    cluster.close()
    return 0 if status.phase == "Succeeded" and total == 5050 else 1


def leftovers() -> set[str]:
    """What raypod could leave on this machine, by name."""
    home = os.environ["RAYPOD_HOME"]
    found = {f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines() if home in line}
    found |= {f"link {link.name}" for link in Path("/sys/class/net").iterdir() if link.name.startswith("raypod")}
    found |= {f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob("**/raypod*") if path.is_dir()}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if home.encode() in words:
                found.add(f"process {entry.name} ({(entry / 'comm').read_text().strip()})")
    return found


def tell(text: str) -> None:
    print(f"raypod: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
