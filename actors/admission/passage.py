"""One write past the steps, and its commit.

draft       a dry run before validation       only where a mutating step wants to see it
mutate      in order; a second round where a step has asked for one
check       a dry run with what was made of it: the store validates, refuses, answers the final object
validate    on exactly that object
commit      that object, on the condition that what it replaces is still what was seen; else all over again
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from actors.admission.request import CREATE, DELETE, UPDATE, Origin, Place, Request
from actors.admission.rules import is_exempt
from actors.admission.shapes import Shapes, expose, take_back
from actors.admission.step import MutatingStep, Rounds, ValidatingStep
from actors.api.codec import Object, decode
from actors.api.key import Key, Stored
from actors.api.kinds import NAMESPACE, Kind
from actors.reconcile.actions import Amended, Create, Delete, Patch, PatchType, Reply, StoreWrite, Update

#: Of one write in the terms of a kind, with an idempotency key or "".
Commit = Callable[[StoreWrite, Kind, str], Awaitable[Reply]]


@dataclass(frozen=True)
class Steps:
    mutating: Sequence[MutatingStep]
    validating: Sequence[ValidatingStep]
    shapes: Shapes

    async def mutate(self, request: Request) -> Request:
        """Raises ApiError."""
        rounds = Rounds()
        for again in (False, True):
            rounds.again = again
            for step in self.mutating:
                if step.may_want(request.place):
                    request = await step.mutate(request, rounds)
            if not rounds.wanted:
                break
        return request

    async def validate(self, request: Request) -> None:
        """Raises ApiError."""
        for step in self.validating:
            if step.may_want(request.place):
                await step.validate(request)

    def may_mutate(self, place: Place) -> bool:
        return not is_exempt(place.kind) and any(step.may_want(place) for step in self.mutating)


def places_of(write: StoreWrite, kind: Kind) -> Iterable[Place]:
    """What the write may turn out to be: some make what is not there."""
    match write:
        case Create():
            return (Place(CREATE, kind),)
        case Delete():
            return (Place(DELETE, kind),)
        case Patch(subresource="binding"):
            return (Place(CREATE, kind, "binding"),)
        case Patch(type=PatchType.APPLY, subresource="") | Update(subresource=""):
            return (Place(UPDATE, kind), Place(CREATE, kind))
    return (Place(UPDATE, kind, write.subresource),)


class Passage(Protocol):
    async def carry_out(self, key: str) -> Reply | None:
        """None: somebody else has changed the object meanwhile, nothing is done. Raises ApiError."""
        ...


def passage_of(
    write: StoreWrite, kind: Kind, origin: Origin, old: Stored | None, steps: Steps, commit: Commit
) -> Passage:
    common = (kind, origin, old, steps, commit)
    if isinstance(write, Delete):
        return Removal(write, *common)
    if isinstance(write, Patch) and write.subresource == "binding":
        return Binding(write, *common)
    return Change(write, *common)


class _Passage:
    def __init__(self, kind: Kind, origin: Origin, old: Stored | None, steps: Steps, commit: Commit) -> None:
        self._kind, self._origin, self._old = kind, origin, old
        self._steps, self._committed = steps, commit

    @property
    def _revision(self) -> int:
        return self._old.revision if self._old is not None else 0

    async def _commit(self, write: StoreWrite, key: str = "") -> Reply:
        return await self._committed(write, self._kind, key)

    async def _request(
        self, operation: str, subresource: str, key: Key, obj: Object | None, old: Stored | None, dry_run: bool
    ) -> Request:
        before = await self._exposed(decode(old), subresource) if old is not None else None
        namespace = key.name if self._kind.storage is NAMESPACE else key.namespace
        return Request(operation, self._kind, subresource, namespace, key.name, obj, before, dry_run, self._origin)

    async def _exposed(self, obj: Object, subresource: str) -> Object:
        return await expose(obj, self._kind, subresource, self._steps.shapes)


class Change(_Passage):
    """Create, Update and every Patch but a binding."""

    def __init__(self, write: Create | Update | Patch, *common: object) -> None:
        super().__init__(*common)  # type: ignore[arg-type]  # passed on as they come
        self._write = write
        self._subresource = "" if isinstance(write, Create) else write.subresource

    async def carry_out(self, key: str) -> Reply | None:
        write = self._write
        if self._steps.may_mutate(Place(self._operation, self._kind, self._subresource)):
            draft = await self._commit(replace(write, dry_run=True, draft=True))
            if draft.error is not None or draft.stored is None:
                return draft
            if draft.stored.revision != self._revision:
                return None
            write = replace(write, amended=Amended(await self._mutated(draft.stored), self._revision))
        checked = await self._commit(replace(write, dry_run=True))
        if checked.error is not None or checked.stored is None:
            return None if write.amended is not None and self._is_late(checked) else checked
        if checked.stored.revision != self._revision:
            return None
        shown = await self._exposed(decode(checked.stored), self._subresource)
        await self._steps.validate(await self._about(checked.stored, shown))
        if write.dry_run:
            return checked
        amended = Amended(decode(checked.stored), self._revision)
        reply = await self._commit(replace(write, amended=amended), key)
        return None if self._is_late(reply) else reply

    @property
    def _operation(self) -> str:
        return CREATE if self._old is None else UPDATE

    async def _mutated(self, draft: Stored) -> Object:
        """The draft as the steps have left it, in the shape in which it is stored."""
        stored = decode(draft)
        shown = await self._exposed(stored, self._subresource)
        request = await self._steps.mutate(await self._about(draft, shown))
        if request.object is None or request.object == shown:
            return stored
        return await take_back(request.object, stored, self._kind, self._subresource, self._steps.shapes)

    async def _about(self, stored: Stored, shown: Object) -> Request:
        dry_run = self._write.dry_run
        return await self._request(self._operation, self._subresource, stored.key, shown, self._old, dry_run)

    def _is_late(self, reply: Reply) -> bool:
        """Whether what is refused may be accepted once it is seen anew: a made name may have been taken meanwhile."""
        reason = (reply.error or {}).get("reason")
        if reason != "AlreadyExists" or not isinstance(self._write, Create):
            return reason in ("Conflict", "AlreadyExists")
        return not (self._write.object.get("metadata") or {}).get("name")


class Removal(_Passage):
    def __init__(self, write: Delete, *common: object) -> None:
        super().__init__(*common)  # type: ignore[arg-type]  # passed on as they come
        self._write = write

    async def carry_out(self, key: str) -> Reply | None:
        write, old = self._write, self._old
        checked = await self._commit(replace(write, dry_run=True))
        if checked.error is not None or old is None:
            return checked
        request = await self._request(DELETE, "", write.key, None, old, write.dry_run)
        await self._steps.mutate(request)
        await self._steps.validate(request)
        if write.dry_run:
            return checked
        reply = await self._commit(replace(write, amended=Amended(None, old.revision)), key)
        return None if (reply.error or {}).get("reason") == "Conflict" else reply


class Binding(_Passage):
    """A pod's binding is shown as the Binding that it was asked with."""

    def __init__(self, write: Patch, *common: object) -> None:
        super().__init__(*common)  # type: ignore[arg-type]  # passed on as they come
        self._write = write

    async def carry_out(self, key: str) -> Reply | None:
        write = self._write
        checked = await self._commit(replace(write, dry_run=True))
        if checked.error is not None:
            return checked
        shown = _binding(write)
        request = await self._request(CREATE, "binding", write.key, shown, None, write.dry_run)
        request = await self._steps.mutate(request)
        await self._steps.validate(request)
        if request.object is not None and request.object != shown:
            write = replace(write, patch=_bound(request.object))
        return await self._commit(write, key)


def _binding(write: Patch) -> Object:
    patch = write.patch if isinstance(write.patch, dict) else {}
    metadata = {"name": write.key.name, "namespace": write.key.namespace, **(patch.get("metadata") or {})}
    target = {"kind": "Node", "name": (patch.get("spec") or {}).get("nodeName", "")}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}


def _bound(binding: Object) -> Object:
    patch: Object = {"spec": {"nodeName": (binding.get("target") or {}).get("name", "")}}
    annotations = (binding.get("metadata") or {}).get("annotations")
    return {**patch, "metadata": {"annotations": annotations}} if annotations else patch
