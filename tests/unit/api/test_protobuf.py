"""Bodies as kubectl sends them, built by a small encoder from the same numbers, plus the traps of KUBERNETES' messages."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from actors.api import protobuf
from actors.api.errors import BadRequest
from actors.api.kinds import KINDS
from actors.api.schema import definition, definition_name


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def piece(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = piece(1, api_version.encode()) + piece(2, kind.encode())
    return protobuf.MAGIC + piece(1, type_meta) + piece(2, raw) + piece(3, b"") + piece(4, b"")


def test_a_configmap() -> None:
    time = piece(8, b"")
    labels = piece(11, piece(1, b"a") + piece(2, b"b")) + piece(11, piece(1, b"empty") + piece(2, b""))
    metadata = piece(1, piece(1, b"name") + piece(2, b"") + number(7, 0) + time + labels)
    raw = metadata + piece(2, piece(1, b"k") + piece(2, b"v")) + piece(3, piece(1, b"bin") + piece(2, b"\xff"))
    assert protobuf.decode(body("v1", "ConfigMap", raw)) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "name", "labels": {"a": "b", "empty": ""}},
        "data": {"k": "v"},
        "binaryData": {"bin": base64.b64encode(b"\xff").decode()},
    }


def test_pointers_keep_their_zero_and_the_rest_loses_it() -> None:
    surge = piece(2, piece(2, number(1, 0) + number(2, 25) + piece(3, b"")))
    unavailable = piece(2, piece(1, number(1, 1) + number(2, 0) + piece(3, b"25%")))
    strategy = piece(4, piece(1, b"") + surge) + piece(4, unavailable)
    spec = piece(2, number(1, 0) + number(5, 0) + number(7, 0) + strategy)
    decoded = protobuf.decode(body("apps/v1", "Deployment", spec))
    assert decoded["spec"]["replicas"] == 0
    assert "minReadySeconds" not in decoded["spec"] and "paused" not in decoded["spec"]
    assert decoded["spec"]["strategy"] == {"rollingUpdate": {"maxUnavailable": "25%"}}


def test_times_quantities_and_negative_numbers() -> None:
    stamp = piece(8, number(1, 1_795_428_000) + number(2, 5))
    resources = piece(8, piece(1, piece(1, b"cpu") + piece(2, piece(1, b"500m"))))
    container = piece(2, piece(1, b"c") + piece(2, b"i") + resources)
    spec = piece(2, container + number(4, 30) + number(25, -5))
    pod = protobuf.decode(body("v1", "Pod", piece(1, piece(1, b"p") + stamp) + spec))
    assert pod["metadata"]["creationTimestamp"] == "2026-11-23T10:00:00Z"
    assert pod["spec"]["containers"] == [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "500m"}}}]
    assert pod["spec"]["priority"] == -5


def test_delete_options_and_reviews() -> None:
    raw = number(1, 0) + piece(2, piece(1, b"uid")) + piece(4, b"Foreground") + piece(5, b"All")
    assert protobuf.decode(body("v1", "DeleteOptions", raw)) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid"},
        "propagationPolicy": "Foreground",
        "dryRun": ["All"],
    }
    attributes = piece(1, piece(2, b"get") + piece(5, b"pods"))
    review = protobuf.decode(body("authorization.k8s.io/v1", "SelfSubjectAccessReview", piece(2, attributes)))
    assert review["spec"] == {"resourceAttributes": {"verb": "get", "resource": "pods"}}


def test_unknown_fields_are_skipped_whatever_their_wire_type() -> None:
    unknown = varint(900 << 3 | 5) + b"1234" + varint(901 << 3 | 1) + b"12345678" + number(902, 7) + piece(903, b"x")
    assert protobuf.decode(body("v1", "Secret", unknown)) == {"kind": "Secret", "apiVersion": "v1"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        body("v1", "Nope", b""),
        body("v1", "Pod", b"\x0a\x05"),
        body("v1", "Pod", b"\x0b"),
        body("v1", "Pod", b"\x80" * 20),
        body("v1", "Pod", number(1, 5)),
        body("v1", "Pod", piece(1, piece(1, b"\xff"))),
        body("v1", "Pod", piece(1, piece(8, number(1, 2**62)))),
    ],
)
def test_malformed(text: bytes) -> None:
    with pytest.raises(BadRequest):
        protobuf.decode(text)


def test_messages_that_hold_themselves_have_an_end() -> None:
    schema = b""
    for _ in range(2000):
        schema = piece(28, schema)
    version = piece(7, piece(4, piece(1, schema)))
    with pytest.raises(BadRequest, match="nested too deep"):
        protobuf.decode(body("apiextensions.k8s.io/v1", "CustomResourceDefinition", piece(2, version)))


def test_embedded_structs_are_part_of_what_holds_them() -> None:
    config = piece(19, piece(1, piece(1, b"settings")))
    volume = piece(1, b"v") + piece(2, config)
    pod = protobuf.decode(body("v1", "Pod", piece(2, piece(1, volume))))
    assert pod["spec"]["volumes"] == [{"name": "v", "configMap": {"name": "settings"}}]


def test_an_ingress_and_an_admission_rule() -> None:
    """Two and three structs embedded in each other."""
    backend = piece(1, piece(1, b"svc"))
    http = piece(2, piece(1, piece(1, piece(1, b"/") + piece(2, backend))))
    ingress = protobuf.decode(body("networking.k8s.io/v1", "Ingress", piece(2, piece(3, piece(1, b"h") + http))))
    assert ingress["spec"]["rules"][0].keys() == {"host", "http"}
    rule = piece(2, piece(1, b"CREATE") + piece(2, piece(1, b"") + piece(3, b"pods")))
    matched = piece(2, piece(2, piece(3, rule)))
    policy = protobuf.decode(body("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", matched))
    assert policy["spec"]["matchConstraints"]["resourceRules"] == [
        {"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"]}
    ]


def test_json_inside_protobuf_and_doubles() -> None:
    data = piece(2, piece(1, b'{"spec": [1]}'))
    revision = protobuf.decode(body("apps/v1", "ControllerRevision", data + number(3, 7)))
    assert revision["data"] == {"spec": [1]} and revision["revision"] == 7
    maximum = b"\x49" + struct.pack("<d", 2.5)
    items = piece(24, piece(1, piece(5, b"string")))
    version = piece(7, piece(4, piece(1, maximum + items + piece(30, number(1, 1)) + piece(8, piece(1, b"[1]")))))
    crd = protobuf.decode(body("apiextensions.k8s.io/v1", "CustomResourceDefinition", piece(2, version)))
    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "maximum": 2.5,
        "items": {"type": "string"},
        "additionalProperties": True,
        "default": [1],
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource)
def test_every_field_on_the_wire_is_one_of_the_schema(kind: Any) -> None:
    name = definition_name(kind.api_version, kind.kind)
    found = definition(name)
    assert found is not None
    assert {field.name for field in protobuf._messages()[name].values() if field.name != "."} <= set(found.fields)
