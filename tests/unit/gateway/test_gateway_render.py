from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.api.kinds import CONFIG_MAP, POD
from actors.gateway import render
from actors.gateway.call import format_warning
from actors.gateway.media import Form


def stored(obj: dict[str, Any], revision: int = 7) -> Stored:
    key = Key("configmaps", "default", obj["metadata"].get("name", ""))
    return Stored(key, revision, revision, "uid", encode(obj))


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(min_size=1), json_values, max_size=3), max_size=3))
def test_lists_are_joined_from_bytes(bodies: list[dict[str, Any]]) -> None:
    items = [{**body, "metadata": {"name": f"n{i}"}} for i, body in enumerate(bodies)]
    text = b"".join(render.list_chunks(CONFIG_MAP, map(stored, items), render.list_metadata(9, "go-on", 3)))
    told = json.loads(text)
    assert (told["kind"], told["apiVersion"]) == ("ConfigMapList", "v1")
    assert told["metadata"] == {"resourceVersion": "9", "continue": "go-on", "remainingItemCount": 3}
    expected = [{**item, "metadata": {**item["metadata"], "resourceVersion": "7"}} for item in items]
    assert told["items"] == expected


def test_tables_rows_and_what_they_include() -> None:
    item = stored(config_map("a", k="v"))
    for include, expected in (
        (render.INCLUDE_NONE, None),
        (render.INCLUDE_METADATA, "PartialObjectMetadata"),
        (render.INCLUDE_OBJECT, "ConfigMap"),
    ):
        table = json.loads(render.table_bytes(CONFIG_MAP, [item], {}, 0, include=include))
        (row,) = table["rows"]
        assert row["cells"] == ["a", "1", "<unknown>"]
        assert (row["object"] or {}).get("kind") == expected


def test_an_object_that_no_printer_can_read_spoils_only_its_row() -> None:
    broken = stored({"metadata": {"name": "b", "creationTimestamp": "never"}, "spec": {"containers": 5}})
    table = json.loads(render.table_bytes(POD, [broken], {}, 0))
    assert table["rows"][0]["cells"] == ["b", *["<invalid>"] * 8]


def test_yaml_and_metadata() -> None:
    item = stored(config_map("a", k="é"))
    assert "k: é" in render.single(CONFIG_MAP, item, Form.YAML, 0, "Metadata").decode()
    partial = json.loads(render.single(CONFIG_MAP, item, Form.METADATA, 0, "Metadata"))
    assert partial["metadata"] == {"name": "a", "resourceVersion": "7"}
    listed = json.loads(b"".join(render.collection(CONFIG_MAP, [item], {}, Form.METADATA, 0, "Metadata")))
    assert (listed["kind"], listed["items"]) == ("PartialObjectMetadataList", [partial])


def test_warnings_cannot_break_out_of_their_header() -> None:
    assert format_warning('a "b" \\ \r\nX: y é') == '299 - "a \\"b\\" \\\\ ??X: y ?"'
    assert 4_000 < len(format_warning("x" * 10_000)) < 4_200
