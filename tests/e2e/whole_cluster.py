"""One real cluster for the tests of a whole session: `raypod up` in a home of its own, everything as a user has it.

It runs beside any other raypod on the machine: bridge, addresses (outside of the range that is set by itself), ports
and node name are its own. At the end it is
taken down, and nothing of it may be left: no process, mount, cgroup, link, nftables table.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
from registry import Registry, start_registry

import raypod

BIN = Path(sys.executable).parent
#: Whose code a cluster runs: that of the tree in which the tests lie.
ROOT = Path(__file__).parents[2]
NODE = "whole"
#: A line each 0.1 s, until SIGTERM (which pid 1 would not heed by itself).
TICKING = "trap exit TERM; i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done"
#: Waits for the end of its input, which is the end of pytest.
_GUARD = 'read home; read _; RAYPOD_HOME=$home; export RAYPOD_HOME; exec "$0" down'

T = TypeVar("T")


class Said:
    """What a command printed, its exit code, and how long it took."""

    def __init__(self, done: subprocess.CompletedProcess[str], seconds: float) -> None:
        self.out, self.err, self.code, self.seconds = done.stdout, done.stderr, done.returncode, seconds

    def __repr__(self) -> str:
        return f"code {self.code} after {self.seconds:.1f} s\n{self.out[-2000:]}\n{self.err[-2000:]}"

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The one sentence on stderr of a command that was refused."""
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("raypod: ")]
        assert (self.code, len(lines)) == (1, 1), self
        return lines[0].removeprefix("raypod: ")


class WholeCluster:
    """A raypod under `home`. Nothing is started by making one."""

    def __init__(self, home: Path, node: str = NODE, **nodelet: Any) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.node = home, node
        number = zlib.crc32(str(home).encode()) ^ os.getpid()
        self.bridge = f"rpw{number % 0xFFFFF:05x}"
        self.network = {
            "bridge": self.bridge,
            "cluster_cidr": f"10.{224 + number % 16}.{(number >> 4) % 16 * 16}.0/20",
            "vxlan_id": 8000 + number % 10_000,
            "vxlan_port": 20_000 + number % 10_000,
        }
        self.config = home / "given.yaml"
        self._nodelet = nodelet
        self.write_config()

    def write_config(self, **changed: Any) -> Path:
        """JSON is YAML."""
        tree = {
            "node_name": self.node,
            "gateway": {"port": 0},
            "controllers": {"job_backoff": {"first_ms": 300, "most_ms": 1000}},
            "nodelet": {"network": self.network, **self._nodelet},
        }
        self.config.write_text(json.dumps(tree | changed))
        return self.config

    # --- commands -------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY", "KUBE", "PYTHON"))}
        return kept | {
            "RAYPOD_HOME": str(self.home), "HOME": str(self.home), "NO_PROXY": "*", "PYTHONPATH": str(ROOT)
        }  # fmt: skip

    def raypod(
        self, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
    ) -> Said:
        return self._say([str(BIN / "raypod"), *words], env or {}, cwd, "", timeout)

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 60, check: bool = True) -> Said:
        said = self._say([str(BIN / "kubectl"), *words], {"KUBECONFIG": str(self.kubeconfig)}, None, stdin, timeout)
        assert not check or said.code == 0, said
        return said

    def python(self, script: Path, *, timeout: float = 60) -> Said:
        """A user's script, with its folder first on the path and this tree nowhere on it: an `actors` of the user's own is found."""
        return self._say([sys.executable, str(script)], {"PYTHONPATH": ""}, script.parent, "", timeout)

    def _say(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None, stdin: str, timeout: float
    ) -> Said:
        began = time.monotonic()
        done = subprocess.run(
            command, env=self.environment | env, cwd=cwd or self.home, input=stdin, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip
        return Said(done, time.monotonic() - began)

    @contextmanager
    def started(self, program: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on, its output on a pipe; killed at the end of the block."""
        process = subprocess.Popen(
            [str(BIN / program), *words], env=self.environment | {"KUBECONFIG": str(self.kubeconfig)}, text=True,
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)

    # --- views ----------------------------------------------------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @cached_property
    def cluster(self) -> raypod.Cluster:
        """The SDK in this very process."""
        return raypod.Cluster(self.kubeconfig)

    @property
    def node_root(self) -> Path:
        return self.home / "nodes" / self.node

    def cgroup(self, controller: str) -> Path:
        """This node's containers in one hierarchy of cgroup v1, or in v2."""
        name = f"raypod-{zlib.crc32(str(self.node_root.resolve()).encode()):08x}"
        v1 = Path("/sys/fs/cgroup") / controller
        return (v1 if v1.is_dir() else Path("/sys/fs/cgroup")) / name

    def get(self, *words: str) -> Any:
        return self.kubectl("get", *words, "-o", "json").json

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("pods", "-l", selector)["items"]
        return found

    def events(self, name: str) -> list[str]:
        """`reason: message` of what is told about an object."""
        page = self.get("events", "--field-selector", f"involvedObject.name={name}")
        return [f"{event['reason']}: {event['message']}" for event in page["items"]]

    # --- life -----------------------------------------------------------------------------------------------------

    def up(self) -> Said:
        said = self.raypod("up", "--config", str(self.config), "-o", "json", timeout=150)
        assert said.code == 0, f"{said}\n{self.control_plane_logs()}"
        return said

    def down(self) -> Said:
        if "cluster" in self.__dict__:
            self.__dict__.pop("cluster").close()
        return self.raypod("down", timeout=150)

    def remains(self) -> list[str]:
        """What of this cluster is on the machine."""
        found = [f"mount {place}" for place in _mounts() if place.startswith(f"{self.home}/")]
        found += [f"link {link.name}" for link in Path("/sys/class/net").glob(f"{self.bridge}*")]
        groups = Path("/sys/fs/cgroup").glob(f"**/{self.cgroup('').name}*")
        found += [f"cgroup {path}" for path in groups if path.is_dir()]
        found += [f"process {pid}" for pid in _processes(str(self.home))]
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=20, check=False)
        return found + [line for line in tables.stdout.splitlines() if self.bridge in line]

    def control_plane_logs(self) -> str:
        files = [
            self.home / "up.log",
            *(self.home / "run").glob("*.log"),
            *(self.home / "run").glob("ray/*/logs/*.err"),
        ]
        return "\n".join(f"== {file}\n{file.read_text()[-1500:]}" for file in files if file.exists())


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _processes(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if mark.encode() in words:
                found.append(f"{entry.name} ({name})")
    return found


def wait_for(what: str, probe: Callable[[], T | None], seconds: float = 30) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@contextmanager
def home_of_its_own() -> Iterator[Path]:
    """Not one of pytest's, which it deletes when it likes and whose paths are long. When pytest is killed a guard
    takes down what runs there.
    """
    folder = Path(tempfile.mkdtemp(prefix="rpw-", dir="/tmp"))
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, str(BIN / "raypod")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, text=True,
    )  # fmt: skip
    assert guard.stdin is not None
    print(folder / "h", file=guard.stdin, flush=True)
    try:
        yield folder / "h"
    finally:
        guard.kill()
        guard.communicate(timeout=20)
        if not any(place.startswith(f"{folder}/") for place in _mounts()):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def whole() -> Iterator[WholeCluster]:
    """Up for the session; taken down at its end, when nothing may be left."""
    with home_of_its_own() as home:
        made = WholeCluster(home, pod_pids_max=1_000)
        try:
            made.up()
            yield made
        finally:
            said = made.down()
        assert said.code == 0, said
        assert made.remains() == []


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the session."""
    with start_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry
