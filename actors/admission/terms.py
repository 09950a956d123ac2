"""Writes of custom resources in the terms of a version that is not the stored one.

The store knows one version of a resource. A write in another is decided here by the store's own rules (defaults,
validation, patches, applies, managers: actors/store/admission) as if that other version were the stored one; what comes
of it is converted and committed as a whole, on the condition that the object is still the one that was looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from actors.api.clock import Millis
from actors.api.codec import Object, decode, encode
from actors.api.conversion import written_version
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.crd.kinds import CustomKind, with_storage
from actors.api.errors import ApiError, BadRequest, Conflict, NotFound
from actors.api.key import Key, Stored
from actors.api.kinds import NAMESPACE, Kind
from actors.reconcile.actions import Amended, Create, Delete, Patch, Reply, StoreWrite, Update
from actors.remote.conversion import Converter, by_webhook
from actors.store.admission import Context, Keep, Outcome, admit
from actors.store.admission.plugin import Plugins
from actors.store.admission.twins import Twins
from actors.store.ids import RandomIds
from actors.store.port import StorePort

_ATTEMPTS = 8
_MALFORMED = (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)
_NO_PLUGINS = Plugins(())


def read_clock() -> Millis:
    return time.time_ns() // 1_000_000


def needs_terms(kind: Kind | None) -> bool:
    """Whether a write in these terms may need more than the store: whatever is not of the stored version; and all,
    where what is still stored in an earlier one takes a webhook to read."""
    return isinstance(kind, CustomKind) and (bool(kind.stored_as) or by_webhook(kind))


class Terms:
    """Commits a write as its client worded it."""

    def __init__(self, store: StorePort, converter: Converter, clock: Callable[[], Millis] = read_clock) -> None:
        self._store, self._converter, self._clock, self._ids = store, converter, clock, RandomIds()

    async def commit(self, write: StoreWrite, kind: CustomKind, key: str = "") -> Reply:
        """Again, as long as others change the object meanwhile and the client has not said which one it means."""
        for _ in range(_ATTEMPTS):
            reply = await self._attempt(write, kind, key)
            if reply is not None:
                return reply
        raise Conflict("the object is changed by others faster than it can be converted; please try again")

    async def _attempt(self, write: StoreWrite, kind: CustomKind, key: str) -> Reply | None:
        """None: the object has changed meanwhile."""
        if isinstance(write, Delete):
            return await self._plain(write, key)
        live = None if isinstance(write, Create) else await self._find(write.key)
        if not kind.stored_as and (live is None or written_version(live) == kind.api_version):
            return await self._plain(write, key)
        try:
            outcome = await self._decide(write, kind, live)
            if isinstance(outcome, Keep):
                return Reply(stored=live, changed=False)
            obj = (await self._converter.convert([outcome.object], _stored(kind)))[0]
        except ApiError as error:
            return Reply(error=error.to_status(), changed=False)
        except _MALFORMED as error:
            refusal = BadRequest(f"the request cannot be read as what it should be: {type(error).__name__}: {error}")
            return Reply(error=refusal.to_status(), changed=False)
        reply = await self._plain(_whole(write, outcome.key, obj, live), key)
        return None if write.amended is None and _is_late(write, reply) else reply

    async def _plain(self, write: StoreWrite, key: str) -> Reply:
        return (await self._store.commit([write], key))[0]

    async def _find(self, key: Key) -> Stored | None:
        try:
            return await self._store.get(key)
        except NotFound:
            return None

    async def _decide(self, write: Create | Update | Patch, kind: CustomKind, live: Stored | None) -> Outcome:
        """What the store would make of the write if `kind` were what it stores. Raises ApiError."""
        known: dict[Key, Stored | None] = {}
        definition = Key(DEFINITIONS, "", kind.resource)
        stored = await self._find(definition)
        if stored is not None:
            known[definition] = replace(stored, body=with_storage(stored.body, kind.version))
        namespace = write.namespace if isinstance(write, Create) else write.key.namespace
        if namespace:
            there = Key(NAMESPACE.resource, "", namespace)
            known[there] = await self._find(there)
        if live is not None:
            known[live.key] = replace(live, body=encode(await self._shown(decode(live), kind)))
        if write.amended is not None and write.amended.object is not None:
            write = replace(write, amended=replace(write.amended, object=await self._shown(write.amended.object, kind)))
        context = Context(known.get, lambda resource, namespace: (), self._clock(), self._ids, _NO_PLUGINS, Twins())
        return admit(write, context)

    async def _shown(self, obj: Object, kind: CustomKind) -> Object:
        return (await self._converter.convert([obj], kind))[0]


def _stored(kind: CustomKind) -> CustomKind:
    storage = kind.storage
    assert isinstance(storage, CustomKind)
    return storage


def _is_late(write: StoreWrite, reply: Reply) -> bool:
    """Whether others have written between the look and the commit: also a name that was to be made is then taken."""
    reason = (reply.error or {}).get("reason")
    if isinstance(write, Create):
        return reason == "AlreadyExists" and not (write.object.get("metadata") or {}).get("name")
    return reason in ("Conflict", "AlreadyExists")


def _whole(write: Create | Update | Patch, key: Key, obj: Object, live: Stored | None) -> StoreWrite:
    """The decided object as the store is to take it."""
    asked: dict[str, Any] = {
        "dry_run": write.dry_run,
        "draft": write.draft,
        "manager": write.manager,
        "user": write.user,
    }
    if live is None:
        amended = Amended(obj, 0, whole=True)
        return Create(resource=key.resource, namespace=key.namespace, object=obj, amended=amended, **asked)
    obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(live.revision)}}
    amended = Amended(obj, live.revision, whole=True)
    subresource = "status" if not isinstance(write, Create) and write.subresource == "status" else ""
    return Update(key=key, object=obj, subresource=subresource, amended=amended, **asked)
