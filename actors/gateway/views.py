"""Stored objects in the shape of the kind that a client names: other versions, defaults that came after them.

A custom resource is shown as its definition of now would have it: what was stored before the definition was last
changed, or in another version, loses the fields that the schema does not know and gets its defaults, as kube-apiserver
does when it reads from etcd. What a webhook has converted is kept for a while: the same for every watcher.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from msgspec.structs import replace

from actors.api.codec import Object, decode, encode
from actors.api.conversion import shown, written_version
from actors.api.crd.kinds import CustomKind
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.structural.defaults import apply_defaults
from actors.api.structural.prune import prune
from actors.remote.conversion import Converter

_KEPT_MAX = 4096
_Known = tuple[str, int, int]


class Views:
    """Used within one event loop."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._kept: OrderedDict[_Known, tuple[CustomKind, Stored]] = OrderedDict()

    async def show(self, items: Sequence[Stored], kind: Kind) -> Sequence[Stored]:
        """In the shape of `kind`. Raises ApiError where a webhook cannot convert them."""
        if not isinstance(kind, CustomKind):
            return [shown(item, kind) for item in items] if kind.stored_as else items
        strange = _strange(items, kind)
        if not strange:
            return items
        known = {at: found for at, item in strange.items() if (found := self._find(item, kind)) is not None}
        unknown = {at: item for at, item in strange.items() if at not in known}
        converted = await self._converter.convert([decode(item) for item in unknown.values()], kind)
        for (at, item), obj in zip(unknown.items(), converted, strict=True):
            known[at] = self._keep(replace(item, body=encode(_filled(obj, kind))), kind)
        return [known.get(at, item) for at, item in enumerate(items)]

    def show_now(self, items: Sequence[Stored], kind: Kind) -> Sequence[Stored] | None:
        """As `show`; None where a webhook may have to be asked."""
        if not isinstance(kind, CustomKind):
            return [shown(item, kind) for item in items] if kind.stored_as else items
        return None if _strange(items, kind) else items

    async def show_one(self, stored: Stored, kind: Kind) -> Stored:
        return (await self.show((stored,), kind))[0]

    def _find(self, item: Stored, kind: CustomKind) -> Stored | None:
        """Of this very definition."""
        kept = self._kept.get((item.uid, item.revision, id(kind)))
        return kept[1] if kept is not None else None

    def _keep(self, item: Stored, kind: CustomKind) -> Stored:
        """Revision 0 is that of nothing stored."""
        if not item.revision:
            return item
        self._kept[item.uid, item.revision, id(kind)] = kind, item
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return item


def _strange(items: Sequence[Stored], kind: CustomKind) -> dict[int, Stored]:
    """Those that are not of this very schema, by position."""
    return {at: item for at, item in enumerate(items) if not _fits(item, kind)}


def _fits(item: Stored, kind: CustomKind) -> bool:
    """The store has given it the shape of this very schema."""
    return item.revision > kind.since > 0 and not kind.stored_as and written_version(item) == kind.api_version


def _filled(obj: Object, kind: CustomKind) -> Object:
    return {**apply_defaults(prune(obj, kind.node, root=True), kind.node), "metadata": obj["metadata"]}
