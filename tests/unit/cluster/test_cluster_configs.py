"""Every configuration in cluster_configs/ is one that raypod, or Ray, takes."""

import json
from pathlib import Path

import pytest
import yaml

from actors.cluster.config import ClusterConfig, ConfigError, load_config, parse_config

FOLDER = Path(__file__).parents[3] / "cluster_configs"
RAY_FILES = {"ray-on-prem.yaml"}
OURS = sorted(path for path in FOLDER.glob("*.yaml") if path.name not in RAY_FILES)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_raypod_configurations_load_and_say_something(path):
    assert load_config(path) != ClusterConfig()


@pytest.mark.parametrize("name", sorted(RAY_FILES))
def test_ray_configurations_have_what_ray_asks_for(name):
    import jsonschema
    import ray.autoscaler as autoscaler

    config = yaml.safe_load((FOLDER / name).read_text())
    schema = json.loads((Path(autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    assert "--labels raypod.io/node=" in config["head_start_ray_commands"][-1]


def test_there_is_at_least_one_of_each():
    assert OURS
    assert all((FOLDER / name).exists() for name in RAY_FILES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gatway: {}", r"unknown field `gatway` under the top level; the fields there are .*gateway"),
        ("gateway: {prot: 1}", r"unknown field `prot` under gateway; the fields there are .*port"),
        ("gateway: {port: many}", r"gateway\.port: expected `int`"),
        ("ray: {port: 70000}", r"ray: port 70000: between 0"),
        ("ray: {node_ip: nowhere}", r"ray: node_ip 'nowhere': an address"),
        (
            "nodelet: {plugins: {runtime: crio}}",
            r"nodelet: plugins: there is no runtime 'crio'; choose one of fake, native",
        ),
        ("nodelet: {plugins: {volume: local}}", r"there is no port 'volume'; the ports are runtime, image"),
        ("nodelet: {network: {nameservers: [8.8.8]}}", r"nodelet\.network: nameservers '8\.8\.8': an IPv4 or IPv6"),
        ("nodelet: {network: {cluster_cidr: 10.1.2}}", r"nodelet\.network: cluster_cidr '10\.1\.2'.* an IPv4 network"),
        ("a: [", r"is not YAML"),
        ("- 1", r"the top level: expected `object`"),
    ],
)
def test_a_mistake_is_named_with_its_cure(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_config(text, "x.yaml")
