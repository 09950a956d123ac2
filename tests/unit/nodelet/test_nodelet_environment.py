from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.api.pod import Container, Pod
from actors.nodelet.configuration import ConfigMissing, ConfigView, config_keys
from actors.nodelet.environment import Downward, derive_environment, expand


def stored(resource: str, name: str, data: dict[str, str], **more: Any) -> tuple[Key, Stored]:
    key = Key(resource, "default", name)
    body = encode({"metadata": {"name": name, "namespace": "default"}, "data": data, **more})
    return key, Stored(key, 7, 7, f"uid-{name}", body)


CONFIG = ConfigView(
    "default",
    dict(
        [
            stored("configmaps", "settings", {"colour": "blue", "bad=name": "x"}),
            stored("secrets", "keys", {"token": "czNjcmV0"}),
            (Key("configmaps", "default", "absent"), None),
        ]
    ),
)
POD = msgspec.convert(
    {
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": "u1",
            "labels": {"app": "web", "tier": 'a"b'},
            "annotations": {"note": "hi"},
        },
        "spec": {"serviceAccountName": "default", "containers": [{"name": "main"}]},
    },
    Pod,
)
DOWNWARD = Downward(
    POD, node_name="n1", host_ip="10.0.0.1", pod_ips=("10.1.0.2",), allocatable={"cpu": 4_000, "memory": 1 << 30}
)


def environment(*env: dict[str, Any], env_from: tuple[dict[str, Any], ...] = (), **fields: Any) -> dict[str, str]:
    container = msgspec.convert({"name": "main", "env": env, "envFrom": env_from, **fields}, Container)
    return derive_environment(container, CONFIG, DOWNWARD, {"KUBERNETES_SERVICE_HOST": "10.0.0.9"})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
    ],
)
def test_expansion_is_kubernetes_own(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_later_variables_see_earlier_ones_and_win() -> None:
    values = environment({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "A", "value": "$(B)3"})
    assert (values["A"], values["B"]) == ("123", "12")
    assert values["KUBERNETES_SERVICE_HOST"] == "10.0.0.9"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "n1"),
        ("status.podIP", "10.1.0.2"),
        ("status.hostIP", "10.0.0.1"),
        ("metadata.labels", 'app="web"\ntier="a\\"b"'),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert DOWNWARD.field(path) == value


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ({"resource": "limits.cpu"}, "1"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "500"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.memory"}, str(1 << 30)),
        ({"resource": "requests.ephemeral-storage"}, "0"),
    ],
)
def test_resources_are_rounded_up_and_default_to_the_node(ref: dict[str, str], value: str) -> None:
    resources = {"limits": {"cpu": "500m"}, "requests": {"memory": "64Mi"}}
    values = environment({"name": "R", "valueFrom": {"resourceFieldRef": ref}}, resources=resources)
    assert values["R"] == value


def test_config_maps_and_secrets() -> None:
    values = environment(
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "k", "optional": True}}},
        env_from=({"prefix": "P_", "configMapRef": {"name": "settings"}},),
    )
    assert (values["C"], values["S"], values["P_colour"]) == ("blue", "s3cret", "blue")
    assert "O" not in values
    assert not any("=" in name for name in values)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "absent", "key": "k"}}, 'configmap "absent" not found'),
        ({"configMapKeyRef": {"name": "settings", "key": "k"}}, "couldn't find key k in configmap default/settings"),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"fieldRef": {"fieldPath": "spec.unknown"}}, 'unsupported fieldPath "spec.unknown"'),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigMissing, match=words):
        environment({"name": "X", "valueFrom": source})


def test_every_config_that_a_pod_names_is_found() -> None:
    pod = msgspec.convert(
        {
            "metadata": {"namespace": "ns"},
            "spec": {
                "containers": [
                    {"name": "a", "envFrom": [{"secretRef": {"name": "s1"}}]},
                    {"name": "b", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}}]},
                ],
                "imagePullSecrets": [{"name": "s2"}],
                "volumes": [
                    {"name": "v", "secret": {"secretName": "s3"}},
                    {
                        "name": "w",
                        "projected": {"sources": [{"configMap": {"name": "c2"}}, {"secret": {"name": "s4"}}]},
                    },
                ],
            },
        },
        Pod,
    )
    assert [(key.resource, key.name) for key in config_keys(pod)] == [
        ("configmaps", "c1"),
        ("configmaps", "c2"),
        ("secrets", "s1"),
        ("secrets", "s2"),
        ("secrets", "s3"),
        ("secrets", "s4"),
    ]
