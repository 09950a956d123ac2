"""What each function costs, and how large its result is, from the sizes of its operands (cel-go checker/cost.go;
apiserver pkg/cel/library/cost.go). What is not here costs one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.api.cel.ast import Call, Node
from actors.api.cel.spans import MOST, NOTHING, ONE, Span


class Operands(Protocol):
    """What is known of them."""

    def of(self, node: Node) -> Span:
        """Its size."""
        ...

    def of_item(self, node: Node) -> Span:
        """The size of what is in a list."""
        ...

    def is_text(self, node: Node) -> bool: ...

    def has_texts(self, node: Node) -> bool: ...


_Priced = tuple[Span, Span | None]
_Price = Callable[[Operands, Call], _Priced]


def _traversal(factor: float = 0.1, keeps: bool = False) -> _Price:
    def price(at: Operands, node: Call) -> _Priced:
        size = at.of(node.args[0])
        return size.scaled(factor), size if keeps else None

    return price


def _prefix(at: Operands, node: Call) -> _Priced:
    return at.of(node.args[1]).scaled(0.1), None


def _membership(at: Operands, node: Call) -> _Priced:
    return at.of(node.args[1]), None


def _compared(at: Operands, node: Call) -> _Priced:
    smallest = min(at.of(node.args[0]).most, at.of(node.args[1]).most)
    return Span(1 if smallest > 0 else 0, smallest).scaled(0.1), None


def _ordered(at: Operands, node: Call) -> _Priced:
    return _compared(at, node) if at.is_text(node.args[0]) and at.is_text(node.args[1]) else (ONE, None)


def _added(at: Operands, node: Call) -> _Priced:
    left, right = node.args
    size = at.of(left).plus(at.of(right))
    if at.is_text(left) and at.is_text(right):
        return size.scaled(0.1), size
    return ONE, size


def _pattern(at: Operands, node: Call) -> _Priced:
    text = at.of(node.args[0])
    cost = text.plus(ONE).scaled(0.1).times(at.of(node.args[1]).scaled(0.25))
    return cost, Span(0, text.most) if node.function != "matches" else None


def _contains(at: Operands, node: Call) -> _Priced:
    return at.of(node.args[0]).scaled(0.1).times(at.of(node.args[1]).scaled(0.1)), None


def _each(at: Operands, node: Call) -> _Priced:
    """Once for each item of a list; of a text once over its characters."""
    target = at.of(node.args[0])
    if not at.has_texts(node.args[0]):
        return target, None
    return target.times(ONE.plus(at.of_item(node.args[0]).scaled(0.1))), None


def _replaced(at: Operands, node: Call) -> _Priced:
    text, old, new = (at.of(arg) for arg in node.args[:3])
    if old.least == 0:
        most = Span(0, text.most).plus(ONE).times(new).plus(text).most
    elif new.most <= old.least:
        most = text.most
    else:
        most = min(-(-text.most // old.least) * new.most, MOST)
    least = 0 if old.most == 0 or old.most <= new.least else -(-text.least // old.most) * new.least
    return text.scaled(0.2), Span(least, most)


def _split(at: Operands, node: Call) -> _Priced:
    text = at.of(node.args[0])
    return text.scaled(0.2), Span(0, text.most)


def _joined(at: Operands, node: Call) -> _Priced:
    count, between = at.of(node.args[0]), at.of(node.args[1]) if len(node.args) > 1 else NOTHING
    gaps = Span(max(count.least - 1, 0), max(count.most - 1, 0))
    size = count.times(at.of_item(node.args[0])).plus(between.times(gaps))
    return size.scaled(0.1), size


def _sets(at: Operands, node: Call) -> _Priced:
    return at.of(node.args[0]).times(at.of(node.args[1])).plus(ONE), None


def _quoted(at: Operands, node: Call) -> _Priced:
    size = at.of(node.args[0])
    return size.scaled(0.1), Span(min(size.least + 2, MOST), min(size.most * 2 + 2, MOST))


def _formatted(at: Operands, node: Call) -> _Priced:
    size = at.of(node.args[0])
    return size.scaled(0.1), size.plus(at.of(node.args[1]))


def _check(at: Operands, node: Call) -> _Priced:
    return Span(350_000, 350_000), None


def _text(at: Operands, node: Call) -> _Priced:
    return _traversal(keeps=True)(at, node) if at.is_text(node.args[0]) else (ONE, Span(0, 64))


PRICES: dict[str, _Price] = {
    "startsWith": _prefix,
    "endsWith": _prefix,
    "@in": _membership,
    "_==_": _compared,
    "_!=_": _compared,
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _ordered),
    "_+_": _added,
    **dict.fromkeys(("matches", "find", "findAll"), _pattern),
    "contains": _contains,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _each),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim", "reverse"), _traversal(keeps=True)),
    **dict.fromkeys(("url", "isURL", "cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity"), _traversal()),
    **dict.fromkeys(("semver", "isSemver", "image", "isImage"), _traversal()),
    "ip.isCanonical": _traversal(0.2),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "strings.quote": _quoted,
    "format": _formatted,
    "check": _check,
    "string": _text,
    "bytes": _text,
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), _sets),
}
