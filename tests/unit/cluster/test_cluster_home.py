"""Defaults, names and places: what a configuration becomes on a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.cluster.config import ClusterConfig, ConfigError, load_config, parse_config
from actors.cluster.home import RAY_FOLDER_BYTES_MAX, Home, home_of
from actors.cluster.keeper import node_name


def test_nothing_is_all_defaults() -> None:
    assert parse_config("", "nothing") == load_config(None) == ClusterConfig()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.yaml: No such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("h3", "h3"),
        ("GPU Box_1", "gpu-box-1"),
        ("-x-", "x"),
        ("ümlaut", "mlaut"),
        ("a" * 80, "a" * 63),
        ("___", "head"),
    ],
)
def test_any_host_name_becomes_a_node_name(given: str, name: str) -> None:
    assert node_name(ClusterConfig(node_name=given)) == name


def test_rays_folder_moves_out_of_a_home_that_is_too_deep_for_its_sockets() -> None:
    shallow, deep = Home(Path("/root/.raypod")), Home(Path("/very/" + "deep/" * 20))
    assert shallow.ray == Path("/root/.raypod/run/ray")
    assert len(str(deep.ray)) <= RAY_FOLDER_BYTES_MAX
    assert deep.ray != Home(deep.root / "other").ray


def test_the_home_is_the_one_named_else_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYPOD_HOME", "/from/environment")
    assert home_of().root == Path("/from/environment")
    assert home_of("/named").root == Path("/named")
