"""Whether an object is in a Selection, reading as little of its body as the selection needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from actors.api.field_selector import FieldRequirement, check_fields, known_as, matches_fields, parse_fields
from actors.api.kept import KEPT_CHARS_MAX
from actors.api.key import Key, Stored
from actors.api.meta import Lens
from actors.api.selector import LabelMatcher, parse_labels
from actors.reconcile.watch import Selection

_KEY_FIELDS = ("metadata.name", "metadata.namespace")
_NODE_FIELD = "spec.nodeName"


class _Labels(Lens, frozen=True):
    labels: dict[str, str] | None = None


class _Labelled(Lens, frozen=True):
    metadata: _Labels


_decode_labels = msgspec.json.Decoder(_Labelled).decode


class Matcher:
    """A parsed Selection. `topic` is the narrowest part of the log that holds all its changes."""

    def __init__(self, selection: Selection) -> None:
        """Raises BadRequest for selector texts that cannot be read."""
        self.resources = selection.resources
        self.namespace = selection.namespace
        self._labels: LabelMatcher = parse_labels(selection.labels)
        resource = selection.resources[0] if len(selection.resources) == 1 else ""
        fields = tuple(known_as(field, resource) for field in parse_fields(selection.fields))
        for resource in selection.resources or ("",):
            check_fields(fields, resource)
        self._key_fields = tuple(field for field in fields if field.path in _KEY_FIELDS)
        self._body_fields = tuple(field for field in fields if field.path not in _KEY_FIELDS)
        self._decode_fields = _fields_decoder(self._body_fields) if self._body_fields else None
        self.name = _equal_to(self._key_fields, "metadata.name")
        self.node = _equal_to(self._body_fields, _NODE_FIELD) if selection.resources == ("pods",) else None

    @property
    def topic(self) -> str:
        if self.node is not None:
            return node_topic(self.node)
        return self.resources[0] if len(self.resources) == 1 else ALL_TOPIC

    @property
    def topics(self) -> tuple[str, ...]:
        """Those of which one has news when anything matches."""
        return (self.topic,) if self.topic != ALL_TOPIC else self.resources or (ALL_TOPIC,)

    @property
    def is_by_key(self) -> bool:
        """Whether the key alone tells what matches."""
        return self._labels.is_empty and self._decode_fields is None

    def matches_key(self, key: Key) -> bool:
        if self.resources and key.resource not in self.resources:
            return False
        if self.namespace and key.namespace != self.namespace:
            return False
        return all(
            ((key.name if field.path == "metadata.name" else key.namespace) == field.value) == (field.operator == "=")
            for field in self._key_fields
        )

    def matches(self, stored: Stored) -> bool:
        if not self.matches_key(stored.key):
            return False
        if not self._labels.is_empty and not self._labels.matches(_decode_labels(stored.body).metadata.labels):
            return False
        if self._decode_fields is None:
            return True
        return matches_fields(self._body_fields, stored.key.resource, self._decode_fields(stored.body))


_kept = lru_cache(maxsize=4096)(Matcher)
#: Of long selectors: as long as somebody who watches has them.
_watched: WeakValueDictionary[Selection, Matcher] = WeakValueDictionary()


def matcher_of(selection: Selection) -> Matcher:
    """Raises BadRequest."""
    if len(selection.labels) + len(selection.fields) <= KEPT_CHARS_MAX:
        return _kept(selection)
    matcher = _watched.get(selection)
    if matcher is None:
        matcher = _watched[selection] = Matcher(selection)
    return matcher


def _equal_to(fields: tuple[FieldRequirement, ...], path: str) -> str | None:
    return next((field.value for field in fields if field.path == path and field.operator == "="), None)


def _fields_decoder(fields: tuple[FieldRequirement, ...]) -> Callable[[bytes], Any]:
    """Decodes a body to a dict that holds no more than the top-level members the requirements look into."""
    members = sorted({field.path.split(".")[0] for field in fields})
    shape = msgspec.defstruct("Fields", [(name, Any, None) for name in members], frozen=True)
    decoder = msgspec.json.Decoder(shape)
    return lambda body: msgspec.structs.asdict(decoder.decode(body))


# --- topics -----------------------------------------------------------------------------------------------------

ALL_TOPIC = ""


class _NodeName(Lens, frozen=True):
    node_name: str = ""


class _Bound(Lens, frozen=True):
    spec: _NodeName = _NodeName()


_decode_node = msgspec.json.Decoder(_Bound).decode


def node_topic(node: str) -> str:
    """Changes of the pods of one node: what its nodelet follows."""
    return f"pods@{node}"


def node_of(stored: Stored | None) -> str | None:
    """The node of a pod ("" when unbound); None for anything but pods."""
    if stored is None or stored.key.resource != "pods":
        return None
    return _decode_node(stored.body).spec.node_name


def topics_of(stored: Stored, nodes: set[str | None]) -> set[str]:
    """Where a change of an object is told; `nodes`: `node_of` it before and after."""
    return {ALL_TOPIC, stored.key.resource, *(node_topic(node) for node in nodes if node is not None)}
