"""Many objects in few requests: `AsyncCluster.create_many` and `run_many`, over POST /apis/raypod.io/v1/batch."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from raypod.api import ApiClient
from raypod.errors import ApiError, error_from_status

Object = dict[str, Any]

_PATH = "/apis/raypod.io/v1/batch"
#: One request holds no more, and so many requests are under way: the server reads one while it commits the other.
_ITEMS_MAX = 500
_BYTES_MAX = 8 << 20
_AT_ONCE = 3
_TIMEOUT_SECONDS = 120.0


async def create_many(
    api: ApiClient, objects: Sequence[tuple[str, Object]], *, whole: bool = False
) -> list[Object | ApiError]:
    """Create each (path of its collection, object). What became of each, in order: the object (`whole`), or only its
    name, namespace, uid and resourceVersion under `metadata`; or why it was refused."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def send(items: list[bytes]) -> list[Object | ApiError]:
        async with gate:
            return await _send(api, items, "Object" if whole else "Identity")

    answers = await asyncio.gather(*(send(items) for items in _requests(objects)))
    return [result for answer in answers for result in answer]


def _requests(objects: Sequence[tuple[str, Object]]) -> Iterator[list[bytes]]:
    """Encoded items, as many as fit into one request."""
    items: list[bytes] = []
    size = 0
    for path, obj in objects:
        item = msgspec.json.encode({"method": "POST", "path": f"{path}?fieldManager=raypod", "body": obj})
        if items and (len(items) >= _ITEMS_MAX or size + len(item) > _BYTES_MAX):
            yield items
            items, size = [], 0
        items.append(item)
        size += len(item)
    if items:
        yield items


async def _send(api: ApiClient, items: list[bytes], returns: str) -> list[Object | ApiError]:
    head = b'{"kind":"Batch","apiVersion":"raypod.io/v1","returns":"%s","items":[' % returns.encode()
    body = head + b",".join(items) + b"]}"
    told = await api.request("POST", _PATH, body=body, repeat_key=uuid.uuid4().hex, timeout_seconds=_TIMEOUT_SECONDS)
    return [item["object"] if item["code"] < 400 else error_from_status(item["object"]) for item in told["items"]]
