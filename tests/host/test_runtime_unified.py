"""The runtime on cgroup v2 alone. Where the host also has v1 hierarchies, they are unmounted in a mount namespace of
the test's own; the limits stay theirs then, so tests that set any run on real v2 hosts only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.plugins.runtime.launcher import device_filter, syscalls
from actors.plugins.runtime.launcher.cgroups import read_layout

pytestmark = pytest.mark.root

TESTS = Path(__file__).parent.parent
WITHOUT_LIMITS = "not out_of_memory and not limits and not processes and not masked"
UNMOUNT_V1 = "awk '$3 == \"cgroup\" {print $2}' /proc/mounts | xargs -r umount"


@pytest.mark.skipif(not read_layout().unified, reason="the host has no cgroup2")
def test_the_suite_on_cgroup_v2_alone() -> None:
    suites = [TESTS / "conformance" / "test_runtime_native.py", TESTS / "host" / "test_runtime_isolation.py"]
    command = [sys.executable, "-m", "pytest", *map(str, suites)]
    command += [] if read_layout().pure_v2 else ["-k", WITHOUT_LIMITS]
    script = f'{UNMOUNT_V1} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=TESTS.parent,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.fixture
def group() -> Iterator[Path]:
    unified = read_layout().unified
    if not unified:
        pytest.skip("the host has no cgroup2")
    path = Path(unified, f"raypod-test-{os.getpid()}")
    path.mkdir()
    yield path
    path.rmdir()


def open_in_group(group: Path, *paths: str) -> list[bool]:
    """Which of these can be opened by a process in the group."""
    cgroup_fd = os.open(group, os.O_PATH)
    reader, writer = os.pipe()
    pid, _pidfd = syscalls.clone3(0, cgroup_fd)
    if pid == 0:
        for path in paths:
            try:
                os.close(os.open(path, os.O_RDONLY))
                os.write(writer, b"1")
            except OSError:
                os.write(writer, b"0")
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    os.close(cgroup_fd)
    os.close(_pidfd)
    found = os.read(reader, 100)
    os.close(reader)
    return [letter == ord("1") for letter in found]


def test_the_kernel_takes_the_device_program_and_obeys(group: Path) -> None:
    other = next(path for path in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control") if os.path.exists(path))
    device_filter.attach_program(str(group), device_filter.build_program(list(device_filter.DEFAULT_RULES)))
    assert open_in_group(group, "/dev/null", "/dev/urandom", other, "/dev/vda") == [True, True, False, False]


def test_a_rule_more_opens_a_device_more(group: Path) -> None:
    other = next(path for path in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control") if os.path.exists(path))
    number = os.stat(other).st_rdev
    rules = [*device_filter.DEFAULT_RULES, ("c", os.major(number), os.minor(number), "r")]
    device_filter.attach_program(str(group), device_filter.build_program(rules))
    assert open_in_group(group, "/dev/null", other) == [True, True]
