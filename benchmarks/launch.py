"""How long a container takes from nothing to nothing (create, run /bin/true, delete), beside Debian's crun and runc.

All get the same: the host's root as the lower layer of an overlay, all namespaces, limits, the default seccomp
profile and capabilities; one after the other in turns, so that a busy machine is busy for all. Needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actors.plugins.image.port import Auth, Image, ImageConfig, ProgressSink, Rootfs
from actors.plugins.network.port import Attachment, NetworkResult
from actors.plugins.runtime.capabilities import DEFAULT
from actors.plugins.runtime.launcher import syscalls
from actors.plugins.runtime.native import NativeRuntime
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus, Resources, SandboxSpec
from actors.plugins.runtime.seccomp_profile import derive_allowed
from actors.plugins.runtime.syscall_numbers import SYSCALLS

_MEMORY_BYTES, _CPU_MILLIS, _PIDS = 256 << 20, 1000, 100
_SPARSE_S = 0.03
_RESOURCES = Resources(memory_limit_bytes=_MEMORY_BYTES, cpu_limit_millis=_CPU_MILLIS, pids_max=_PIDS)


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """Latency of a launch when they are sparse and when they follow each other, launches/s, and memory."""
    return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> list[dict[str, Any]]:
    turns = 15 if quick else 60
    rows: list[dict[str, Any]] = []
    with _folder() as folder, _peers(folder) as peers:
        ours = _Ours(folder / "node")
        try:
            await ours.warm_up()
            for name, pause_s in (("launch-sparse", _SPARSE_S), ("launch-back-to-back", 0.0)):
                times = await _take_turns(ours, peers, turns, pause_s)
                rows.append(_latency_row(name, times))
            rows.append(await _rate_row(ours, 20 if quick else 100, rows[-1]))
            rows += await _memory_rows(ours, 5 if quick else 20)
        finally:
            await ours.close()
    return rows


async def _take_turns(ours: _Ours, peers: list[_Peer], turns: int, pause_s: float) -> dict[str, list[float]]:
    """Milliseconds by name. Each does a handful in a row before the next has its turn."""
    times: dict[str, list[float]] = {"raypod": []} | {peer.name: [] for peer in peers}
    for _ in range(0, turns, 5):
        for _ in range(5):
            await asyncio.sleep(pause_s)
            times["raypod"].append(await ours.launch())
        for peer in peers:
            for _ in range(5):
                await asyncio.sleep(pause_s)
                times[peer.name].append(await asyncio.to_thread(peer.launch))
    return times


def _latency_row(name: str, times: dict[str, list[float]]) -> dict[str, Any]:
    ours = times.pop("raypod")
    best = min(times, key=lambda peer: statistics.median(times[peer]), default="")
    return _row(name, statistics.median(ours), "ms", best, statistics.median(times[best]) if best else None, ours)


async def _rate_row(ours: _Ours, count: int, back_to_back: dict[str, Any]) -> dict[str, Any]:
    """Launches a second, four at a time; the peer's rate is what its back-to-back latency allows."""
    began = time.perf_counter()
    for _ in range(count // 4):
        await asyncio.gather(*(ours.launch() for _ in range(4)))
    rate = count // 4 * 4 / (time.perf_counter() - began)
    peer_ms = back_to_back["peer_value"]
    return _row("launch-rate", rate, "1/s", back_to_back["peer"], 1000 / peer_ms if peer_ms else None, [rate])


async def _memory_rows(ours: _Ours, count: int) -> list[dict[str, Any]]:
    """The launcher's memory, and how much of it and of the kernel's each running container adds."""
    before = ours.launcher_pss_bytes()
    ids = [await ours.run_sleeper() for _ in range(count)]
    grown = max(0, ours.launcher_pss_bytes() - before) / count
    each = grown + statistics.mean(ours.charged_bytes(name) for name in ids)
    return [
        _row("launcher-memory", before / 2**20, "MiB", "", None, [before / 2**20]),
        _row("memory-per-container", each / 2**20, "MiB", "", None, [each / 2**20]),
    ]


def _row(
    name: str, value: float, unit: str, peer: str, peer_value: float | None, samples: list[float]
) -> dict[str, Any]:
    ordered = sorted(samples)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 2),
        "ratio": None if not peer_value else round(value / peer_value, 2),
        "n": len(samples),
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 2),
    }


class _Ours:
    """The native runtime as a nodelet uses it, with a sandbox of its own for each container."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._runtime = NativeRuntime(root, _HostImage(), _NoNetwork(), lambda: time.time_ns() // 1_000_000)
        self._exited: dict[str, asyncio.Future[None]] = {}
        self._watcher = asyncio.create_task(self._watch())
        self._count = 0

    async def warm_up(self) -> None:
        await asyncio.sleep(0.5)
        for _ in range(3):
            await self.launch()

    async def _watch(self) -> None:
        async for status in self._runtime.events():
            waiting = self._exited.get(status.spec.id)
            if status.state is ContainerState.EXITED and waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def launch(self) -> float:
        began = time.perf_counter()
        name = (await self._start("/bin/true")).spec.id
        await asyncio.wait_for(self._exited[name], 20)
        await self._runtime.remove_pod_sandbox(f"sandbox-{name}")
        del self._exited[name]
        return (time.perf_counter() - began) * 1000

    async def run_sleeper(self) -> str:
        return (await self._start("/bin/sleep", "1000")).spec.id

    async def _start(self, *command: str) -> ContainerStatus:
        self._count += 1
        name = f"bench-{self._count}"
        self._exited[name] = asyncio.get_running_loop().create_future()
        sandbox = SandboxSpec(id=f"sandbox-{name}", pod_name=name, pod_namespace="default", pod_uid=name)
        await self._runtime.run_pod_sandbox(sandbox)
        spec = ContainerSpec(
            id=name, sandbox_id=sandbox.id, name="main", image="host", command=command, resources=_RESOURCES
        )
        await self._runtime.create_container(spec)
        return await self._runtime.start_container(name)

    def launcher_pss_bytes(self) -> int:
        return sum(_read_pss_bytes(pid) for pid in find_launcher(self._root))

    def charged_bytes(self, name: str) -> int:
        """What the container's memory cgroup is charged, kernel memory included, without its process's own pages."""
        for path in Path("/sys/fs/cgroup").glob(f"**/raypod-*/{name}/memory.stat"):
            return _read_kernel_bytes(path.parent)
        return 0

    async def close(self) -> None:
        self._watcher.cancel()
        await self._runtime.shutdown()


def find_launcher(root: Path) -> list[int]:
    """Supervisor and worker, found by their command line."""
    word = os.fsencode(f'"root": "{root.resolve()}"')
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and word in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _read_pss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def _read_kernel_bytes(group: Path) -> int:
    v1 = group / "memory.kmem.usage_in_bytes"
    if v1.exists():
        return int(v1.read_text())
    stats = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(stats.get("kernel", 0))


class _Peer:
    """An OCI runtime in a mount namespace of its own: crun wants no unified hierarchy beside v1 ones."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder / name
        self._server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.launch", name, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def launch(self) -> float:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write("\n")
        self._server.stdin.flush()
        return float(self._server.stdout.readline())

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)


def serve_peer(name: str, folder: Path) -> None:
    """A launch for each line on stdin, its milliseconds on stdout."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount_setattr(syscalls.AT_FDCWD, "/", syscalls.AT_RECURSIVE, propagation=1 << 18)
    with contextlib.suppress(OSError):
        syscalls.umount2("/sys/fs/cgroup/unified", syscalls.MNT_DETACH)
    for part in ("upper", "work", "rootfs", "state"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, _ in enumerate(sys.stdin):
        container_id = f"raypod-bench-{os.getpid()}-{number}"
        (folder / "config.json").write_text(json.dumps(_oci_config(container_id)))
        print(_launch_peer(name, folder, container_id), flush=True)


def _launch_peer(name: str, folder: Path, container_id: str) -> float:
    command = [name, "--root", str(folder / "state"), "run", "--bundle", str(folder), container_id]
    began = time.perf_counter()
    options = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
    syscalls.mount("overlay", str(folder / "rootfs"), "overlay", 0, options)
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=30)
    syscalls.umount2(str(folder / "rootfs"), 0)
    shutil.rmtree(folder / "upper")
    (folder / "upper").mkdir()
    return (time.perf_counter() - began) * 1000


def _oci_config(container_id: str) -> dict[str, Any]:
    """What `runc spec` writes, with our limits, capabilities and seccomp profile."""
    capabilities = [f"CAP_{name}" for name in sorted(DEFAULT)]
    numbers = SYSCALLS[os.uname().machine]
    allowed = derive_allowed(os.uname().machine, DEFAULT) | {numbers["socket"], numbers["clone"]}
    names = [name for name, number in numbers.items() if number in allowed]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "root": {"path": "rootfs"},
        "hostname": container_id[-60:],
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            _tmpfs("/dev", "mode=755"),
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance"]},
            _tmpfs("/dev/shm", "mode=1777"),
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        ],
        "linux": {
            "cgroupsPath": f"/raypod-bench/{container_id}",
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}],
                "memory": {"limit": _MEMORY_BYTES},
                "cpu": {"quota": _CPU_MILLIS * 100, "period": 100_000},
                "pids": {"limit": _PIDS},
            },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
            },
        },
    }


def _tmpfs(path: str, *options: str) -> dict[str, Any]:
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", *options]}


@contextlib.contextmanager
def _peers(folder: Path) -> Iterator[list[_Peer]]:
    peers = [_Peer(name, folder) for name in ("crun", "runc") if shutil.which(name)]
    try:
        yield peers
    finally:
        for peer in peers:
            peer.close()
        for path in Path("/sys/fs/cgroup").glob("**/raypod-bench"):
            path.rmdir()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="raypod-bench-", dir=os.environ.get("RAYPOD_HOME") or Path.home()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _HostImage:
    """The node's own root, as the image port would give it."""

    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        return Image(id=reference)

    async def image_status(self, reference: str) -> Image | None:
        return Image(id=reference, config=ImageConfig())

    async def list_images(self) -> list[Image]:
        return []

    async def remove_image(self, reference: str) -> None:
        """Nothing is stored."""

    async def load_image(self, path: str, progress: ProgressSink | None = None) -> list[Image]:
        return []

    async def rootfs(self, image_id: str, holder: str) -> Rootfs:
        return Rootfs(layers=("/",))

    async def release(self, image_id: str, holder: str) -> None:
        """Nothing is held."""


class _NoNetwork:
    """A namespace with loopback only, as the peers get."""

    async def setup(self, pod_cidr: str) -> None:
        """Nothing to set up."""

    async def add(self, attachment: Attachment) -> NetworkResult:
        return NetworkResult(ips=())

    async def delete(self, attachment: Attachment) -> None:
        """Nothing was added."""

    async def collect(self, sandbox_ids: frozenset[str]) -> None:
        """Nothing was added."""

    async def peers(self, nodes: Any) -> None:
        """No other node is reached."""

    async def teardown(self) -> None:
        """Nothing was set up."""


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve_peer(sys.argv[1], Path(sys.argv[2]))
    else:
        for row in measure(quick="--quick" in sys.argv):
            print(json.dumps(row))
