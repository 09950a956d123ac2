"""Images and pods that mean harm, after the CVEs of other runtimes: nothing of the host's is reached or changed."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runtime_rig import Rig, join_log, until

from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.port import Mount

pytestmark = pytest.mark.root


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
@pytest.mark.parametrize("target", ["/tmp", "../../../../etc", "self/fd"])
async def test_a_link_in_place_of_a_kernel_directory(rig: Rig, tmp_path: Path, name: str, target: str) -> None:
    """CVE-2019-19921, CVE-2023-27561, CVE-2026-41579, CVE-2026-47766."""
    image = rig.layer()
    (image / name).symlink_to(target)
    with pytest.raises(PluginError, match=f"/{name} in the image must be a directory"):
        await rig.run("/bin/true", image=rig.image(image))


async def test_a_file_in_place_of_a_kernel_directory(rig: Rig, tmp_path: Path) -> None:
    image = rig.layer()
    (image / "proc").write_text("")
    with pytest.raises(PluginError, match="/proc in the image must be a directory"):
        await rig.run("/bin/true", image=rig.image(image))


async def test_a_null_device_of_the_images_masks_nothing(rig: Rig, tmp_path: Path) -> None:
    """CVE-2025-31133: the mask is the host's /dev/null, not what the image put there."""
    image = rig.layer()
    (image / "dev").mkdir()
    (image / "dev" / "null").symlink_to("/proc/sys/kernel/core_pattern")
    _, output = await rig.shell("stat -c '%t:%T' /proc/keys; ls -l /dev/null | cut -c1", image=rig.image(image))
    assert output.split() == ["1:3", "c"]


@pytest.mark.parametrize("target", ["/etc", "../../../../../../etc", "/proc/self/root/etc", "/proc/self/cwd"])
async def test_a_mount_target_that_is_a_link_stays_inside(rig: Rig, tmp_path: Path, target: str) -> None:
    """CVE-2021-30465, CVE-2017-1002101: links resolve in the container's root; magic links are not followed."""
    image = rig.layer()
    (image / "data").symlink_to(target)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "mine").write_text("")
    before = sorted(os.listdir("/etc"))
    mounts = (Mount(str(tmp_path / "volume"), "/data"),)
    if "proc" in target:
        with pytest.raises(PluginError):
            await rig.run("/bin/true", image=rig.image(image), mounts=mounts)
    else:
        _, output = await rig.shell("ls /etc | head -1; ls /data", image=rig.image(image), mounts=mounts)
        assert "mine" in output
    assert sorted(os.listdir("/etc")) == before


@pytest.mark.parametrize("path", ["/proc/self/attr", "/proc/sys/kernel", "/proc", "/dev/../proc/self/attr/exec"])
async def test_nothing_is_mounted_over_proc(rig: Rig, tmp_path: Path, path: str) -> None:
    """CVE-2019-16884, CVE-2025-52881: a false /proc would answer for the kernel."""
    (tmp_path / "false").mkdir()
    with pytest.raises(PluginError, match=r"inside /proc|Not a directory"):
        await rig.run("/bin/true", mounts=(Mount(str(tmp_path / "false"), path),))


async def test_a_message_path_that_is_a_link_into_proc(rig: Rig, tmp_path: Path) -> None:
    image = rig.layer()
    (image / "message").symlink_to("/proc/version")
    with pytest.raises(PluginError, match="inside /proc"):
        await rig.run("/bin/true", image=rig.image(image), termination_message_path="/message")


async def test_dangling_links_are_completed_inside(rig: Rig, tmp_path: Path) -> None:
    """As many images have it: resolv.conf is a link into a /run that is empty."""
    image = rig.layer()
    (image / "etc").mkdir()
    (image / "etc" / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    sandbox = await rig.sandbox(resolv_conf="nameserver 10.9.9.9\n")
    code, output = await rig.shell("cat /etc/resolv.conf", image=rig.image(image), sandbox=sandbox)
    assert (code, output) == (0, "nameserver 10.9.9.9\n")
    assert (
        not Path("/run/systemd/resolve/stub-resolv.conf").exists()
        or "10.9.9.9" not in Path("/run/systemd/resolve/stub-resolv.conf").read_text()
    )


async def test_links_in_a_circle(rig: Rig, tmp_path: Path) -> None:
    image = rig.layer()
    (image / "etc").mkdir()
    (image / "etc" / "hosts").symlink_to("hostname")
    (image / "etc" / "hostname").symlink_to("hosts")
    with pytest.raises(PluginError):
        await rig.run("/bin/true", image=rig.image(image))


@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/root", "/way/out"])
async def test_a_working_directory_that_leads_out(rig: Rig, tmp_path: Path, cwd: str) -> None:
    """CVE-2024-21626."""
    image = rig.layer()
    (image / "way").mkdir()
    (image / "way" / "out").symlink_to("/proc/self/fd/5")
    with pytest.raises(PluginError, match="working directory"):
        await rig.run("/bin/true", image=rig.image(image, config=ImageConfig(working_dir=cwd)))


async def test_a_passwd_that_is_a_pipe_or_a_link(rig: Rig, tmp_path: Path) -> None:
    """Reading it must neither hang nor leave the image."""
    image = rig.layer()
    (image / "etc").mkdir()
    os.mkfifo(image / "etc" / "passwd")
    (image / "etc" / "group").symlink_to("/proc/self/environ")
    name = rig.image(image, config=ImageConfig(user="1234"))
    code, output = await asyncio.wait_for(rig.shell("id -u", image=name), 10)
    assert (code, output) == (0, "1234\n")


async def test_an_entrypoint_that_is_the_runtimes_own_executable(rig: Rig, tmp_path: Path) -> None:
    """CVE-2019-5736: `#!/proc/self/exe` runs our interpreter in the container; it cannot be opened for writing."""
    image = rig.layer()
    (image / "evil").write_text(
        "#!/proc/self/exe\nimport os\nos.open('/proc/self/exe', os.O_WRONLY)\nprint('opened')\n"
    )
    (image / "evil").chmod(0o755)
    executable = Path("/proc/self/exe").resolve()
    before = executable.stat()
    status = await rig.run("/evil", image=rig.image(image))
    status = await rig.wait_exit(status.spec.id)
    assert status.exit_code != 0
    assert "opened" not in rig.output(status)
    after = executable.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


async def test_the_launchers_executable_is_read_only_for_whoever_holds_it(rig: Rig) -> None:
    await rig.sandbox()
    for pid in {pid for name, pid in (await rig.launcher()).items() if name != "version"}:
        fd = os.open(f"/proc/{pid}/exe", os.O_PATH)
        assert os.fstatvfs(fd).f_flag & os.ST_RDONLY
        os.close(fd)
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert Path(f"/proc/{pid}/comm").read_text() == "raypod-launcher\n"


async def test_the_launcher_leaks_no_descriptor(rig: Rig) -> None:
    for _ in range(3):
        await rig.shell("echo warm")
    pids = [pid for name, pid in (await rig.launcher()).items() if name != "version"]

    def count() -> list[int]:
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]

    await asyncio.sleep(0.3)  # the supervisor lets go a moment later than the worker
    before = count()
    for _ in range(5):
        await rig.shell("echo again; exit 3")
        with pytest.raises(PluginError):
            await rig.run("no-such-command")
    await until(lambda: count() == before, 5)


async def test_output_without_end_and_without_newlines(rig: Rig) -> None:
    _, output = await rig.shell("head -c 1000000 /dev/zero | tr '\\0' a; echo; printf 'no newline'")
    assert output == "a" * 1_000_000 + "\nno newline\n"


async def test_bytes_that_are_no_text_arrive_as_they_are(rig: Rig) -> None:
    status = await rig.run("/usr/bin/python3", "-c", "import os; os.write(1, bytes(range(256)) + b'\\n')")
    await rig.wait_exit(status.spec.id)
    lines = Path(status.spec.log_path).read_bytes().split(b" F ", 1)
    text = Path(status.spec.log_path).read_bytes()
    assert text.count(b"stdout") == 2
    assert lines[1].startswith(bytes(range(10)))


async def test_an_unfinished_line_shows_after_a_second(rig: Rig) -> None:
    status = await rig.run("/bin/sh", "-c", "printf 'password: '; sleep 1000")
    await asyncio.sleep(1.6)
    assert Path(status.spec.log_path).read_text().split(" ", 3)[2:] == ["P", "password: \n"]


async def test_the_log_rotates_by_size_and_keeps_so_many_files(rig: Rig) -> None:
    status = await rig.run(
        "/bin/sh",
        "-c",
        "i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done",
        log_size_bytes_max=20_000,
        log_files_max=3,
    )
    await rig.wait_exit(status.spec.id)
    from actors.plugins.runtime.launcher.log_file import list_rotated

    path = status.spec.log_path
    files = [*list_rotated(path), path]
    assert len(files) == 3
    # A pipeful (64 KiB of output) is written whole.
    assert all(os.path.getsize(file) < 20_000 + 500_000 for file in files)
    lines = "".join(join_log(Path(file).read_text()) for file in files).splitlines()
    assert lines == [f"line {number}" for number in range(9000 - len(lines), 9000)]


async def test_an_endless_termination_message_is_cut(rig: Rig) -> None:
    status = await rig.run(
        "/bin/sh",
        "-c",
        "head -c 100000 /dev/zero | tr '\\0' b > /message; echo end >> /message",
        termination_message_path="/message",
    )
    status = await rig.wait_exit(status.spec.id)
    assert len(status.message) == 4096
    assert status.message.endswith("bend\n")


async def test_large_requests(rig: Rig) -> None:
    env = {f"NAME_{number}": "x" * 1000 for number in range(500)}
    _, output = await rig.shell("env | grep -c NAME_", env=env)
    assert output == "500\n"


async def test_deep_layers(rig: Rig, tmp_path: Path) -> None:
    layers = []
    for number in range(60):
        path = rig.layer()
        (path / f"file-{number}").write_text("")
        (path / "top").write_text(str(number))
        layers.append(path)
    _, output = await rig.shell("ls / | grep -c file-; cat /top", image=rig.image(*layers))
    assert output == "60\n0" or output == "60\n0\n"


async def test_a_shutdown_returns_when_the_launcher_has_ended(rig: Rig) -> None:
    """It agrees first and takes its mounts away afterwards; one that hangs must not be waited for in vain."""
    await rig.run("/bin/sleep", "1000")
    supervisor = (await rig.launcher())["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        shutdown = asyncio.create_task(rig.close())
        finished, _ = await asyncio.wait([shutdown], timeout=1.5)
        assert not finished
    finally:
        os.kill(supervisor, signal.SIGCONT)
    await shutdown
    assert not os.listdir(rig.root / "node" / "run")
    rig.runtime = rig.open()


async def test_what_a_container_leaves_behind_is_gone(rig: Rig) -> None:
    status = await rig.run(
        "/bin/sh", "-c", "mkdir -p /a/b; chmod 0 /a/b; ln -s / /a/link; mknod /a/null c 1 3; sleep 1000"
    )
    mounts = Path("/proc/self/mounts").read_text()
    await rig.runtime.remove_pod_sandbox(status.spec.sandbox_id)
    await rig.close()
    assert not any(
        (rig.root / "node" / name).exists() and os.listdir(rig.root / "node" / name)
        for name in ("containers", "sandboxes", "trash", "run")
    )
    assert str(rig.root) in mounts
    assert str(rig.root) not in Path("/proc/self/mounts").read_text()
    assert stat.S_ISREG(os.stat(status.spec.log_path).st_mode)
    await rig.runtime.close()
    rig.runtime = rig.open()
