"""From spec, image and sandbox to the plan that the launcher executes."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from actors.plugins.device.port import DeviceEdits, DeviceMount, DeviceNode
from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.capabilities import DEFAULT, NAMES, derive_capabilities, format_bits
from actors.plugins.runtime.image_config import merge_argv, merge_env, merge_user, merge_working_dir
from actors.plugins.runtime.launcher.plan import Plan
from actors.plugins.runtime.layout import Layout
from actors.plugins.runtime.planning import (
    Node,
    derive_hostname,
    derive_namespaces,
    derive_stop_signal,
    format_hosts,
    plan_container,
    plan_mounts,
    select_hidden,
)
from actors.plugins.runtime.port import ContainerSpec, Mount, SandboxSpec, Security

LAYOUT = Layout("/node")
NODE = Node(
    machine="x86_64", hostname="node-1", hidden_paths=("/root/.raypod",), devices=(("/dev/fuse", "c", 10, 229),)
)
SANDBOX = SandboxSpec(id="s", pod_name="web-0", pod_namespace="default", pod_uid="u")


def spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec(**{"id": "c", "sandbox_id": "s", "name": "main", "image": "i", "command": ("run",), **fields})


def plan(config: ImageConfig | None = None, layers: tuple[str, ...] = ("/layer",), **fields: Any) -> Plan:
    return plan_container(spec(**fields), config or ImageConfig(), layers, SANDBOX, LAYOUT, NODE)


@pytest.mark.parametrize(
    ("command", "args", "argv"),
    [
        ((), (), ("entry", "cmd")),
        (("c",), (), ("c",)),
        ((), ("a",), ("entry", "a")),
        (("c",), ("a",), ("c", "a")),
    ],
)
def test_command_and_args_lie_over_entrypoint_and_cmd(
    command: tuple[str, ...], args: tuple[str, ...], argv: tuple[str, ...]
) -> None:
    config = ImageConfig(entrypoint=("entry",), cmd=("cmd",))
    assert merge_argv(spec(command=command, args=args), config) == argv


def test_environment() -> None:
    config = ImageConfig(env=("PATH=/image", "EMPTY=", "SAME=image", "=odd", "FLAG"))
    devices = DeviceEdits(env={"SAME": "device", "GPU": "0"}, library_dirs=("/usr/local/nvidia/lib64",))
    env = merge_env(spec(env={"MINE": "1"}, devices=devices), config, "web-0")
    assert env == {
        "PATH": "/image",
        "HOSTNAME": "web-0",
        "EMPTY": "",
        "FLAG": "",
        "SAME": "device",
        "GPU": "0",
        "MINE": "1",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64",
    }


def test_libraries_come_after_the_containers_own() -> None:
    devices = DeviceEdits(library_dirs=("/drivers",))
    assert (
        merge_env(spec(env={"LD_LIBRARY_PATH": "/own"}, devices=devices), ImageConfig(), "h")["LD_LIBRARY_PATH"]
        == "/own:/drivers"
    )


@pytest.mark.parametrize(
    ("image", "uid", "gid", "words"),
    [
        ("", -1, -1, "0"),
        ("web:staff", -1, -1, "web:staff"),
        ("web", -1, 5, "web:5"),
        ("web", 7, -1, "7"),
        ("web", 7, 5, "7:5"),
    ],
)
def test_user(image: str, uid: int, gid: int, words: str) -> None:
    assert merge_user(spec(security=Security(uid=uid, gid=gid)), ImageConfig(user=image)) == words


def test_working_directory() -> None:
    assert merge_working_dir(spec(), ImageConfig()) == "/"
    assert merge_working_dir(spec(), ImageConfig(working_dir="/app")) == "/app"
    assert merge_working_dir(spec(working_dir="/mine"), ImageConfig(working_dir="/app")) == "/mine"


def test_a_relative_working_directory_is_refused_as_an_oci_runtime_does() -> None:
    assert plan(working_dir="/mine")["cwd"] == "/mine"
    with pytest.raises(ValueError, match=r"^workingDir 'rel' must be an absolute path"):
        plan(working_dir="rel")
    with pytest.raises(ValueError, match=r"^the image's working directory 'app' must be an absolute path"):
        plan(ImageConfig(working_dir="app"))


def test_no_command_at_all() -> None:
    with pytest.raises(ValueError, match="no command specified"):
        plan(command=())


@pytest.mark.parametrize(
    ("add", "drop", "found"),
    [
        ((), (), DEFAULT),
        (("NET_ADMIN",), ("MKNOD",), DEFAULT - {"MKNOD"} | {"NET_ADMIN"}),
        (("cap_sys_ptrace",), ("ALL",), {"SYS_PTRACE"}),
        (("ALL",), ("SYS_ADMIN",), set(NAMES) - {"SYS_ADMIN"}),
        (("ALL",), ("ALL",), set(NAMES)),
    ],
)
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], found: set[str]) -> None:
    assert derive_capabilities(Security(capabilities_add=add, capabilities_drop=drop)) == found


def test_capability_bits() -> None:
    assert format_bits(DEFAULT) == 0xA80425FB
    assert format_bits(frozenset(NAMES)) == (1 << 41) - 1
    with pytest.raises(ValueError, match="NET_ADMIIN"):
        derive_capabilities(Security(capabilities_add=("NET_ADMIIN",)))


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("", 15),
        ("SIGTERM", 15),
        ("quit", 3),
        ("9", 9),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("SIGNONE", 15),
        ("77", 15),
    ],
)
def test_stop_signals(words: str, number: int) -> None:
    assert derive_stop_signal(words) == number


def test_namespaces() -> None:
    assert derive_namespaces(SANDBOX) == ["net", "uts", "ipc"]
    shared = SandboxSpec(id="s", pod_name="p", pod_namespace="n", pod_uid="u", host_network=True, host_ipc=True)
    assert derive_namespaces(shared) == []
    assert derive_hostname(shared, NODE) == "node-1"
    assert derive_hostname(SANDBOX, NODE) == "web-0"


def test_mounts_go_from_shallow_to_deep_and_the_specs_win() -> None:
    devices = DeviceEdits(mounts=(DeviceMount("/host/lib.so", "/usr/lib/lib.so"),))
    mounts = (
        Mount("/v/inner", "/data/in"),
        Mount("/v/outer", "/data/"),
        Mount("/v/shm", "/dev//shm"),
        Mount("/v/h", "/etc/hosts", True),
    )
    found = plan_mounts(spec(mounts=mounts, devices=devices, termination_message_path="/dev/log"), SANDBOX, LAYOUT)
    by_target = {mount["target"]: mount for mount in found}
    assert [mount["target"] for mount in found].index("/data/") < [mount["target"] for mount in found].index("/data/in")
    assert "/dev/shm" not in by_target
    assert (by_target["/etc/hosts"]["source"], by_target["/etc/hosts"]["read_only"]) == ("/v/h", True)
    assert by_target["/etc/resolv.conf"]["source"] == "/node/run/sandboxes/s/mem/resolv.conf"
    assert by_target["/dev/log"]["source"] == "/node/containers/c/termination"
    library = by_target["/usr/lib/lib.so"]
    assert (library["read_only"], library["restricted"]) == (True, True)
    assert not by_target["/data/in"]["restricted"]


def test_devices_are_filtered_to_what_was_allocated() -> None:
    devices = DeviceEdits(nodes=(DeviceNode("/dev/nvidia0", "c", 195, 0),))
    found = plan(devices=devices)
    assert found["nodes"] == [("/dev/nvidia0", "c", 195, 0)]
    assert [rule for rule in found["device_rules"] if rule[1] == 195] == [("c", 195, 0, "rw")]


def test_privileged_means_no_confinement() -> None:
    found = plan(security=Security(privileged=True))
    assert (found["seccomp"], found["masked"], found["read_only_paths"]) == ("", [], [])
    assert ("/dev/fuse", "c", 10, 229) in found["nodes"]
    assert plan(security=Security(seccomp="Unconfined"))["seccomp"] == ""
    assert plan()["seccomp"] != ""
    assert "/proc/kcore" in plan()["masked"]


def test_the_host_image_hides_the_nodes_own() -> None:
    assert plan()["opaque"] == []
    assert plan(layers=("/",))["opaque"] == ["/tmp", "/var/tmp", "/run", "/root/.raypod"]


def test_the_host_image_shows_where_raypod_itself_is_installed() -> None:
    node = Node(machine="x86_64", hostname="n", hidden_paths=("/tmp/home",), shown_path="/tmp/clone/.venv")
    assert select_hidden(node) == ["/var/tmp", "/run", "/tmp/home"]


def test_a_plan_survives_json() -> None:
    found = plan(devices=DeviceEdits(symlinks=(("/a", "b"),)))
    assert json.loads(json.dumps(found)).keys() == found.keys()


def test_hosts() -> None:
    assert format_hosts(SANDBOX, "web-0", ("10.1.0.2",)).endswith("10.1.0.2\tweb-0\n")
    own = SandboxSpec(id="s", pod_name="p", pod_namespace="n", pod_uid="u", etc_hosts="10.1.0.2 web-0 # mine")
    assert format_hosts(own, "web-0", ("10.1.0.2",)) == "10.1.0.2 web-0 # mine\n"
