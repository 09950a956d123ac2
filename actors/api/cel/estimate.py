"""What an expression can cost at least and at most, from its tree and the sizes that its data may have.

The arithmetic is cel-go's (checker/cost.go) with Kubernetes' libraries (apiserver pkg/cel/library/cost.go), since what
a definition may contain depends on it. A size or a cost is a pair, least and most; MOST stands for any amount.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from actors.api.cel.ast import Call, Const, Fold, Ident, ListNode, Node, Select, Struct, Tree, Type
from actors.api.cel.values import UINT_MAX, size_of

MOST = UINT_MAX
Path = tuple[str, ...]


class Span(NamedTuple):
    """Least and most."""

    least: int
    most: int

    def plus(self, other: Span) -> Span:
        return Span(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: Span) -> Span:
        return Span(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def scaled(self, factor: float) -> Span:
        return Span(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Span) -> Span:
        return Span(min(self.least, other.least), max(self.most, other.most))


def _scaled(amount: int, factor: float) -> int:
    return MOST if amount >= MOST else min(math.ceil(amount * factor), MOST)


NOTHING, ONE, UNKNOWN = Span(0, 0), Span(1, 1), Span(0, MOST)
#: The size of what is at a path: the name of a variable, then fields, @items, @keys and @values.
Sizes = Callable[[Path], Span | None]
_FIXED = frozenset({"bool", "double", "int", "uint", "google.protobuf.Duration", "google.protobuf.Timestamp"})


class Estimator:
    """Of one tree."""

    def __init__(self, tree: Tree, sizes: Sizes) -> None:
        self._tree = tree
        self._sizes = sizes
        self._paths: dict[int, Path] = {}
        self._computed: dict[int, Span] = {}
        self._locals: dict[str, list[tuple[Path, Span | None]]] = {}

    def cost(self) -> Span:
        return self._cost(self._tree.root)

    def _cost(self, node: Node) -> Span:
        match node:
            case Ident():
                known = self._locals.get(node.name)
                self._paths[node.id] = known[-1][0] if known else (node.name,)
                return ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListNode():
                return self._sum(node.elements, Span(10, 10))
            case Struct():
                keys = [entry.key for entry in node.entries if isinstance(entry.key, Node)]
                base = Span(40, 40) if node.type_name else Span(30, 30)
                return self._sum([*keys, *(entry.value for entry in node.entries)], base)
            case Fold():
                return self._fold(node)
        return NOTHING

    def _sum(self, nodes: list[Node], start: Span = NOTHING) -> Span:
        total = start
        for node in nodes:
            total = total.plus(self._cost(node))
        return total

    def _select(self, node: Select) -> Span:
        total = self._cost(node.operand)
        if node.test:
            return total
        type_ = self._tree.type_of(node.operand)
        if not type_.name.startswith(("dyn", "list")) and type_.name not in _FIXED:
            total = total.plus(ONE)
        self._paths[node.id] = (*self._path(node.operand), node.name)
        return total

    # --- comprehensions ---------------------------------------------------------------------------------------------

    def _fold(self, node: Fold) -> Span:
        total = self._sum([node.range, node.init])
        self._push(node.accu, self._path(node.init), self._size(node.init))
        if _is_bind(node):
            total = total.plus(self._cost(node.result))
            self._locals[node.accu].pop()
            self._keep(node, self._size(node.result))
            return total
        over, path = self._tree.type_of(node.range), self._path(node.range)
        is_list = over.name == "list" or isinstance(node.range, ListNode)
        if node.var2:
            self._push(node.var, (*path, "@indices" if is_list else "@keys") if path else (), None)
            self._push(node.var2, (*path, "@items" if is_list else "@values") if path else (), None)
        else:
            self._push(node.var, (*path, "@items" if is_list else "@keys") if path else (), None)
        each = self._sum([node.condition, node.step])
        for name in (node.var, node.var2):
            if name:
                self._locals[name].pop()
        total = total.plus(self._cost(node.result))
        self._locals[node.accu].pop()
        count = self._size(node.range) or UNKNOWN
        if isinstance(node.init, ListNode | Struct):
            self._keep(node, count)
        else:
            self._keep(node, self._size(node.init))
        return total.plus(count.times(each))

    def _push(self, name: str, path: Path, size: Span | None) -> None:
        self._locals.setdefault(name, []).append((path, size))

    # --- sizes ------------------------------------------------------------------------------------------------------

    def _path(self, node: Node) -> Path:
        if isinstance(node, Ident) and (known := self._locals.get(node.name)):
            return known[-1][0]
        return self._paths.get(node.id, ())

    def _keep(self, node: Node, size: Span | None) -> None:
        if size is not None:
            self._computed[node.id] = size

    def _size(self, node: Node) -> Span | None:
        if node.id in self._computed:
            return self._computed[node.id]
        match node:
            case Const():
                return Span(size_of(node.value), size_of(node.value))
            case ListNode():
                return Span(len(node.elements), len(node.elements))
            case Struct(type_name=""):
                return Span(len(node.entries), len(node.entries))
        path = self._path(node)
        if path and not path[0].startswith("@") and (known := self._sizes(path)) is not None:
            return known
        if _is_fixed(self._tree.type_of(node)):
            return ONE
        if isinstance(node, Ident) and (found := self._locals.get(node.name)):
            return found[-1][1]
        return None

    def _known(self, node: Node) -> Span:
        return self._size(node) or UNKNOWN

    def _item(self, node: Node) -> Span:
        """Of what is in a list."""
        path = self._path(node)
        found = self._sizes((*path, "@items")) if path else None
        return found or UNKNOWN

    # --- calls ------------------------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Span:
        args = [self._cost(arg) for arg in node.args]
        spent = NOTHING
        for cost in args:
            spent = spent.plus(cost)
        name = node.function
        if name in ("_&&_", "_||_"):
            return Span(args[0].least, spent.most)
        if name == "_?_:_":
            self._keep(node, self._known(node.args[1]).union(self._known(node.args[2])))
            return args[0].plus(args[1].union(args[2]))
        if name in ("_[_]", "_[?_]", "_?._"):
            self._index(node)
        price = _PRICES.get(name)
        cost, size = price(self, node) if price is not None else (ONE, None)
        self._keep(node, size)
        return spent.plus(cost)

    def _index(self, node: Call) -> None:
        path = self._path(node.args[0])
        if not path:
            return
        if node.function == "_?._" and isinstance(node.args[1], Const):
            self._paths[node.id] = (*path, str(node.args[1].value))
        else:
            is_list = self._tree.type_of(node.args[0]).name == "list"
            self._paths[node.id] = (*path, "@items" if is_list else "@values")

    def of(self, node: Node) -> Span:
        return self._known(node)

    def of_item(self, node: Node) -> Span:
        return self._item(node)

    def is_text(self, node: Node) -> bool:
        return self._tree.type_of(node).name in ("string", "bytes", "dyn")

    def has_texts(self, node: Node) -> bool:
        parameters = self._tree.type_of(node).parameters
        return bool(parameters) and parameters[0].name in ("string", "bytes")


def _is_bind(node: Fold) -> bool:
    return isinstance(node.range, ListNode) and not node.range.elements and node.accu != "@result"


def _is_fixed(type_: Type) -> bool:
    if type_.name == "optional_type" and type_.parameters:
        return _is_fixed(type_.parameters[0])
    return type_.name in _FIXED


_Priced = tuple[Span, Span | None]
_Price = Callable[[Estimator, Call], _Priced]


def _traversal(factor: float = 0.1, keeps: bool = False) -> _Price:
    def price(at: Estimator, node: Call) -> _Priced:
        size = at.of(node.args[0])
        return size.scaled(factor), size if keeps else None

    return price


def _prefix(at: Estimator, node: Call) -> _Priced:
    return at.of(node.args[1]).scaled(0.1), None


def _membership(at: Estimator, node: Call) -> _Priced:
    return at.of(node.args[1]), None


def _compared(at: Estimator, node: Call) -> _Priced:
    smallest = min(at.of(node.args[0]).most, at.of(node.args[1]).most)
    return Span(1 if smallest > 0 else 0, smallest).scaled(0.1), None


def _ordered(at: Estimator, node: Call) -> _Priced:
    return _compared(at, node) if at.is_text(node.args[0]) and at.is_text(node.args[1]) else (ONE, None)


def _added(at: Estimator, node: Call) -> _Priced:
    left, right = node.args
    size = at.of(left).plus(at.of(right))
    if at.is_text(left) and at.is_text(right):
        return size.scaled(0.1), size
    return ONE, size


def _pattern(at: Estimator, node: Call) -> _Priced:
    text = at.of(node.args[0])
    cost = text.plus(ONE).scaled(0.1).times(at.of(node.args[1]).scaled(0.25))
    return cost, Span(0, text.most) if node.function != "matches" else None


def _contains(at: Estimator, node: Call) -> _Priced:
    return at.of(node.args[0]).scaled(0.1).times(at.of(node.args[1]).scaled(0.1)), None


def _each(at: Estimator, node: Call) -> _Priced:
    """Once for each item of a list; of a text once over its characters."""
    target = at.of(node.args[0])
    if not at.has_texts(node.args[0]):
        return target, None
    return target.times(ONE.plus(at.of_item(node.args[0]).scaled(0.1))), None


def _replaced(at: Estimator, node: Call) -> _Priced:
    text, old, new = (at.of(arg) for arg in node.args[:3])
    if old.least == 0:
        most = Span(0, text.most).plus(ONE).times(new).plus(text).most
    elif new.most <= old.least:
        most = text.most
    else:
        most = min(-(-text.most // old.least) * new.most, MOST)
    least = 0 if old.most == 0 or old.most <= new.least else -(-text.least // old.most) * new.least
    return text.scaled(0.2), Span(least, most)


def _split(at: Estimator, node: Call) -> _Priced:
    text = at.of(node.args[0])
    return text.scaled(0.2), Span(0, text.most)


def _joined(at: Estimator, node: Call) -> _Priced:
    count, between = at.of(node.args[0]), at.of(node.args[1]) if len(node.args) > 1 else NOTHING
    gaps = Span(max(count.least - 1, 0), max(count.most - 1, 0))
    size = count.times(at.of_item(node.args[0])).plus(between.times(gaps))
    return size.scaled(0.1), size


def _sets(at: Estimator, node: Call) -> _Priced:
    return at.of(node.args[0]).times(at.of(node.args[1])).plus(ONE), None


def _quoted(at: Estimator, node: Call) -> _Priced:
    size = at.of(node.args[0])
    return size.scaled(0.1), Span(min(size.least + 2, MOST), min(size.most * 2 + 2, MOST))


def _formatted(at: Estimator, node: Call) -> _Priced:
    size = at.of(node.args[0])
    return size.scaled(0.1), size.plus(at.of(node.args[1]))


def _check(at: Estimator, node: Call) -> _Priced:
    return Span(350_000, 350_000), None


def _text(at: Estimator, node: Call) -> _Priced:
    return _traversal(keeps=True)(at, node) if at.is_text(node.args[0]) else (ONE, Span(0, 64))


_PRICES: dict[str, _Price] = {
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
