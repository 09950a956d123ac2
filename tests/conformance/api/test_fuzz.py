"""Anything at all, over the wire: bodies, patches, selectors, tokens. Every answer is a Status or a success, none is a
5xx, none takes more than its size is worth, and the gateway has failed inside of none (the `served` fixture looks at the end).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from api_client import PATCHES, config_map
from gateway_server import RunningGateway, deployment, pod
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line import Line

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WEB = "/apis/apps/v1/namespaces/default/deployments/fuzzed"
FUZZ = settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "\x00", "\ud7ff", "a" * 300, "..", "metadata", "name", "$patch", "null", "0", "-1"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@pytest.fixture(scope="module")
def line(served: RunningGateway) -> Iterator[Line]:
    line = Line(served)
    line.ask("POST", MAPS, json.dumps(config_map("fuzzed", x="1")).encode())
    line.ask("POST", "/apis/apps/v1/namespaces/default/deployments", json.dumps(deployment("fuzzed")).encode())
    return line


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _grafted(value: Any, path: list[str], graft: Any) -> Any:
    """`value` with `graft` somewhere inside it."""
    if not path or not isinstance(value, dict):
        return graft
    return {**value, path[0]: _grafted(value.get(path[0]), path[1:], graft)}


PLACES = st.sampled_from(
    [
        ["metadata"],
        ["metadata", "labels"],
        ["metadata", "annotations", "x"],
        ["metadata", "finalizers"],
        ["metadata", "ownerReferences"],
        ["metadata", "managedFields"],
        ["metadata", "resourceVersion"],
        ["spec"],
        ["spec", "containers"],
        ["spec", "volumes"],
        ["spec", "tolerations"],
        ["spec", "affinity"],
        ["spec", "template", "spec", "containers"],
        ["spec", "selector"],
        ["spec", "replicas"],
        ["status"],
        ["data"],
        ["kind"],
        ["extra"],
    ]
)


@FUZZ
@given(place=PLACES, graft=JSON, validation=st.sampled_from(["", "?fieldValidation=Strict", "?dryRun=All"]))
def test_objects_with_anything_somewhere(line: Line, place: list[str], graft: Any, validation: str) -> None:
    for path, base in (
        (PODS, pod("fuzz")),
        (MAPS, config_map("fuzz", a="b")),
        (WEB.rsplit("/", 1)[0], deployment("fuzz")),
    ):
        code = line.ask("POST", path + validation, _encoded(_grafted(base, place, graft)))
        if code == 201 and not validation:
            line.ask("DELETE", f"{path}/fuzz")
            line.ask("PATCH", f"{path}/fuzz", b'{"metadata":{"finalizers":null}}', PATCHES["merge"])


@FUZZ
@given(
    kind=st.sampled_from(["merge", "strategic", "apply"]),
    place=PLACES,
    graft=JSON,
    subresource=st.sampled_from(["", "/status", "/scale"]),
)
def test_patches_with_anything_somewhere(line: Line, kind: str, place: list[str], graft: Any, subresource: str) -> None:
    base = {"metadata": {"name": "fuzzed"}} if kind == "apply" else {}
    body = _encoded(_grafted(base, place, graft))
    query = "?fieldManager=fuzz&force=true" if kind == "apply" else ""
    line.ask("PATCH", WEB + subresource + query, body, PATCHES[kind])
    line.ask("PATCH", f"{MAPS}/fuzzed{query}", body, PATCHES[kind])


POINTERS = st.lists(
    st.sampled_from(["metadata", "spec", "labels", "containers", "0", "-", "template", "x", "~", "~2", ""]), max_size=5
).map(lambda parts: "".join(f"/{part}" for part in parts))
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | TEXT, "path": POINTERS | TEXT},
        optional={"from": POINTERS | TEXT, "value": JSON},
    )
    | JSON,
    max_size=6,
)


@FUZZ
@given(operations=OPERATIONS | JSON)
def test_json_patches_of_anything(line: Line, operations: Any) -> None:
    for path in (WEB, f"{MAPS}/fuzzed"):
        line.ask("PATCH", f"{path}?dryRun=All", _encoded(operations), PATCHES["json"])


@FUZZ
@given(
    labels=st.text(alphabet="abin ot=!(),<>/.-_\t\x00é", max_size=30) | TEXT,
    fields=st.text(alphabet="metadata.nspcec=!,\\ \x00", max_size=30) | TEXT,
    revision=TEXT | st.integers().map(str),
    limit=TEXT | st.integers().map(str),
    flags=st.lists(
        st.sampled_from(
            [
                "watch=1&timeoutSeconds=1",
                "sendInitialEvents=true",
                "allowWatchBookmarks=",
                "pretty=true",
                "resourceVersionMatch=Exact",
                "resourceVersionMatch=NotOlderThan",
            ]
        ),
        max_size=2,
    ),
)
def test_queries_of_anything(line: Line, labels: str, fields: str, revision: str, limit: str, flags: list[str]) -> None:
    parts = [f"labelSelector={quote(labels)}", f"fieldSelector={quote(fields)}", f"resourceVersion={quote(revision)}"]
    if not any(flag.startswith("watch") for flag in flags):
        line.ask("GET", f"{MAPS}?{'&'.join([*parts, *flags, 'limit=' + quote(limit)])}")
        line.ask("DELETE", f"/api/v1/namespaces/default/secrets?dryRun=All&{'&'.join(parts[:2])}")
    else:
        line.ask("GET", f"{MAPS}?{'&'.join([parts[0], parts[1], 'resourceVersion=x', *flags])}")


TOKENS = TEXT | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
TOKENS |= JSON.map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode("utf-8", "replace")).decode())
TOKENS |= st.tuples(st.integers(), st.tuples(TEXT, TEXT, TEXT)).map(
    lambda cursor: base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")
)


@FUZZ
@given(token=TOKENS, limit=st.sampled_from(["", "1", "500"]))
def test_continue_tokens_of_anything(line: Line, token: str, limit: str) -> None:
    assert line.ask("GET", f"{MAPS}?limit={limit}&continue={quote(token)}") in (200, 400, 410)


YAML = st.text(alphabet="ab:-{}[],&*!|>'\"\n \t#%@`~0\x00é", max_size=60)


@FUZZ
@given(text=YAML)
def test_yaml_of_anything(line: Line, text: str) -> None:
    body = f"metadata:\n  name: fuzz\ndata: {text}".encode()
    line.ask("POST", f"{MAPS}?dryRun=All", body, "application/yaml")
    line.ask("PATCH", f"{MAPS}/fuzzed?dryRun=All&fieldManager=f", text.encode(), PATCHES["apply"])


BOMBS = {
    "aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (n + 1, n + 1, *[n] * 7) for n in range(97, 110)),
    "deep flow": b"[" * 100_000,
    "deep blocks": b"".join(b" " * at + b"a:\n" for at in range(1_500)),
    "many keys": b"".join(b"k%d: 1\n" % at for at in range(60_000)),
    "long number": b"a: " + b"9" * 100_000,
    "tags": b"!!python/object/apply:os.system ['true']",
    "anchors": b"".join(b"- &a%d x\n" % at for at in range(50_000)),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_yaml_bombs(line: Line, name: str) -> None:
    assert line.ask("POST", f"{MAPS}?dryRun=All", BOMBS[name], "application/yaml") in (400, 413, 422)


def _large(kind: str) -> tuple[str, bytes, str]:
    many = range(40_000)
    finalizers = [f"a.io/{at}" for at in many]
    bodies: dict[str, tuple[str, Any, str]] = {
        "a set": ("strategic", {"metadata": {"finalizers": finalizers}}, ""),
        "a removal": ("strategic", {"metadata": {"$deleteFromPrimitiveList/finalizers": finalizers}}, ""),
        "an order": (
            "strategic",
            {"metadata": {"finalizers": finalizers, "$setElementOrder/finalizers": finalizers}},
            "",
        ),
        "a keyed list": (
            "strategic",
            {"spec": {"template": {"spec": {"containers": [{"name": f"c{at}"} for at in many]}}}},
            "",
        ),
        "an applied set": (
            "apply",
            {"metadata": {"name": "fuzzed", "finalizers": finalizers}},
            "?fieldManager=f&force=1",
        ),
        "an applied map": (
            "apply",
            {"metadata": {"name": "fuzzed"}, "data": {f"k{at}": "" for at in many}},
            "?fieldManager=f&force=1",
        ),
        "operations": (
            "json",
            [
                {"op": "add", "path": "/metadata/labels", "value": {}},
                *({"op": "add", "path": f"/metadata/labels/k{at}", "value": "v"} for at in range(9_999)),
            ],
            "",
        ),
        "copies": ("json", [{"op": "copy", "from": "", "path": "/metadata/annotations"} for _ in range(9_000)], ""),
    }
    patch, body, query = bodies[kind]
    return PATCHES[patch], _encoded(body), query


@pytest.mark.parametrize(
    "kind",
    ["a set", "a removal", "an order", "a keyed list", "an applied set", "an applied map", "operations", "copies"],
)
def test_large_patches_take_no_more_than_their_size(line: Line, kind: str) -> None:
    media, body, query = _large(kind)
    for path in (WEB, f"{MAPS}/fuzzed"):
        line.ask("PATCH", path + (query or "?") + "&dryRun=All", body, media)
    if kind == "an applied map":
        line.ask("PATCH", f"{MAPS}/fuzzed{query}", body, media)
        line.ask("PATCH", f"{MAPS}/fuzzed{query}", b'{"metadata":{"name":"fuzzed"}}', media)
