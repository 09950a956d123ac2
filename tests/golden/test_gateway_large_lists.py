"""Lists that are sent while they are made: the same text as ever, in chunks, compressed for whom accepts it."""

from __future__ import annotations

import gzip
import json

from gateway_wire import Wire

MAPS = "/api/v1/namespaces/default/configmaps"
COUNT = 12
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def filled() -> Wire:
    wire = Wire()
    for number in range(COUNT):
        body = {"metadata": {"name": f"m{number:02}"}, "data": {"value": f"{number}" * 150_000}}
        assert (await wire.ask("POST", MAPS, body)).code == 201
    return wire


async def test_a_large_list_comes_in_pieces() -> None:
    wire = await filled()
    raw = await wire.open("GET", MAPS).wait(lambda raw: raw.endswith(b"0\r\n\r\n"))
    head = raw.partition(b"\r\n\r\n")[0]
    assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
    sizes = [int(line, 16) for line in raw.split(b"\r\n") if 3 < len(line) < 8 and line.isalnum()]
    assert len(sizes) > 4 and max(sizes) < 600_000, "no piece holds much more than it must"
    answer = await wire.ask("GET", MAPS)
    assert [item["metadata"]["name"] for item in answer.json["items"]] == [f"m{n:02}" for n in range(COUNT)]
    assert [item["data"]["value"] for item in answer.json["items"]] == [f"{n}" * 150_000 for n in range(COUNT)]
    assert int(answer.json["metadata"]["resourceVersion"]) == wire.store.revision


async def test_compressed_it_is_the_same() -> None:
    wire = await filled()
    plain, packed = await wire.ask("GET", MAPS), await wire.ask("GET", MAPS, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"
    assert len(packed.body) < len(plain.body) // 10
    assert gzip.decompress(packed.body) == plain.body


async def test_tables_and_small_lists_too() -> None:
    wire = await filled()
    table = json.loads((await wire.ask("GET", MAPS, Accept=TABLE)).body)
    assert [row["cells"][0] for row in table["rows"]] == [f"m{n:02}" for n in range(COUNT)]
    small = await wire.ask("GET", f"{MAPS}?limit=2")
    assert "Transfer-Encoding" not in small.headers and len(small.json["items"]) == 2
