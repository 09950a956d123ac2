"""Another server's document: only its own part is taken, and only one that can be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.gateway import openapi
from actors.gateway.openapi.gnostic_v2 import encode_v2
from actors.gateway.openapi.merging import merged, part_of

PATH = "/apis/a.example.com/v1"


def document(**changes: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"next": {"$ref": "#/definitions/A"}}}
    answered = {"200": {"description": "OK", "schema": {"$ref": "#/definitions/A"}}}
    return {"paths": {f"{PATH}/as": {"get": {"responses": answered}}}, "definitions": {"A": schema}, **changes}


def part(found: dict[str, Any]) -> Any:
    return json.loads(part_of(json.dumps(found).encode(), PATH) or b"null")


def test_what_refers_to_itself_is_taken_once() -> None:
    assert part(document()) == document()


def test_nothing_of_others() -> None:
    paths = {**document()["paths"], "/apis/a.example.com/v10/bs": {}, "/api/v1/pods": {"get": {}}}
    found = part(document(paths=paths, definitions={**document()["definitions"], "Unused": {"type": "object"}}))
    assert found == document()


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {},
        {"paths": []},
        document(definitions={}),
        document(definitions={"A": []}),
        document(definitions={"A": {"properties": []}}),
        document(definitions={"A": {"maximum": "x"}}),
        document(paths={f"{PATH}/as": {"get": {"parameters": [{"$ref": "#/parameters/none"}]}}}),
        document(paths={f"{PATH}/as": {"get": {"parameters": ["x"]}}}),
        document(paths={f"{PATH}/as": []}),
    ],
)
def test_what_is_no_document_is_not_taken(bad: Any) -> None:
    assert part(bad) is None


def test_the_same_under_one_name_and_what_differs_under_two() -> None:
    ours = openapi.v2_document()
    same = merged(ours, document(definitions={"A": ours["definitions"]["io.k8s.api.core.v1.Pod"]}))
    assert same["definitions"]["A"] == ours["definitions"]["io.k8s.api.core.v1.Pod"]
    twice = merged(merged(ours, document()), document(definitions={"A": {"type": "string"}}))
    assert twice["definitions"]["A_v2"] == {"type": "string"}
    assert twice["definitions"]["A"] == document()["definitions"]["A"]
    assert encode_v2(twice)


def test_paths_of_ours_stay_ours() -> None:
    ours = openapi.v2_document()
    taken = merged(ours, {"paths": {"/api/v1/pods": {}}, "definitions": {}})
    assert taken["paths"]["/api/v1/pods"] == ours["paths"]["/api/v1/pods"]
