"""What a container sees and may do: its own namespaces, file systems, devices, capabilities, user and limits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from runtime_rig import Rig, until

from actors.plugins.device.port import DeviceEdits, DeviceMount, DeviceNode
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.planning import HOST_IMAGE_HIDDEN
from actors.plugins.runtime.port import ContainerStats, ExecSpec, Mount, Resources, Security

pytestmark = pytest.mark.root


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.close()


async def test_it_is_alone_in_its_namespaces(rig: Rig) -> None:
    script = "echo $$; hostname; cat /proc/net/dev | grep -c :; cat /proc/self/cgroup; ls /proc | grep -c '^[0-9]'"
    code, output = await rig.shell(script, sandbox=await rig.sandbox(hostname="web-0"))
    lines = output.splitlines()
    assert (code, lines[:3]) == (0, ["1", "web-0", "1"])
    assert all(line.endswith(":/") for line in lines[3:-1])
    assert int(lines[-1]) < 6


async def test_containers_of_a_sandbox_share_its_network_ipc_and_shm(rig: Rig) -> None:
    sandbox = await rig.sandbox()
    identify = "readlink /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts; cat /dev/shm/note 2>/dev/null; "
    _, first = await rig.shell(identify + "echo left by the first > /dev/shm/note", sandbox=sandbox)
    _, second = await rig.shell(identify, sandbox=sandbox)
    assert second == first + "left by the first\n"
    _, other = await rig.shell(identify)
    assert not set(other.splitlines()) & set(first.splitlines())


async def test_limits_of_a_live_container_are_the_kernels(rig: Rig) -> None:
    """Read inside, from whichever version's files this host has."""
    small = Resources(cpu_request_millis=100, cpu_limit_millis=200, memory_limit_bytes=64 << 20)
    status = await rig.run("/bin/sleep", "1000", resources=small)
    for resources, quota, limit in (
        (Resources(cpu_request_millis=500, cpu_limit_millis=1500, memory_limit_bytes=128 << 20), "150000", 128 << 20),
        (Resources(cpu_request_millis=100, cpu_limit_millis=300, memory_limit_bytes=32 << 20), "30000", 32 << 20),
    ):
        await rig.runtime.update_container(status.spec.id, resources, {})
        script = (
            "cat /sys/fs/cgroup/cpu*/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null | cut -d' ' -f1 | head -1; "
        )
        script += "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        asked = ExecSpec(container_id=status.spec.id, command=("/bin/sh", "-c", script))
        found = await rig.runtime.exec_sync(asked, 10_000)
        assert found.stdout.split() == [quota.encode(), str(limit).encode()], found


async def test_a_container_in_anothers_pid_namespace_sees_its_processes_and_leaves_none(rig: Rig) -> None:
    """Its own file system, the other's processes; the launcher itself stays where it is."""
    sandbox = await rig.sandbox()
    target = await rig.run("/bin/sleep", "4321.5", sandbox=sandbox)
    script = "tr '\\0' ' ' < /proc/1/cmdline; setsid sleep 4322.5 & ls /root/mine 2>&1; exit 3"
    code, output = await rig.shell(f"touch /root/mine; {script}", sandbox=sandbox, target_id=target.spec.id)
    assert (code, output.splitlines()[:1]) == (3, ["/bin/sleep 4321.5 /root/mine"]), output
    assert not _pids_of("sleep 4322.5"), "what it leaves behind would be the target's"
    code, output = await rig.shell("echo $$", sandbox=sandbox)
    assert (code, output) == (0, "1\n")
    assert (await rig.runtime.container_status(target.spec.id)).state == "RUNNING"


def _pids_of(command: str) -> list[str]:
    found = []
    for name in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdecimal() else b""
        except OSError:
            continue
        if words.replace(b"\0", b" ").decode(errors="replace").strip() == command:
            found.append(name)
    return found


async def test_a_sandbox_on_the_host_shares_what_it_asks_for(rig: Rig) -> None:
    sandbox = await rig.sandbox(host_network=True, host_pid=True, host_ipc=True)
    _, output = await rig.shell("for k in net pid ipc uts mnt; do readlink /proc/self/ns/$k; done", sandbox=sandbox)
    inside = output.splitlines()
    assert inside[:4] == [os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid", "ipc", "uts")]
    assert inside[4] != os.readlink("/proc/self/ns/mnt")


async def test_a_container_in_the_hosts_pid_namespace_dies_whole(rig: Rig) -> None:
    sandbox = await rig.sandbox(host_pid=True)
    status = await rig.run("/bin/sh", "-c", "sleep 4321 & echo $!; exit 3", sandbox=sandbox)
    assert (await rig.wait_exit(status.spec.id)).exit_code == 3
    child = int(rig.output(status))
    await until(lambda: not Path(f"/proc/{child}/exe").exists())


async def test_only_the_default_capabilities(rig: Rig) -> None:
    _, output = await rig.shell("grep -E 'Cap|NoNew|Seccomp:' /proc/self/status")
    found = dict(line.split(":\t") for line in output.splitlines())
    assert found["CapEff"] == found["CapBnd"] == found["CapPrm"] == "00000000a80425fb"
    assert found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("0", "2")


async def test_capabilities_as_asked_and_no_new_privileges(rig: Rig) -> None:
    security = Security(capabilities_drop=("ALL",), capabilities_add=("NET_ADMIN",), no_new_privileges=True)
    _, output = await rig.shell("grep -E 'CapEff|CapBnd|NoNew' /proc/self/status", security=security)
    assert output.split() == ["CapEff:", "0000000000001000", "CapBnd:", "0000000000001000", "NoNewPrivs:", "1"]


@pytest.mark.parametrize(
    ("user", "security", "identity"),
    [
        ("", Security(), "0 0 0 /root"),
        ("1234:77", Security(), "1234 77 77 /"),
        ("daemon", Security(), "1 1 1 /usr/sbin"),
        ("daemon:games", Security(uid=9999), "9999 0 0 /"),
        ("", Security(uid=12345, gid=50, groups=(60, 70)), "12345 50 50 60 70 /"),
    ],
)
async def test_the_user(rig: Rig, user: str, security: Security, identity: str) -> None:
    image = rig.image(config=ImageConfig(user=user))
    code, output = await rig.shell(
        "echo $(id -u) $(id -g) $(id -G) $HOME; cat /etc/shadow", image=image, security=security
    )
    assert output.splitlines()[0] == identity
    assert (code == 0) == identity.startswith("0 ")


async def test_other_users_may_write_to_their_output(rig: Rig) -> None:
    code, output = await rig.shell("echo again > /dev/stdout; echo error > /dev/stderr", security=Security(uid=1000))
    assert (code, sorted(output.split())) == (0, ["again", "error"])


async def test_an_unknown_user_is_an_error_that_says_so(rig: Rig) -> None:
    with pytest.raises(PluginError, match="unable to find user nobody-knows") as caught:
        await rig.run("/bin/true", image=rig.image(config=ImageConfig(user="nobody-knows")))
    assert (caught.value.reason, caught.value.retryable) == ("CreateContainerError", False)


async def test_seccomp_refuses_what_docker_refuses(rig: Rig) -> None:
    probe = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    return 0 if libc.syscall(*args) >= 0 else ctypes.get_errno()
numbers = {"unshare": (272, 0x10000000), "keyctl": (250, 0), "mount": (165, 0, 0, 0, 0, 0), "clone3": (435, 0, 0),
           "io_uring_setup": (425, 1, 0), "vsock": (41, 40, 1, 0), "userfaultfd": (323, 0), "unknown": (900,),
           "personality": (135, 0x0040000), "getpid": (39,), "inet": (41, 2, 1, 0)}
print({name: errno.errorcode.get(call(*args), "ok") for name, args in numbers.items()})
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are x86_64's")
    status = await rig.run("/usr/bin/python3", "-c", probe)
    await rig.wait_exit(status.spec.id)
    refused = dict.fromkeys(
        ["unshare", "keyctl", "mount", "io_uring_setup", "vsock", "userfaultfd", "personality"], "EPERM"
    )
    assert eval(rig.output(status)) == refused | {"clone3": "ENOSYS", "unknown": "ENOSYS", "getpid": "ok", "inet": "ok"}


async def test_masked_and_read_only_kernel_paths(rig: Rig) -> None:
    script = """
    cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware /proc/acpi | grep -v : | wc -w
    echo 1 2>/dev/null > /proc/sys/vm/drop_caches || echo sys refused
    echo h 2>/dev/null > /proc/sysrq-trigger || echo sysrq refused
    mkdir /sys/fs/cgroup/memory/x 2>/dev/null || mkdir /sys/fs/cgroup/x 2>/dev/null || echo cgroup refused
    mount -o remount,rw /proc/sys 2>/dev/null || echo remount refused
    """
    _, output = await rig.shell(script)
    assert output.splitlines() == ["0", "0", "sys refused", "sysrq refused", "cgroup refused", "remount refused"]


async def test_dev_has_the_standard_nodes_and_no_others(rig: Rig) -> None:
    _, output = await rig.shell("ls /dev; echo x > /dev/null; head -c 3 /dev/zero | wc -c; tty; ls -l /dev/ptmx")
    names = [
        "core",
        "fd",
        "full",
        "mqueue",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    ]
    assert output.splitlines()[: len(names)] == names
    assert output.splitlines()[len(names)] == "3"


async def test_the_device_filter_stops_a_node_that_the_container_made_itself(rig: Rig) -> None:
    """The memory and the disk: CAP_MKNOD is a default capability, opening is refused."""
    script = "mknod /mem c 1 1 && mknod /dev/disk b 254 0 && echo made; head -c1 /mem; head -c1 /dev/disk; echo done"
    _, output = await rig.shell(script)
    assert output.splitlines()[0] == "made"
    assert output.count("Operation not permitted") == 2


async def test_device_edits(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "library.so").write_text("a driver")
    known = next(
        path for path in ("/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/hwrng") if os.path.exists(path)
    )
    number = os.stat(known).st_rdev
    edits = DeviceEdits(
        nodes=(DeviceNode("/dev/acme/one", "c", os.major(number), os.minor(number), permissions="r"),),
        mounts=(DeviceMount(str(tmp_path / "library.so"), "/opt/acme/library.so.1"),),
        env={"ACME_DEVICES": "one"},
        symlinks=(("/opt/acme/library.so", "library.so.1"),),
        library_dirs=("/opt/acme",),
    )
    script = """
    cat /opt/acme/library.so; echo; echo $ACME_DEVICES $LD_LIBRARY_PATH; ls /dev/acme
    (: < /dev/acme/one) && echo readable; echo x 2>/dev/null > /dev/acme/one || echo not writable
    echo x 2>/dev/null > /opt/acme/library.so || echo read-only
    """
    _, output = await rig.shell(script, devices=edits)
    assert output.splitlines() == ["a driver", "one /opt/acme", "one", "readable", "not writable", "read-only"]


async def test_mounts(rig: Rig, tmp_path: Path) -> None:
    for name in ("writable", "fixed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "single").write_text("one file")
    mounts = (
        Mount(str(tmp_path / "single"), "/deep/er/single.conf"),
        Mount(str(tmp_path / "fixed"), "/deep/er/fixed", read_only=True),
        Mount(str(tmp_path / "writable"), "/deep"),
    )
    script = "cat /deep/file /deep/er/fixed/file /deep/er/single.conf; echo more >> /deep/new; touch /deep/er/fixed/x 2>/dev/null || echo no"
    _, output = await rig.shell(script, mounts=mounts)
    assert output.startswith("writablefixedone file")
    assert output.endswith("no\n")
    assert (tmp_path / "writable" / "new").read_text() == "more\n"


async def test_the_root_is_writable_for_itself_alone_or_read_only(rig: Rig) -> None:
    _, output = await rig.shell("echo mine > /own && cat /own; ls /own")
    assert output == "mine\n/own\n"
    _, output = await rig.shell(
        "ls /own; touch /x 2>&1; touch /dev/shm/y && echo shm", security=Security(read_only_rootfs=True)
    )
    assert "Read-only file system" in output
    assert output.endswith("shm\n")
    assert not Path("/own").exists()


async def test_files_of_the_sandbox(rig: Rig) -> None:
    sandbox = await rig.sandbox(hostname="db-0", resolv_conf="nameserver 10.0.0.10\n")
    _, output = await rig.shell("cat /etc/resolv.conf /etc/hostname; grep db-0 /etc/hosts", sandbox=sandbox)
    assert output.splitlines()[:2] == ["nameserver 10.0.0.10", "db-0"]
    assert output.splitlines()[2].endswith("\tdb-0")


async def test_limits_are_in_force(rig: Rig) -> None:
    resources = Resources(cpu_request_millis=500, cpu_limit_millis=250, memory_limit_bytes=64 << 20, pids_max=30)
    script = "cd /sys/fs/cgroup; cat cpu.max cpu/cpu.cfs_quota_us memory.max memory/memory.limit_in_bytes pids.max pids/pids.max"
    _, output = await rig.shell(script + " 2>/dev/null", resources=resources)
    assert output.split() in (["25000", "67108864", "30"], ["25000", "100000", "67108864", "30"])


async def test_too_many_processes(rig: Rig) -> None:
    _, output = await rig.shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait", resources=Resources(pids_max=5))
    assert "fork" in output


async def test_the_environment_is_the_images_and_the_specs_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/secret")
    image = rig.image(config=ImageConfig(env=("LANG=C.UTF-8", "MODE=image"), working_dir="/made/for/it"))
    code, output = await rig.shell(
        "env; pwd; ulimit -n; cat /proc/self/oom_score_adj; nice", image=image, env={"MODE": "spec"}
    )
    lines = output.splitlines()
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    assert code == 0
    assert env.keys() - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "HOSTNAME", "LANG", "MODE", "HOME"}
    assert (env["LANG"], env["MODE"]) == ("C.UTF-8", "spec")
    assert "/made/for/it" in lines
    assert lines[-1] == "0"


async def test_no_descriptor_of_the_hosts_is_open(rig: Rig) -> None:
    """CVE-2024-21626: neither a descriptor nor the working directory leads out."""
    probe = "import os, json; print(json.dumps({n: os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.lexists(f'/proc/self/fd/{n}')}))"
    status = await rig.run("/usr/bin/python3", "-c", probe)
    await rig.wait_exit(status.spec.id)
    found = json.loads(rig.output(status))
    assert found["0"] == "/dev/null"
    assert found["1"].startswith("pipe:")
    assert set(found) <= {"0", "1", "2", "3"}
    assert "/proc/" in found.get("3", "/proc/")


async def test_the_nodes_own_secrets_are_hidden_from_the_host_image(rig: Rig) -> None:
    """What raypod itself is installed below stays in sight (a clone in /tmp), the node's state never does."""
    hidden = [path for path in HOST_IMAGE_HIDDEN if not sys.prefix.startswith(f"{path}/")]
    (rig.root / "node" / "planted").write_text("secret")
    with NamedTemporaryFile(dir="/tmp"), NamedTemporaryFile(dir="/run"):
        _, output = await rig.shell(f"find {rig.root}/node {' '.join(hidden)} -type f; ls /etc/passwd")
    assert output.split() == ["/etc/passwd"], f"something of {hidden} or of the node shows"
    _, modes = await rig.shell("stat -c %a /tmp")
    assert modes == "1777\n"


async def test_a_privileged_container(rig: Rig) -> None:
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status; mount -t tmpfs none /mnt && echo mounted; (: < /dev/kmsg) && echo kmsg"
    _, output = await rig.shell(script, security=Security(privileged=True))
    assert "Seccomp:\t0" in output
    assert output.endswith("mounted\nkmsg\n")


async def test_a_mount_over_the_root_is_refused_also_through_a_link(rig: Rig) -> None:
    layer = rig.layer()
    (layer / "top").symlink_to("/")
    for target in ("/", "/top", "/usr/.."):
        with pytest.raises(PluginError, match=r"refused to mount over .*: it is the container's root"):
            await rig.run("/bin/true", image=rig.image(layer), mounts=(Mount("/etc", target),))


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("no-such-program",), 127, 'exec: "no-such-program": executable file not found in $PATH'),
        (("/no/such/program",), 127, "no such file or directory"),
        (("/etc/passwd",), 126, "permission denied"),
        (("/etc",), 126, "permission denied"),
        (("x" * 100_000,), 128, "file name too long"),
        (("/" + "x" * 100_000,), 128, "file name too long"),
        (("/bin/echo", "y" * 200_000), 128, 'exec: "/bin/echo": argument list too long'),
    ],
)
async def test_a_command_that_cannot_run(rig: Rig, command: tuple[str, ...], code: int, words: str) -> None:
    with pytest.raises(PluginError, match="RunContainerError") as caught:
        await rig.run(*command)
    assert words in caught.value.message and len(caught.value.message) < 400
    (status,) = await rig.runtime.list_containers()
    assert (status.exit_code, status.reason, status.message) == (code, "StartError", caught.value.message)


async def test_what_it_uses_is_what_it_does(rig: Rig) -> None:
    """One container burns a CPU, another holds 64 MiB, a third sleeps."""
    hold = "import time; kept = bytearray(64 << 20); print('held', flush=True); time.sleep(60)"
    busy = await rig.run("/bin/sh", "-c", "while :; do :; done")
    large = await rig.run(sys.executable, "-c", hold)
    idle = await rig.run("/bin/sleep", "60")
    names = [status.spec.id for status in (busy, large, idle)]

    async def read() -> dict[str, ContainerStats]:
        return {one.id: one for one in await rig.runtime.list_container_stats()}

    await until(lambda: rig.output(large) == "held\n")
    before = await read()
    await asyncio.sleep(1)
    after = await read()
    assert sorted(after) == sorted(names)
    spent = {name: after[name].cpu_ns - before[name].cpu_ns for name in names}
    assert spent[busy.spec.id] > 100_000_000 > spent[idle.spec.id]
    assert after[large.spec.id].memory_bytes > 64 << 20 > 2 * after[idle.spec.id].memory_bytes
