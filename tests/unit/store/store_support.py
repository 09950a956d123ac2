"""What the store's unit tests share: an engine with the bootstrap objects, and short ways to write."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object, decode
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, PatchType, Reply, StoreWrite, Update
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds

NOW = 1_700_000_000_000


def new_engine(config: StoreConfig | None = None, backend: MemoryBackend | None = None) -> Engine:
    engine = Engine(backend or MemoryBackend(), SeededIds("unit"), config)
    engine.commit(bootstrap_writes(engine.config), NOW)
    return engine


def new_pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}


class Desk:
    """One engine, one clock; every call answers the reply to one write."""

    def __init__(self, config: StoreConfig | None = None) -> None:
        self.engine = new_engine(config)
        self.now = NOW

    def write(self, write: StoreWrite) -> Reply:
        return self.engine.commit([write], self.now)[0]

    def create(self, resource: str, obj: Object, namespace: str = "default", **more: Any) -> Reply:
        return self.write(Create(resource=resource, namespace=namespace, object=obj, **more))

    def patch(self, key: Key, patch: Any, kind: PatchType = PatchType.MERGE, **more: Any) -> Reply:
        return self.write(Patch(key=key, patch=patch, type=kind, **more))

    def update(self, key: Key, obj: Object, subresource: str = "") -> Reply:
        return self.write(Update(key=key, object=obj, subresource=subresource))

    def delete(self, key: Key, **more: Any) -> Reply:
        return self.write(Delete(key=key, **more))

    def bind(self, key: Key, node: str = "n1", **more: Any) -> Reply:
        return self.patch(key, {"spec": {"nodeName": node}}, subresource="binding", **more)

    def read(self, key: Key) -> Object:
        return decode(self.engine.get(key))

    def is_there(self, key: Key) -> bool:
        return self.engine.log.find(key) is not None


def obj_of(reply: Reply) -> Object:
    assert reply.error is None, reply.error
    assert reply.stored is not None
    return decode(reply.stored)


def error_of(reply: Reply) -> dict[str, Any]:
    assert reply.error is not None, reply.stored
    return reply.error
