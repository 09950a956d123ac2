"""What is offered of a GPU, and when it is not: facts in, device out."""

from __future__ import annotations

import msgspec
import pytest

from actors.plugins.device.config import DevicesConfig
from actors.plugins.device.facts import GpuFacts, derive_device
from actors.plugins.device.nodes import parse_majors, plan_nodes
from actors.plugins.errors import PluginError

WELL = GpuFacts(uuid="GPU-1", minor=3, model="NVIDIA L4", memory_bytes=24 << 30, numa_node=1)

PROC_DEVICES = """Character devices:
  1 mem
  5 /dev/tty
195 nvidia
195 nvidiactl
238 nvidia-uvm
241 nvidia-caps

Block devices:
  7 loop
 99 nvidia
"""


def test_a_well_gpu_has_no_reason_and_its_attributes() -> None:
    device = derive_device(WELL)
    assert device.healthy and device.reason == ""
    assert device.attributes == {
        "model": "NVIDIA L4",
        "memoryBytes": 24 << 30,
        "migMode": "Disabled",
        "numaNode": 1,
    }


@pytest.mark.parametrize(
    ("change", "xid", "words"),
    [
        ({"lost": "GPU is lost"}, 79, "does not answer (GPU is lost)"),
        ({"remap_failed": True}, 64, "must be replaced"),
        ({"recovery_action": 1}, 0, "asks to reset the GPU"),
        ({"recovery_action": 2}, 0, "asks to reboot the node"),
        ({}, 79, "XID 79: the GPU has fallen off the bus"),
        ({}, 12345, "XID 12345: see NVIDIA's XID catalogue"),
        ({"mig": True}, 0, "MIG mode is on"),
    ],
)
def test_an_ill_gpu_says_what_to_do(change: dict[str, object], xid: int, words: str) -> None:
    device = derive_device(msgspec.structs.replace(WELL, **change), xid)
    assert not device.healthy
    assert words in device.reason


@pytest.mark.parametrize("xid", [13, 31, 43, 45, 68, 109])
def test_an_application_s_own_error_is_not_the_gpu_s(xid: int) -> None:
    assert derive_device(WELL, xid).healthy


def test_an_unknown_recovery_action_withholds_nothing() -> None:
    assert derive_device(msgspec.structs.replace(WELL, recovery_action=99)).healthy


def test_majors_are_those_of_character_devices() -> None:
    majors = parse_majors(PROC_DEVICES)
    assert (majors["nvidia"], majors["nvidia-uvm"]) == (195, 238)


def test_nodes_of_several_gpus_share_the_control_nodes() -> None:
    nodes = plan_nodes(parse_majors(PROC_DEVICES), [3, 5])
    assert [(node.path, node.major, node.minor) for node in nodes] == [
        ("/dev/nvidia3", 195, 3),
        ("/dev/nvidia5", 195, 5),
        ("/dev/nvidiactl", 195, 255),
        ("/dev/nvidia-uvm", 238, 0),
        ("/dev/nvidia-uvm-tools", 238, 1),
    ]
    assert all(node.permissions == "rw" for node in nodes), "a container must not make nodes itself"


def test_without_the_kernel_module_there_are_no_nodes() -> None:
    with pytest.raises(PluginError, match="module nvidia is not loaded"):
        plan_nodes({"nvidia-uvm": 238}, [0])


@pytest.mark.parametrize("text", ['{"fake_gpus": -1}', '{"check_interval_ms": 1}', '{"nvlm": true}'])
def test_a_wrong_configuration_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=DevicesConfig)
