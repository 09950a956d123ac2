"""What an expression can cost at least and at most, from its tree and the sizes that its data may have.

The arithmetic is cel-go's (checker/cost.go), since what a definition may contain depends on it.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.api.cel.ast import Call, Const, Fold, Ident, ListNode, Node, Select, Struct, Tree, Type
from actors.api.cel.prices import PRICES
from actors.api.cel.spans import NOTHING, ONE, UNKNOWN, Span
from actors.api.cel.values import size_of

Path = tuple[str, ...]
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
            self._keep(node, self.of(node.args[1]).union(self.of(node.args[2])))
            return args[0].plus(args[1].union(args[2]))
        if name in ("_[_]", "_[?_]", "_?._"):
            self._index(node)
        price = PRICES.get(name)
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
        return self._size(node) or UNKNOWN

    def of_item(self, node: Node) -> Span:
        """Of what is in a list."""
        path = self._path(node)
        found = self._sizes((*path, "@items")) if path else None
        return found or UNKNOWN

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
