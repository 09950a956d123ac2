"""One configuration for everything: each package's own struct under its name. Read from YAML, strict.

A typo is an error that names the field and what to do; every default works.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from actors.controllers.config import ControllersConfig
from actors.gateway.config import GatewayConfig
from actors.nodelet.config import NodeletConfig
from actors.scheduler.config import SchedulerConfig
from actors.store.config import StoreConfig

#: Of the numbers whose default is another one.
_MAY_BE_ZERO = frozenset(
    {
        *("port", "retention_minutes", "reply_retention_minutes", "log_retention_hours", "terminated_pods_max"),
        *("node_grace_ms", "node_gone_grace_ms", "terminating_grace_ms", "first_ms"),
    }
)
_NUMBER_MAX = (1 << 63) - 1


class ConfigError(Exception):
    """The configuration cannot be used. The message is one sentence with the cure."""


class RayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded Ray head, and what raypod's nodelets hold from any Ray cluster.

    `node_ip` other than loopback lets further hosts join (`ray start --address`). `cpus`, `memory_bytes`: 0 is what
    the machine has. `cpus_left` are not held by the nodelets: they stay free for Ray tasks on every node.
    """

    node_ip: str = "127.0.0.1"
    port: int = 0
    cpus: int = 0
    memory_bytes: int = 0
    object_store_bytes: int = 256 << 20
    cpus_left: float = 0
    labels: dict[str, str] = {}
    death_period_ms: int = 300
    death_timeout_ms: int = 2_000
    death_threshold: int = 3

    def __post_init__(self) -> None:
        try:
            ipaddress.ip_address(self.node_ip)
        except ValueError as error:
            raise ValueError(f"node_ip {self.node_ip!r}: an address of this machine, such as 127.0.0.1") from error
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port {self.port}: between 0 (any free one) and 65535")
        if self.object_store_bytes < 80 << 20:
            raise ValueError(f"object_store_bytes {self.object_store_bytes}: Ray needs at least {80 << 20}")


class SupervisorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`period_ms`: how often it compares what is with what should be. A node that Ray saw die and that does not come
    back within `node_grace_ms` is told to be lost, and its pods are replaced."""

    period_ms: int = 1_000
    node_grace_ms: int = 8_000


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration. `node_name` names the embedded head; default: the machine's host name."""

    node_name: str = ""
    ray: RayConfig = RayConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    store: StoreConfig = StoreConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    controllers: ControllersConfig = ControllersConfig()
    nodelet: NodeletConfig = NodeletConfig()
    gateway: GatewayConfig = GatewayConfig()


def parse_config(text: str, source: str) -> ClusterConfig:
    """The configuration in YAML `text`. Raises ConfigError, which names `source` and the field."""
    try:
        tree: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not YAML: {_one_line(error)}; correct that place") from error
    try:
        config = msgspec.convert({} if tree is None else tree, ClusterConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error))}") from error
    for problem in check_numbers(config):
        raise ConfigError(f"{source}: {problem}; correct this field")
    return config


def load_config(path: Path | None) -> ClusterConfig:
    """The configuration in a file; None, or a default file that is not there, is all defaults."""
    if path is None:
        return ClusterConfig()
    try:
        return parse_config(path.read_text(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8; write the configuration as YAML") from error


def check_numbers(shape: Any, path: str = "") -> Iterator[str]:
    """What holds for every number of every package: none is negative, a port is one, and where zero is not the
    default (there it means automatic or none) it is no amount either, but for the few that say so.
    """
    for field in msgspec.structs.fields(shape):
        value, place = getattr(shape, field.name), f"{path}{field.encode_name}"
        if isinstance(value, msgspec.Struct):
            yield from check_numbers(value, f"{place}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low = 0 if field.default == 0 or field.name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 0.001
            high = 65_535 if field.name == "port" or field.name.endswith("_port") else _NUMBER_MAX
            if not low <= value <= high:
                yield f"{place}: between {low} and {high}, not {value}"


def _explain(message: str) -> str:
    """msgspec's words, with the fields that the struct at that path does have when one is unknown."""
    what, _, path = message.partition(" - at `$")
    place = path.rstrip("`").lstrip(".")
    if "unknown field" not in what:
        return f"{place or 'the top level'}: {what[:1].lower()}{what[1:]}; correct this field"
    known = ", ".join(_fields_at(place.split(".") if place else []))
    return f"{what[:1].lower()}{what[1:]} under {place or 'the top level'}; the fields there are {known}"


def _fields_at(path: list[str]) -> list[str]:
    shape: Any = ClusterConfig
    for part in path:
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
        shape = fields.get(part)
        if not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
            return ["described in the documentation of the configuration"]
    return [field.encode_name for field in msgspec.structs.fields(shape)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
