"""The syntax tree of a compiled expression, read from the compiler's serialized form (cel.expr.CheckedExpr in an Any).

The compiler parses, expands macros and checks types; what it found is read here, to be priced and evaluated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from actors.api.cel.values import Duration, Timestamp, Uint


@dataclass(slots=True)
class Node:
    id: int


@dataclass(slots=True)
class Const(Node):
    value: Any


@dataclass(slots=True)
class Ident(Node):
    name: str


@dataclass(slots=True)
class Select(Node):
    """`operand.name`; with `test` the macro has(operand.name)."""

    operand: Node
    name: str
    test: bool


@dataclass(slots=True)
class Call(Node):
    """Of a member function the target is the first argument."""

    function: str
    args: list[Node]
    member: bool


@dataclass(slots=True)
class ListNode(Node):
    """`optional` are the indices of elements that may be left out: [?x]."""

    elements: list[Node]
    optional: frozenset[int]


@dataclass(slots=True)
class Entry:
    """Of a map `key` is a Node, of a struct the field's name."""

    key: Any
    value: Node
    optional: bool


@dataclass(slots=True)
class Struct(Node):
    """A map, or with a `type_name` an object."""

    type_name: str
    entries: list[Entry]


@dataclass(slots=True)
class Fold(Node):
    """What all macros become: `accu` starts as `init`, becomes `step` for each of `range`, while `condition`."""

    var: str
    var2: str
    range: Node
    accu: str
    init: Node
    condition: Node
    step: Node
    result: Node


@dataclass(slots=True, frozen=True)
class Type:
    """`name` as the language writes it: int, list, map, dyn, ..., or a message's or an opaque type's."""

    name: str
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.parameters))
        return f"{self.name}({inner})" if inner else self.name


DYN = Type("dyn")


@dataclass(slots=True)
class Tree:
    """`types` and `overloads` by the id of a node."""

    root: Node
    types: dict[int, Type] = field(default_factory=dict)
    overloads: dict[int, list[str]] = field(default_factory=dict)

    def type_of(self, node: Node) -> Type:
        return self.types.get(node.id, DYN)


def read_tree(serialized: bytes) -> Tree:
    """Of an Any with a CheckedExpr, or a ParsedExpr without types."""
    content = _Fields(_Fields(serialized).message(2))
    if not content.has(4):
        return Tree(_Reader({}).node(content.message(2)))
    names: dict[int, str] = {}
    tree = Tree(Const(0, None))
    for item in content.all(2):
        reference = _Fields(_Fields(item).message(2))
        at = _Fields(item).number(1)
        tree.overloads[at] = [text.decode() for text in reference.all(3)]
        if reference.has(1) and not tree.overloads[at]:
            names[at] = reference.text(1)
    for item in content.all(3):
        tree.types[_Fields(item).number(1)] = _type(_Fields(item).message(2))
    tree.root = _Reader(names).node(content.message(4))
    return tree


class _Fields:
    """A protobuf message, by field number."""

    def __init__(self, data: bytes) -> None:
        self._known: dict[int, list[Any]] = {}
        for number, value in _parse(data):
            self._known.setdefault(number, []).append(value)

    def has(self, number: int) -> bool:
        return number in self._known

    def all(self, number: int) -> list[Any]:
        return self._known.get(number, [])

    def number(self, number: int) -> int:
        found = self._known.get(number)
        return int(found[-1]) if found else 0

    def message(self, number: int) -> bytes:
        found = self._known.get(number)
        return found[-1] if found else b""

    def text(self, number: int) -> str:
        return self.message(number).decode()


def _parse(data: bytes) -> Iterator[tuple[int, Any]]:
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            yield number, data[at : at + size]
            at += size
        else:
            size = 8 if wire == 1 else 4
            yield number, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_PRIMITIVES = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}
_WELL_KNOWN = {1: "dyn", 2: "google.protobuf.Timestamp", 3: "google.protobuf.Duration"}


def _type(data: bytes) -> Type:
    fields = _Fields(data)
    if fields.has(2):
        return Type("null_type")
    if fields.has(3):
        return Type(_PRIMITIVES.get(fields.number(3), "dyn"))
    if fields.has(4):
        return Type(f"wrapper({_PRIMITIVES.get(fields.number(4), 'dyn')})")
    if fields.has(5):
        return Type(_WELL_KNOWN.get(fields.number(5), "dyn"))
    if fields.has(6):
        return Type("list", (_type(_Fields(fields.message(6)).message(1)),))
    if fields.has(7):
        entry = _Fields(fields.message(7))
        return Type("map", (_type(entry.message(1)), _type(entry.message(2))))
    if fields.has(9):
        return Type(fields.text(9))
    if fields.has(11):
        return Type("type")
    if fields.has(14):
        opaque = _Fields(fields.message(14))
        return Type(opaque.text(1), tuple(_type(part) for part in opaque.all(2)))
    return DYN


class _Reader:
    """`names`: what the compiler found a dotted name to stand for."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names

    def node(self, data: bytes) -> Node:
        fields = _Fields(data)
        at = fields.number(2)
        if fields.has(4):
            return Ident(at, self._names.get(at) or _Fields(fields.message(4)).text(1))
        if fields.has(5):
            return self._select(at, _Fields(fields.message(5)))
        if fields.has(6):
            call = _Fields(fields.message(6))
            targets = [self.node(call.message(1))] if call.has(1) else []
            args = targets + [self.node(arg) for arg in call.all(3)]
            return Call(at, call.text(2), args, bool(targets))
        if fields.has(7):
            return self._list(at, _Fields(fields.message(7)))
        if fields.has(8):
            return self._struct(at, _Fields(fields.message(8)))
        if fields.has(9):
            return self._fold(at, _Fields(fields.message(9)))
        return Const(at, _constant(fields.message(3)))

    def _select(self, at: int, fields: _Fields) -> Node:
        if at in self._names:
            return Ident(at, self._names[at])
        return Select(at, self.node(fields.message(1)), fields.text(2), bool(fields.number(3)))

    def _list(self, at: int, fields: _Fields) -> ListNode:
        optional: list[int] = []
        for value in fields.all(2):
            optional.extend(_packed(value) if isinstance(value, bytes) else [value])
        return ListNode(at, [self.node(item) for item in fields.all(1)], frozenset(optional))

    def _struct(self, at: int, fields: _Fields) -> Struct:
        entries = []
        for item in fields.all(2):
            entry = _Fields(item)
            key = self.node(entry.message(3)) if entry.has(3) else entry.text(2)
            entries.append(Entry(key, self.node(entry.message(4)), bool(entry.number(5))))
        return Struct(at, fields.text(1), entries)

    def _fold(self, at: int, fields: _Fields) -> Fold:
        parts = [self.node(fields.message(number)) for number in (2, 4, 5, 6, 7)]
        over, init, condition, step, result = parts
        return Fold(at, fields.text(1), fields.text(8), over, fields.text(3), init, condition, step, result)


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _constant(data: bytes) -> Any:
    fields = _Fields(data)
    if fields.has(2):
        return bool(fields.number(2))
    if fields.has(3):
        return _signed(fields.number(3))
    if fields.has(4):
        return Uint(fields.number(4))
    if fields.has(5):
        return struct.unpack("<d", fields.message(5))[0]
    if fields.has(6):
        return fields.text(6)
    if fields.has(7):
        return fields.message(7)
    if fields.has(8) or fields.has(9):
        parts = _Fields(fields.message(8) or fields.message(9))
        nanos = _signed(parts.number(1)) * 1_000_000_000 + _signed(parts.number(2))
        return Duration(nanos) if fields.has(8) else Timestamp(nanos)
    return None
