"""Pods of one commit that differ in nothing but their names and free text (see `alike`) are decided once.

A twin is what admission has made of the first of them. It holds within one draft, and for as long as nothing changes
in it that the first one's admission has looked at, so no answer depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.api.codec import Object
from actors.api.key import Key, Stored
from actors.api.kinds import POD
from actors.api.validation.metadata import validate_name
from actors.reconcile.actions import Create
from actors.store.admission.alike import encode_shape, with_text, without_text
from actors.store.admission.create import admit_create, name_new
from actors.store.admission.outcome import Context, Put

_TWINS_MAX = 64


class _Twin(NamedTuple):
    """The pod that was made, what is told of it to the audit, and the resources that its admission has looked at."""

    pod: Object
    audit: dict[str, str]
    reads: frozenset[str]


class Twins:
    """Of one draft."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Twin] = {}

    def admit(self, write: Create, context: Context) -> Put:
        """`admit_create` of a pod, no more and no less."""
        template = _template_of(write, context)
        if template is None:
            return admit_create(write, context)
        known = self._known.get(template)
        born = known and _born(known.pod, write, context)
        if not (known and born):
            return self._learn(template, write, context)
        context.notes.audit.update(known.audit)
        return born

    def _learn(self, template: bytes, write: Create, context: Context) -> Put:
        reads = _Reads(context)
        put = admit_create(write, msgspec.structs.replace(context, lookup=reads.lookup, scan=reads.scan))
        seen = frozenset(resource for resource, key in reads.found if key != put.key)
        if not context.notes.warnings and POD.resource not in seen and len(self._known) < _TWINS_MAX:
            self._known[template] = _Twin(put.object, dict(context.notes.audit), seen)
        return put

    def forget(self, resource: str) -> None:
        """An object of this resource has changed in the draft."""
        if resource != POD.resource and self._known:
            self._known = {at: twin for at, twin in self._known.items() if resource not in twin.reads}


class _Reads:
    """What is looked at on the way."""

    def __init__(self, context: Context) -> None:
        self._lookup: Callable[[Key], Stored | None] = context.lookup
        self._scan: Callable[[str, str], Sequence[Stored]] = context.scan
        self.found: set[tuple[str, Key | None]] = set()

    def lookup(self, key: Key) -> Stored | None:
        self.found.add((key.resource, key))
        return self._lookup(key)

    def scan(self, resource: str, namespace: str) -> Sequence[Stored]:
        self.found.add((resource, None))
        return self._scan(resource, namespace)


def _template_of(write: Create, context: Context) -> bytes | None:
    """The pod without its name and free text, and whose it is. None: it is admitted by itself."""
    obj: Any = write.object
    if context.draft or context.amended is not None or type(obj) is not dict:
        return None
    metadata, spec = obj.get("metadata"), obj.get("spec")
    if (
        type(metadata) is not dict
        or type(spec) is not dict
        or not (metadata.get("name") or metadata.get("generateName"))
    ):
        return None
    nameless = {**metadata, "name": None} if metadata.get("name") else metadata
    alike = {**obj, "metadata": nameless, "spec": without_text(spec)}
    return encode_shape((write.namespace, write.manager, context.user, alike))


def _born(twin: Object, write: Create, context: Context) -> Put | None:
    """None for what is to be refused: the long way tells why."""
    name = write.object["metadata"].get("name")
    namespace = twin["metadata"]["namespace"]
    if not name:
        key = name_new(POD, namespace, {"metadata": {"generateName": twin["metadata"]["generateName"]}}, context)
    elif type(name) is str and not any(validate_name("metadata.name", name)):
        key = Key(POD.resource, namespace, name)
        if context.lookup(key) is not None:
            return None
    else:
        return None
    metadata = {**twin["metadata"], "name": key.name, "uid": context.ids.uid()}
    return Put(key, {**twin, "metadata": metadata, "spec": with_text(twin["spec"], write.object["spec"])})
