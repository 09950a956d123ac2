"""One object in the terms in which a request, or a rule, names it, and back. What a subresource shows of an object."""

from __future__ import annotations

from typing import Any, Protocol

from actors.admission.request import Request
from actors.api.codec import Object
from actors.api.conversion import to_stored, to_view
from actors.api.crd.kinds import CustomKind
from actors.api.errors import InternalError
from actors.api.kinds import Kind
from actors.remote.conversion import Converter
from actors.store.admission.subresource import scale_of, value_at, with_replicas


class Shapes(Protocol):
    async def show(self, obj: Object, kind: Kind) -> Object:
        """A stored object in the shape of `kind`. Raises ApiError when it cannot be converted."""
        ...

    async def keep(self, obj: Object, kind: Kind) -> Object:
        """An object in the shape of `kind` as it is stored. Raises ApiError."""
        ...


class OwnShapes:
    """Where versions differ only in what the table of kinds knows."""

    async def show(self, obj: Object, kind: Kind) -> Object:
        return {**to_view(obj, kind), "apiVersion": kind.api_version}

    async def keep(self, obj: Object, kind: Kind) -> Object:
        return to_stored(obj, kind)


class ConvertedShapes(OwnShapes):
    """Custom resources too, by their conversion webhooks where they have one."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter

    async def show(self, obj: Object, kind: Kind) -> Object:
        if not isinstance(kind, CustomKind):
            return await super().show(obj, kind)
        return (await self._converter.convert([obj], kind))[0]

    async def keep(self, obj: Object, kind: Kind) -> Object:
        storage = kind.storage
        if not isinstance(storage, CustomKind):
            return await super().keep(obj, kind)
        return (await self._converter.convert([obj], storage))[0]


async def expose(obj: Object, kind: Kind, subresource: str, shapes: Shapes) -> Object:
    """A stored object as admission is shown it: of a scale, the Scale."""
    if subresource == "scale":
        return scale_of(await shapes.show(obj, kind), kind)
    shown = await shapes.show(obj, kind)
    revision = shown["metadata"].get("resourceVersion")
    if revision in ("0", "", None):
        metadata = {name: value for name, value in shown["metadata"].items() if name != "resourceVersion"}
        return {**shown, "metadata": metadata}
    return shown


async def take_back(shown: Object, obj: Object, kind: Kind, subresource: str, shapes: Shapes) -> Object:
    """`obj`, which is stored, as what was made of what was shown of it. Its identity stays."""
    if subresource == "scale":
        replicas = value_at(shown, "spec.replicas")
        scaled = with_replicas(await shapes.show(obj, kind), kind, replicas if isinstance(replicas, int) else 0)
        return await shapes.keep(scaled, kind)
    metadata = shown.get("metadata")
    if not isinstance(metadata, dict):
        raise InternalError("Internal error occurred: admission has left the object without metadata")
    kept = {name: obj["metadata"][name] for name in ("name", "namespace", "uid") if name in obj["metadata"]}
    return await shapes.keep({**shown, "metadata": {**metadata, **kept}}, kind)


async def in_terms_of(request: Request, kind: Kind, shapes: Shapes) -> tuple[Object | None, Object | None]:
    """The request's object and old object in the shape of an equivalent kind."""

    async def convert(obj: Object | None) -> Any:
        if obj is None or kind is request.kind or request.subresource == "scale":
            return obj
        return await shapes.show(await shapes.keep(obj, request.kind), kind)

    return await convert(request.object), await convert(request.old_object)
