"""Stored objects to what goes over the wire: objects, lists, Tables, partial metadata, YAML.

Pure, and joined from bytes: a list of 5,000 pods is never decoded; a Table decodes only the fields it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import yaml

from actors.api.clock import Millis
from actors.api.codec import with_revision
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.gateway.media import Form
from actors.gateway.tables import printer_of
from actors.gateway.tables.table import Cell, Printer

_ENCODER = msgspec.json.Encoder()
_INVALID = "<invalid>"
_PIECE_BYTES = 256 << 10


class _Head(msgspec.Struct, frozen=True):
    metadata: msgspec.Raw


_HEAD: msgspec.json.Decoder[_Head] = msgspec.json.Decoder(_Head)
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}

#: `includeObject` of Table requests: what each row carries beside its cells.
INCLUDE_NONE, INCLUDE_METADATA, INCLUDE_OBJECT = "None", "Metadata", "Object"


def encode(value: Any) -> bytes:
    return _ENCODER.encode(value)


def object_bytes(stored: Stored) -> bytes:
    return with_revision(stored.body, stored.revision)


def list_metadata(revision: int, cursor: str = "", remaining: int = 0) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(revision)}
    if cursor:
        metadata["continue"] = cursor
    if cursor and remaining > 0:
        metadata["remainingItemCount"] = remaining
    return metadata


def list_chunks(kind: Kind, items: Iterable[Stored], metadata: dict[str, Any]) -> Iterator[bytes]:
    """A PodList and the like, as pieces to be written one after the other."""
    head = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata}
    return _pieces(encode(head)[:-1] + b',"items":[', map(object_bytes, items), b"]}\n")


def partial_bytes(stored: Stored) -> bytes:
    """PartialObjectMetadata."""
    head = _HEAD.decode(object_bytes(stored))
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%s}' % bytes(head.metadata)


def partial_list_chunks(items: Iterable[Stored], metadata: dict[str, Any]) -> Iterator[bytes]:
    head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return _pieces(encode(head)[:-1] + b',"items":[', map(partial_bytes, items), b"]}\n")


def _pieces(head: bytes, items: Iterable[bytes], tail: bytes) -> Iterator[bytes]:
    """Items between commas, made when they are asked for, in pieces that are worth to be sent."""
    piece, size = [head], 0
    for number, item in enumerate(items):
        if number:
            piece.append(b",")
        piece.append(item)
        size += len(item)
        if size >= _PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join([*piece, tail])


def table_bytes(
    kind: Kind,
    items: Sequence[Stored],
    metadata: dict[str, Any],
    now: Millis,
    *,
    include: str = INCLUDE_METADATA,
    columns: bool = True,
) -> bytes:
    """A Table. In a watch only the first one needs `columns`."""
    return b"".join(table_chunks(kind, items, metadata, now, include=include, columns=columns))


def table_chunks(
    kind: Kind,
    items: Sequence[Stored],
    metadata: dict[str, Any],
    now: Millis,
    *,
    include: str = INCLUDE_METADATA,
    columns: bool = True,
) -> Iterator[bytes]:
    """The same in pieces."""
    printer = printer_of(kind)
    definitions = [msgspec.to_builtins(column) for column in printer.columns] if columns else []
    rows = (_row(printer, item, now, include) for item in items)
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions}
    return _pieces(encode(head)[:-1] + b',"rows":[', rows, b"]}")


def _row(printer: Printer, stored: Stored, now: Millis, include: str) -> bytes:
    text = object_bytes(stored)
    row = b'{"cells":%s' % encode(_cells(printer, stored, text, now))
    if include == INCLUDE_OBJECT:
        return b'%s,"object":%s}' % (row, text)
    if include == INCLUDE_METADATA:
        return b'%s,"object":%s}' % (row, partial_bytes(stored))
    return row + b',"object":null}'


def _cells(printer: Printer, stored: Stored, text: bytes, now: Millis) -> tuple[Cell, ...]:
    decoder = _decoders.get(printer.shape)
    if decoder is None:
        decoder = _decoders[printer.shape] = msgspec.json.Decoder(printer.shape)
    try:
        return printer.cells(decoder.decode(text), now)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return (stored.key.name, *(_INVALID for _ in printer.columns[1:]))


def yaml_bytes(text: bytes) -> bytes:
    """The YAML of a JSON document."""
    value = msgspec.json.decode(text)
    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()


def single(kind: Kind, stored: Stored, form: Form, now: Millis, include: str) -> bytes:
    """One object in the form that was asked for."""
    if form is Form.TABLE:
        return table_bytes(kind, [stored], list_metadata(stored.revision), now, include=include)
    if form is Form.METADATA:
        return partial_bytes(stored)
    text = object_bytes(stored)
    return yaml_bytes(text) if form is Form.YAML else text


def collection(
    kind: Kind, items: Sequence[Stored], metadata: dict[str, Any], form: Form, now: Millis, include: str
) -> Iterable[bytes]:
    """A list in the form that was asked for, in pieces."""
    if form is Form.TABLE:
        return table_chunks(kind, items, metadata, now, include=include)
    if form is Form.METADATA:
        return partial_list_chunks(items, metadata)
    chunks = list_chunks(kind, items, metadata)
    return [yaml_bytes(b"".join(chunks))] if form is Form.YAML else chunks
