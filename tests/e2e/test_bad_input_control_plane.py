"""`raypod up` and `down`, and everything that needs a control plane, when it cannot be."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from whole_cluster import WholeCluster, home_of_its_own

import raypod

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[WholeCluster]:
    """A home in which nothing may ever come up; what does is taken down, and is a failure."""
    made = WholeCluster(tmp_path / "h")
    yield made
    if left := made.remains():
        made.down()
    assert left == []


@pytest.fixture(scope="module")
def other() -> Iterator[WholeCluster]:
    """Another cluster beside the session's; tests take it down and up."""
    with home_of_its_own() as home:
        made = WholeCluster(home, node="other")
        yield made
        assert made.down().code == 0
        assert made.remains() == []


@pytest.mark.parametrize(
    "words", [["ps"], ["status"], ["logs", "x"], ["stop", "x"], ["run", "host"], ["image", "ls"], ["kubeconfig"]]
)
def test_where_nothing_was_ever_up(nobody: WholeCluster, words: list[str]) -> None:
    told = nobody.raypod(*words).complaint
    assert re.fullmatch(rf"no kubeconfig at {nobody.kubeconfig}.*: start a control plane with `raypod up`", told)


def test_down_where_nothing_is(nobody: WholeCluster) -> None:
    for _ in range(2):
        assert nobody.raypod("down").out == "raypod is down\n"
    assert nobody.raypod("down", "-o", "json").json["was_up"] is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodelet:\n  imagez: {}\n", ["imagez", "nodelet", "the fields there are", "images"]),
        ("gateway: {port: many}\n", ["gateway.port", "int"]),
        ("gateway: {port: 123456}\n", ["gateway.port", "65535"]),
        ("nodelet: {pods_max: -1}\n", ["nodelet", "pods_max", "between"]),
        ("store: {watch_events_max: 0}\n", ["store.watch_events_max", "between 1 and"]),
        ("nodelet: {network: {cluster_cidr: nowhere}}\n", ["nowhere"]),
        ("nodelet: {network: {bridge: much-too-long-a-name}}\n", ["bridge", "1 to 13"]),
        ("a: [unclosed\n", ["is not YAML"]),
        ("- a list\n", ["the top level"]),
        ("\udcff", ["UTF-8"]),
    ],
    ids=[
        "typo",
        "a word for a number",
        "no port",
        "negative",
        "zero",
        "no network",
        "long bridge",
        "no YAML",
        "a list",
        "bytes",
    ],
)
def test_a_wrong_configuration_names_field_and_cure(
    nobody: WholeCluster, tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    told = nobody.raypod("up", "--config", str(path)).complaint
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "no-such-host.invalid:6379", "garbage", "1:2:3", "127.0.0.1:999999"]
)
@pytest.mark.parametrize("verb", ["up", "down"])
def test_an_address_of_nothing(nobody: WholeCluster, verb: str, address: str) -> None:
    told = nobody.raypod(verb, "--address", address).complaint
    assert told.startswith(f"no Ray cluster answers at {address}: ")
    assert "HOST:PORT" in told


def test_a_port_that_another_process_has(other: WholeCluster) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other.write_config(gateway={"port": port})
        told = other.raypod("up", "--config", str(other.config)).complaint
        assert str(port) in told
        assert told == f"port {port} is taken by another program: stop it, or set gateway.port"
    assert other.up().json["already"] is True, "once the port is free the same command goes through"
    assert other.raypod("run", "host", "--", "echo", "ok").out == "ok\n"


def test_a_cluster_that_is_down(other: WholeCluster) -> None:
    other.up()
    assert other.raypod("down").code == 0
    assert other.remains() == []
    assert other.raypod("down", "-o", "json").json["was_up"] is False
    for words in (["ps"], ["run", "host", "--", "true"], ["status"]):
        said = other.raypod(*words)
        assert said.complaint == f"the control plane of {other.home} is down: start it with `raypod up`"


def test_the_kubeconfig_of_another_cluster(whole: WholeCluster, other: WholeCluster, tmp_path: Path) -> None:
    """Certificates of the other one, the address of this one."""
    foreign = yaml.safe_load(other.kubeconfig.read_text())
    ours = yaml.safe_load(whole.kubeconfig.read_text())
    foreign["clusters"][0]["cluster"]["server"] = ours["clusters"][0]["cluster"]["server"]
    path = tmp_path / "foreign"
    path.write_text(yaml.safe_dump(foreign))
    with pytest.raises(raypod.ClusterUnreachable, match="the kubeconfig is of another cluster, or of an earlier one"):
        raypod.Cluster(path)
    foreign["clusters"][0]["cluster"] = ours["clusters"][0]["cluster"]
    path.write_text(yaml.safe_dump(foreign))
    shown = whole.raypod("ps", env={"RAYPOD_HOME": str(tmp_path / "none"), "KUBECONFIG": str(path)})
    assert "refuses this kubeconfig's client certificate: it is of another cluster" in shown.complaint
    assert shown.seconds < 5, "not as long as a restart is waited for"


def test_the_kubeconfig_of_an_earlier_cluster(other: WholeCluster, tmp_path: Path) -> None:
    other.up()
    earlier = tmp_path / "earlier"
    shutil.copy(other.kubeconfig, earlier)
    other.down()
    shutil.rmtree(other.home / "pki")
    port = yaml.safe_load(earlier.read_text())["clusters"][0]["cluster"]["server"].rpartition(":")[2]
    other.write_config(gateway={"port": int(port)})
    other.up()
    with pytest.raises(raypod.ClusterUnreachable, match="of an earlier one"):
        raypod.Cluster(earlier)
    assert other.raypod("run", "host", "--", "echo", "ok").out == "ok\n"


@pytest.mark.parametrize(
    "text", ["", "no kubeconfig", "{}", "clusters: []", "current-context: x", "\x00", "a: [", "- 1"]
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(raypod.ClusterUnreachable, match="is not a usable kubeconfig"):
        raypod.Cluster(path)
    with pytest.raises(raypod.ClusterUnreachable, match="no kubeconfig at"):
        raypod.Cluster(tmp_path / "nowhere")
