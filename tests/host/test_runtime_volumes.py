"""A pod's fields of mounts and kernel parameters, seen from inside a container; and the ways around them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from runtime_rig import HOST, Rig, until

from actors.plugins.errors import PluginError
from actors.plugins.runtime.launcher import subpaths
from actors.plugins.runtime.port import Mount, Propagation, Security

pytestmark = pytest.mark.root

_RENAME_EXCHANGE = 2


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    path.mkdir(mode=0o777)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory of the host's that no volume is to show."""
    path = tmp_path / "secret"
    path.mkdir()
    (path / "file").write_text("the host's")
    return path


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A directory whose mounts are told to others."""
    path = tmp_path / "shared"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
    subprocess.run(["mount", "--make-shared", path], check=True)
    yield path
    subprocess.run(["umount", "-R", path], check=True)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


async def test_a_sub_path_is_made_and_is_all_that_is_seen(rig: Rig, volume: Path) -> None:
    (volume / "beside").write_text("not to be seen")
    mounts = (Mount(str(volume), "/v", sub_path="a/b"),)
    code, output = await rig.shell("ls /v /v/..; echo mine > /v/file; ls /v", mounts=mounts)
    assert code == 0 and "beside" not in output
    assert (volume / "a/b/file").read_text() == "mine\n"


async def test_a_sub_path_may_be_a_file_and_a_link_inside(rig: Rig, volume: Path) -> None:
    (volume / "data").mkdir()
    (volume / "data/one").write_text("content")
    (volume / "link").symlink_to("data/one")
    mounts = (Mount(str(volume), "/etc/one", read_only=True, sub_path="link"),)
    _, output = await rig.shell("cat /etc/one; echo x 2>/dev/null > /etc/one || echo ' read-only'", mounts=mounts)
    assert output == "content read-only\n"


@pytest.mark.parametrize("name", ["link", "link/inner", "up", "dir/deep"])
async def test_a_link_that_leads_out_is_no_sub_path(rig: Rig, volume: Path, secret: Path, name: str) -> None:
    """CVE-2017-1002101: links that another container has put into the volume."""
    (volume / "link").symlink_to(secret)
    (volume / "up").symlink_to("../secret")
    (volume / "dir").mkdir()
    (volume / "dir/deep").symlink_to("../../secret")
    with pytest.raises(PluginError, match="failed to prepare subPath for the volumeMount /v") as caught:
        await rig.run("/bin/cat", "/v/file", mounts=(Mount(str(volume), "/v", sub_path=name),))
    assert (caught.value.reason, caught.value.retryable) == ("CreateContainerConfigError", True)
    assert sorted(path.name for path in secret.iterdir()) == ["file"], "nothing is made outside"


async def test_a_sub_path_swapped_after_the_container_was_created(rig: Rig, volume: Path, secret: Path) -> None:
    """CVE-2021-25741: between create and start."""
    (volume / "dir").mkdir()
    spec = await rig.spec("/bin/cat", "/v/file", mounts=(Mount(str(volume), "/v", sub_path="dir"),))
    await rig.runtime.create_container(spec)
    (volume / "dir").rename(volume / "gone")
    (volume / "dir").symlink_to(secret)
    with pytest.raises(PluginError, match="RunContainerError"):
        await rig.runtime.start_container(spec.id)


def test_a_sub_path_that_is_swapped_all_the_time_never_leads_out(volume: Path, secret: Path) -> None:
    """CVE-2021-25741: what is opened is in the volume or nothing is, whoever exchanges the two meanwhile. A check of the
    path before it is opened by name loses this within a few hundred rounds."""
    libc = ctypes.CDLL(None, use_errno=True)
    (volume / "dir/inner").mkdir(parents=True)
    (secret / "inner").mkdir()
    (volume / "link").symlink_to(secret)
    one, other = (os.fsencode(volume / name) for name in ("dir", "link"))
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            libc.renameat2(-100, one, -100, other, _RENAME_EXCHANGE)

    swapper = threading.Thread(target=swap)
    swapper.start()
    opened = refused = 0
    try:
        for _ in range(5000):
            try:
                found = subpaths.open_sub_path(str(volume), "dir/inner")
            except OSError:
                refused += 1
                continue
            where = os.readlink(f"/proc/self/fd/{found}")
            os.close(found)
            assert not where.startswith(str(secret)), where
            opened += 1
    finally:
        ended.set()
        swapper.join()
    assert opened and refused, "both ends of the race were met"


async def test_read_only_with_and_without_what_is_mounted_below(rig: Rig, shared: Path) -> None:
    (shared / "inner").mkdir()
    _mount("-t", "tmpfs", "none", shared / "inner")
    script = "touch /v/x 2>/dev/null || echo -n 'outer '; touch /v/inner/x 2>/dev/null || echo -n inner"
    _, output = await rig.shell(script, mounts=(Mount(str(shared), "/v", read_only=True),))
    assert output.split() == ["outer"]
    mounts = (Mount(str(shared), "/v", read_only=True, recursive_read_only=True),)
    _, output = await rig.shell(script, mounts=mounts)
    assert output.split() == ["outer", "inner"]


@pytest.mark.parametrize(
    ("propagation", "inside", "outside"),
    [
        (Propagation.NONE, False, False),
        (Propagation.HOST_TO_CONTAINER, True, False),
        (Propagation.BIDIRECTIONAL, True, True),
    ],
)
async def test_whose_later_mounts_are_seen(
    rig: Rig, shared: Path, propagation: Propagation, inside: bool, outside: bool
) -> None:
    for name in ("host", "container"):
        (shared / name).mkdir()
    script = """
    mount -t tmpfs none /v/container && touch /v/container/mark && echo ready
    until [ -e /v/go ]; do sleep 0.02; done
    ls /v/host
    """
    mounts = (Mount(str(shared), "/v", propagation=propagation),)
    status = await rig.run("/bin/sh", "-c", script, image=HOST, mounts=mounts, security=Security(privileged=True))
    await until(lambda: "ready" in rig.output(status))
    assert (shared / "container/mark").exists() is outside
    _mount("-t", "tmpfs", "none", shared / "host")
    (shared / "host/seen").touch()
    (shared / "go").touch()
    await rig.wait_exit(status.spec.id)
    assert ("seen" in rig.output(status)) is inside


async def test_propagation_of_what_is_not_shared_is_refused(rig: Rig, shared: Path) -> None:
    _mount("--make-private", shared)
    mounts = (Mount(str(shared), "/v", propagation=Propagation.BIDIRECTIONAL),)
    with pytest.raises(PluginError, match=r"is mounted on .* but it is not a shared mount"):
        await rig.run("/bin/true", mounts=mounts)


async def test_sysctls_are_the_sandboxes_own(rig: Rig) -> None:
    before = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    sysctls = {"net/ipv4/ip_unprivileged_port_start": "17", "kernel/shm_rmid_forced": "1"}
    sandbox = await rig.sandbox(sysctls=sysctls)
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced"
    _, output = await rig.shell(script, sandbox=sandbox)
    assert output.split() == ["17", "1"]
    assert Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text() == before


@pytest.mark.parametrize("path", ["net/../kernel/hostname", "net/ipv4/no_such_parameter"])
async def test_a_sysctl_that_is_none_is_an_error(rig: Rig, path: str) -> None:
    with pytest.raises(PluginError, match="sysctl"):
        await rig.sandbox(sysctls={path: "1"})


async def test_groups_of_the_image_are_merged_or_left_out(rig: Rig) -> None:
    layer = rig.layer()
    (layer / "etc").mkdir()
    (layer / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n")
    (layer / "etc/group").write_text("root:x:0:\nme:x:1000:\nothers:x:50000:me\n")
    image = rig.image(layer)
    for strict, groups in ((False, "1000 50000 60000"), (True, "1000 60000")):
        security = Security(uid=1000, gid=1000, groups=(60000,), strict_groups=strict)
        _, output = await rig.shell("id -G", image=image, security=security)
        assert output.strip() == groups


async def test_the_full_name_is_in_the_hosts_file(rig: Rig) -> None:
    sandbox = await rig.sandbox(hostname="db-0", own_names=("db-0.db.ns.svc.cluster.local", "db-0"))
    _, output = await rig.shell("hostname; grep db-0 /etc/hosts", sandbox=sandbox)
    name, line = output.splitlines()
    assert name == "db-0" and line.split()[1:] == ["db-0.db.ns.svc.cluster.local", "db-0"]
