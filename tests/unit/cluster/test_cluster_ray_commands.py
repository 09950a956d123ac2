"""The command lines of Ray's processes, their environment, and the answers that are read from them."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path

import pytest

from actors.cluster.handshake import parse_cluster_id
from actors.cluster.ray_commands import RaySession, plan_environment, plan_gcs, plan_raylet
from actors.cluster.worker import worker_arguments

SESSION = RaySession(
    package=Path("/site/ray"),
    commit="abc",
    folder=Path("/home/run/ray"),
    node_ip="127.0.0.1",
    port=6379,
    token=Path("/home/run/token"),
    project=Path("/project"),
)


def environment(inherited: dict[str, str], session: RaySession = SESSION) -> dict[str, str]:
    return plan_environment(session, inherited, period_ms=300, timeout_ms=2000, threshold=3)


def option(command: list[str], name: str) -> str:
    return next(word for word in command if word.startswith(f"--{name}=")).partition("=")[2]


def test_nothing_of_the_user_can_shadow_what_the_actors_import() -> None:
    planned = environment(
        {"PYTHONPATH": "/evil", "PYTHONHOME": "/evil", "LD_PRELOAD": "x.so", "RAY_ADDRESS": "other:1", "PATH": "/bin"}
    )
    assert planned["PYTHONPATH"] == "/project"
    assert planned["PYTHONSAFEPATH"] == "1"
    assert planned["RAY_ADDRESS"] == "127.0.0.1:6379"
    assert planned["PATH"] == "/bin"
    assert not {"PYTHONHOME", "LD_PRELOAD"} & planned.keys()


def test_rays_own_killer_of_processes_is_off_and_its_ports_need_a_token() -> None:
    planned = environment({})
    assert planned["RAY_memory_monitor_refresh_ms"] == "0"
    assert planned["RAY_worker_niceness"] == "0"
    assert planned["RAY_AUTH_MODE"] == "token"
    assert planned["RAY_AUTH_TOKEN_PATH"] == "/home/run/token"


def test_the_raylet_has_the_label_the_resources_and_a_worker_command_of_ours() -> None:
    resources = {"CPU": 2, "memory": 24_894_230_272, "object_store_memory": 268_435_456}
    command = plan_raylet(SESSION, node_id="n", cluster_id="c", resources=resources, labels={"raypod.io/node": "h1"})
    assert json.loads(option(command, "labels")) == {"raypod.io/node": "h1"}
    assert "memory,24894230272," in option(command, "static_resource_list")
    worker = shlex.split(option(command, "python_worker_command"))
    assert worker[3] == "/project/actors/cluster/worker.py"
    assert worker[-1] == "RAY_WORKER_DYNAMIC_OPTION_PLACEHOLDER"


def test_the_gcs_tells_nodes_that_join_where_objects_spill() -> None:
    told = json.loads(base64.b64decode(option(plan_gcs(SESSION, "n"), "config_list")))
    assert json.loads(told["object_spilling_config"])["params"]["directory_path"] == ["/home/run/ray/session"]


def test_a_worker_gets_only_the_options_that_it_knows() -> None:
    given = ["default_worker.py", "--language=PYTHON", "--worker-id=1", "--serialized-runtime-env-context={}"]
    assert worker_arguments(given) == ["default_worker.py", "--worker-id=1"]


def test_the_cluster_id_is_read_past_the_status() -> None:
    status, cluster = b"\x0a\x02\x08\x00", b"\x12\x1c" + bytes(range(28))
    assert parse_cluster_id(status + cluster) == bytes(range(28))
    assert parse_cluster_id(cluster) == bytes(range(28))


@pytest.mark.parametrize("reply", [b"", b"\x0a\x02\x08\x00", b"\x08\x01", b"\x12"])
def test_an_answer_without_one_is_an_error(reply: bytes) -> None:
    with pytest.raises(ValueError, match="without a cluster id"):
        parse_cluster_id(reply)
