"""A second home on a machine where a raypod is up: its bridge and addresses are its own, or it says what to set."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from whole_cluster import WholeCluster, home_of_its_own

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

SCRIPT = """
import raypod
with raypod.Cluster() as cluster:
    run = cluster.run("beside", image="host", command=["hostname", "-I"])
    print(*run.logs(follow=True))
"""


def test_a_configured_bridge_that_another_home_has(whole: WholeCluster, tmp_path: Path) -> None:
    nobody = WholeCluster(tmp_path / "h")
    for network, words in (
        ({"bridge": whole.bridge}, [f"the bridge {whole.bridge} belongs to", "nodelet.network.bridge"]),
        ({"cluster_cidr": whole.network["cluster_cidr"]}, ["overlaps", "nodelet.network.cluster_cidr"]),
    ):
        config = nobody.write_config(nodelet={"network": network})
        told = nobody.raypod("up", "--config", str(config)).complaint
        assert all(word in told for word in (*words, str(whole.home))), told
        assert not (nobody.home / "config.yaml").exists(), "what was refused is not the home's configuration"
    assert nobody.remains() == []


def test_without_a_configuration_it_finds_room_beside_the_others(whole: WholeCluster, tmp_path: Path) -> None:
    """The machine's usual bridge and port may be anybody's: what matters is that they are not shared."""
    with home_of_its_own() as first_home, home_of_its_own() as second_home:
        taken = {whole.bridge: IPv4Network(whole.network["cluster_cidr"])}
        made = [WholeCluster(home) for home in (first_home, second_home)]
        script = tmp_path / "job.py"
        script.write_text(SCRIPT)
        try:
            for cluster in made:
                cluster.config.unlink()
                address = cluster.python(script, timeout=120)
                assert address.code == 0, f"{address}\n{cluster.control_plane_logs()}"
                chosen = json.loads((cluster.home / "run" / "network.json").read_text())
                cluster.bridge, network = chosen["bridge"], IPv4Network(chosen["cluster_cidr"])
                assert cluster.bridge not in taken
                assert not any(network.overlaps(other) for other in taken.values())
                taken[cluster.bridge] = network
                assert IPv4Network(address.out.split()[-1]).subnet_of(network), address
        finally:
            for cluster in made:
                assert cluster.down().code == 0
        assert [left for cluster in made for left in cluster.remains()] == []
