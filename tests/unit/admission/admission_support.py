"""Steps that do as they are told, and the store that they stand before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actors.admission.chain import Chain
from actors.admission.request import Origin, Place, Request
from actors.admission.step import Rounds
from actors.api.codec import Object, decode
from actors.api.key import Key, Stored
from actors.reconcile.actions import Create, Reply, StoreWrite
from actors.store.ids import SeededIds
from actors.store.local import LocalStore

NOW = 1_795_428_000_000
USER = {"username": "ann", "groups": ["system:authenticated"]}


class Told:
    """Sees what `wants` says, remembers it, and does `act`."""

    resources: tuple[str, ...] = ("configmaps",)

    def __init__(
        self,
        wants: Callable[[Place], bool] = lambda place: True,
        act: Callable[[Request], Awaitable[Request] | Request | None] | None = None,
    ) -> None:
        self._wants, self._act = wants, act
        self.seen: list[Request] = []
        self.configured: list[Mapping[Key, Stored]] = []

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        self.configured.append(objects)

    def may_want(self, place: Place) -> bool:
        return self._wants(place)

    async def mutate(self, request: Request, rounds: Rounds) -> Request:
        self.seen.append(request)
        return await self._told(request) or request

    async def validate(self, request: Request) -> None:
        self.seen.append(request)
        await self._told(request)

    async def _told(self, request: Request) -> Request | None:
        result: Any = self._act(request) if self._act else None
        return await result if isinstance(result, Awaitable) else result


def new_store() -> LocalStore:
    return LocalStore(ids=SeededIds(1), clock=lambda: NOW)


async def submit(chain: Chain, *writes: StoreWrite) -> list[Reply]:
    return await chain.submit(writes, [Origin(USER)] * len(writes))


async def one(chain: Chain, write: StoreWrite) -> Object:
    """What is stored now. Fails where the write is refused."""
    reply = (await submit(chain, write))[0]
    assert reply.error is None, reply.error
    assert reply.stored is not None
    return decode(reply.stored)


def config_map(name: str = "m", **data: str) -> Create:
    metadata = {"name": name} if name else {"generateName": "made-"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return Create(resource="configmaps", namespace="default", object=obj, manager="ann-cli")


def labelled(request: Request, **labels: str) -> Request:
    assert request.object is not None
    metadata = request.object["metadata"]
    known = metadata.get("labels") or {}
    return request.with_object({**request.object, "metadata": {**metadata, "labels": {**known, **labels}}})
