"""Writes on their way to the store: those that a step wants to see pass the steps one by one (passage.py), the others
are committed together as they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from actors.admission.feed import ConfigurationFeed
from actors.admission.passage import Steps, passage_of, places_of
from actors.admission.patience import Patience
from actors.admission.request import NOT_ASKED, Origin, Place, Request
from actors.admission.rules import is_exempt
from actors.admission.shapes import OwnShapes, Shapes
from actors.admission.step import MutatingStep, ValidatingStep
from actors.admission.terms import Terms, needs_terms
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.crd.kinds import CustomKind, read_custom
from actors.api.errors import ApiError, Conflict, NotFound
from actors.api.key import Key, Stored
from actors.api.kinds import Kind, is_static, kind_of
from actors.reconcile.actions import Create, Delete, Reply, StoreWrite
from actors.store.port import StorePort

_ATTEMPTS = 8
_TOGETHER_MAX = 32


class Chain:
    """Used within one event loop. `terms` commits what is worded in another version than the stored one."""

    def __init__(
        self,
        store: StorePort,
        mutating: Sequence[MutatingStep] = (),
        validating: Sequence[ValidatingStep] = (),
        shapes: Shapes | None = None,
        terms: Terms | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`patience`: of a caller who has other things to do than to wait; None: each is waited for."""
        self._store = store
        self._terms, self._patience = terms, patience
        self.mutating = tuple(mutating)
        self.validating = tuple(validating)
        self.shapes = shapes or OwnShapes()
        self.feed = ConfigurationFeed(store, (*mutating, *validating))

    def start(self) -> None:
        self.feed.start()

    async def stop(self) -> None:
        await self.feed.stop()
        if self._patience is not None:
            await self._patience.stop()

    @property
    def is_idle(self) -> bool:
        """Whether there is surely no step that wants to see anything."""
        return self.feed.is_idle

    def passes_by(self, kind: Kind | None) -> bool:
        """Whether writes in these terms surely go to the store as they are."""
        return self.is_idle and not needs_terms(kind)

    # --- many writes --------------------------------------------------------------------------------------------

    async def submit(
        self, writes: Sequence[StoreWrite], origins: Sequence[Origin], idempotency_key: str = ""
    ) -> list[Reply]:
        """As StorePort.commit, past the steps; `origins` has one for each write. Neighbours that nobody wants to see
        are one commit; those between them are each on their own, together in time where none can need another."""
        asked = list(zip(writes, origins, strict=True))
        if self.is_idle and all(_is_plain(write, origin) for write, origin in asked):
            return await self._store.commit(writes, idempotency_key)
        await self.feed.wait_ready()
        special = [await self._is_special(write, origin) for write, origin in asked]
        if not any(special):
            return await self._store.commit(writes, idempotency_key)
        replies: list[Reply] = []
        for start, end in _runs(special, writes):
            key = f"{idempotency_key}/{start}" if idempotency_key else ""
            if special[start]:
                replies += await self._each(asked[start:end], key)
            else:
                replies += await self._store.commit(writes[start:end], key)
        return replies

    async def _each(self, asked: Sequence[tuple[StoreWrite, Origin]], key: str) -> list[Reply]:
        gate = asyncio.Semaphore(_TOGETHER_MAX)

        async def one(position: int, write: StoreWrite, origin: Origin) -> Reply:
            step_key = f"{key}/{position}" if key else ""
            if self._patience is not None:
                carry_out = partial(self._past_steps, write, origin, step_key)
                return await self._patience.reply(_key_of(write), write, carry_out)
            async with gate:
                return await self._past_steps(write, origin, step_key)

        return list(await asyncio.gather(*(one(position, *pair) for position, pair in enumerate(asked))))

    async def _is_special(self, write: StoreWrite, origin: Origin) -> bool:
        kind = await self._kind_of(write, origin)
        if kind is None:
            return False
        return _converts(write, kind) or (origin is not NOT_ASKED and any(map(self._wants, places_of(write, kind))))

    def _wants(self, place: Place) -> bool:
        return not is_exempt(place.kind) and any(step.may_want(place) for step in (*self.mutating, *self.validating))

    async def review(self, request: Request) -> Request:
        """Past the steps, of what is not written to the store as it is: an eviction, a review, a connection.
        Raises ApiError."""
        if self.is_idle:
            return request
        await self.feed.wait_ready()
        if not self._wants(request.place):
            return request
        steps = Steps(self.mutating, self.validating, self.shapes)
        request = await steps.mutate(request)
        await steps.validate(request)
        return request

    async def _kind_of(self, write: StoreWrite, origin: Origin) -> Kind | None:
        """None for what is not served: the store refuses it."""
        resource = _resource_of(write)
        if origin.kind is not None and origin.kind.storage.resource == resource:
            return origin.kind
        if is_static(resource):
            return kind_of(resource)
        stored = await self._find(Key(DEFINITIONS, "", resource))
        return read_custom(stored.body, stored.revision).stored if stored is not None else None

    async def _find(self, key: Key) -> Stored | None:
        try:
            return await self._store.get(key)
        except NotFound:
            return None

    # --- one write ----------------------------------------------------------------------------------------------

    async def _past_steps(self, write: StoreWrite, origin: Origin, key: str) -> Reply:
        """Anew, as long as somebody else changes the object while the steps look at it."""
        kind = await self._kind_of(write, origin)
        assert kind is not None
        try:
            if origin is NOT_ASKED or not any(map(self._wants, places_of(write, kind))):
                return await self._commit(write, kind, key)
            steps = Steps(self.mutating, self.validating, self.shapes)
            for _ in range(_ATTEMPTS):
                old = None if isinstance(write, Create) else await self._find(write.key)
                passage = passage_of(write, kind, origin, old, steps, self._commit)
                reply = await passage.carry_out(key)
                if reply is not None:
                    return reply
            raise Conflict("the object is changed by others faster than admission can look at it; please try again")
        except ApiError as error:
            return Reply(error=error.to_status(), changed=False)

    async def _commit(self, write: StoreWrite, kind: Kind, key: str) -> Reply:
        if self._terms is not None and isinstance(kind, CustomKind) and _converts(write, kind):
            return await self._terms.commit(write, kind, key)
        return (await self._store.commit([write], key))[0]


def _converts(write: StoreWrite, kind: Kind | None) -> bool:
    return not isinstance(write, Delete) and needs_terms(kind)


def _is_plain(write: StoreWrite, origin: Origin) -> bool:
    """Surely for the store as it is. Of a custom resource that a part of the control plane writes, nothing is sure."""
    if isinstance(write, Delete) or is_static(_resource_of(write)):
        return True
    return origin.kind is not None and not needs_terms(origin.kind)


def _runs(special: Sequence[bool], writes: Sequence[StoreWrite]) -> Iterator[tuple[int, int]]:
    """Stretches of neighbours that may be carried out together: all plain ones, in their order; of the special ones
    those of one resource and of different objects, for one kind may need what another makes."""
    start = 0
    seen: set[Key] = set()
    for at in range(1, len(writes) + 1):
        key = _key_of(writes[at - 1])
        if special[start] and key is not None:
            seen.add(key)
        if at < len(writes) and special[at] == special[start] and (not special[at] or _joins(writes, start, at, seen)):
            continue
        yield start, at
        start, seen = at, set()


def _joins(writes: Sequence[StoreWrite], start: int, at: int, seen: set[Key]) -> bool:
    return _resource_of(writes[at]) == _resource_of(writes[start]) and _key_of(writes[at]) not in seen


def _resource_of(write: StoreWrite) -> str:
    return write.resource if isinstance(write, Create) else write.key.resource


def _key_of(write: StoreWrite) -> Key | None:
    """None for an object whose name is still to be made."""
    if not isinstance(write, Create):
        return write.key
    metadata = write.object.get("metadata") if isinstance(write.object, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return Key(write.resource, write.namespace, name) if isinstance(name, str) and name else None
