"""Evaluation: a syntax tree becomes closures over a frame, which counts what each step costs.

Costs are cel-go's (interpreter/runtimecost.go) with Kubernetes' for its libraries: an expression that Kubernetes
would stop is stopped here, wherever it has got to, so none runs for longer than its budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from actors.api.cel import operators
from actors.api.cel.ast import Call, Const, Fold, Ident, ListNode, Node, Select, Struct
from actors.api.cel.functions import find_functions
from actors.api.cel.functions.declare import Function
from actors.api.cel.values import NONE, CelError, Optional, OutOfBudget, TypedObject, no_overload, size_of

Step = Callable[["Frame"], Any]
_LIST_COST, _MAP_COST, _STRUCT_COST = 10, 30, 40
_ACCUMULATOR = "@result"


class Frame:
    """The variables of one evaluation, and what it may still cost."""

    __slots__ = ("left", "variables")

    def __init__(self, variables: Mapping[str, Any], budget: int) -> None:
        self.variables = dict(variables)
        self.left = budget

    def pay(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise OutOfBudget


class Lazy:
    """A variable that is worked out when it is first asked for, at the cost of who asks; once."""

    def __init__(self, step: Step, variables: Mapping[str, Any]) -> None:
        self._step = step
        self._variables = variables
        self._done: tuple[Any] | None = None
        self._failed: CelError | None = None

    def value(self, frame: Frame) -> Any:
        if self._failed is not None:
            raise self._failed
        if self._done is None:
            inner = Frame(self._variables, frame.left)
            try:
                self._done = (self._step(inner),)
            except CelError as error:
                self._failed = error
                raise
            finally:
                frame.left = inner.left
        return self._done[0]


class _Failed:
    """In place of an accumulator whose step has failed: `all` and `exists` may still know the answer."""

    __slots__ = ("error",)

    def __init__(self, error: CelError) -> None:
        self.error = error


def compile_step(node: Node) -> Step:
    """Raises CelError for a function that nobody has."""
    match node:
        case Const():
            value = node.value
            return lambda frame: value
        case Ident():
            return _ident(node.name)
        case Select():
            return _select(node)
        case Call():
            return _call(node)
        case ListNode():
            return _list(node)
        case Struct():
            return _struct(node)
        case Fold():
            return _fold(node)
    raise CelError(f"unsupported expression: {type(node).__name__}")


def _ident(name: str) -> Step:
    def run(frame: Frame) -> Any:
        frame.left -= 1
        if frame.left < 0:
            raise OutOfBudget
        try:
            value = frame.variables[name]
        except KeyError:
            return _type_named(name)
        kind = type(value)
        if kind is Lazy:
            return value.value(frame)
        if kind is _Failed:
            raise value.error
        return value

    return run


def _type_named(name: str) -> Any:
    from actors.api.cel.functions.standard import TYPES

    if name in TYPES:
        return TYPES[name]
    raise CelError(f"no such attribute(s): {name}")


def _select(node: Select) -> Step:
    operand, name = compile_step(node.operand), node.name
    if node.test:
        return lambda frame: operators.has(operand(frame), name)

    def run(frame: Frame) -> Any:
        value = operand(frame)
        frame.left -= 1
        if type(value) is dict and name in value:
            return value[name]
        return operators.select(value, name)

    return run


def _list(node: ListNode) -> Step:
    steps = [(compile_step(item), at in node.optional) for at, item in enumerate(node.elements)]

    def run(frame: Frame) -> list[Any]:
        frame.pay(_LIST_COST)
        built = []
        for step, optional in steps:
            value = step(frame)
            if not optional:
                built.append(value)
            elif not isinstance(value, Optional):
                raise no_overload()
            elif value is not NONE:
                built.append(value.of)
        return built

    return run


def _struct(node: Struct) -> Step:
    cost = _STRUCT_COST if node.type_name else _MAP_COST
    entries = [(_key(entry.key), compile_step(entry.value), entry.optional) for entry in node.entries]

    def run(frame: Frame) -> dict[Any, Any]:
        frame.pay(cost)
        built: dict[Any, Any] = {}
        for key_step, step, optional in entries:
            key, value = operators.key_of(key_step(frame)), step(frame)
            if optional:
                if not isinstance(value, Optional):
                    raise no_overload()
                if value is NONE:
                    continue
                value = value.of
            if key in built:
                raise CelError(f"Failed with repeated key: {operators.shown(key)}")
            built[key] = value
        return TypedObject(node.type_name, built) if node.type_name else built

    return run


def _key(key: Any) -> Step:
    return compile_step(key) if isinstance(key, Node) else lambda frame: key


# --- comprehensions -------------------------------------------------------------------------------------------------


def _fold(node: Fold) -> Step:
    over, init, result = compile_step(node.range), compile_step(node.init), compile_step(node.result)
    condition, step = compile_step(node.condition), compile_step(node.step)
    always = isinstance(node.condition, Const) and node.condition.value is True
    names = (node.accu, node.var, node.var2)

    def loop(frame: Frame, items: Any) -> None:
        variables = frame.variables
        for item in items:
            if node.var2:
                variables[node.var], variables[node.var2] = item
            else:
                variables[node.var] = item
            if not always and condition(frame) is False:
                return
            try:
                variables[node.accu] = step(frame)
            except OutOfBudget:
                raise
            except CelError as error:
                if always:
                    raise
                variables[node.accu] = _Failed(error)

    def run(frame: Frame) -> Any:
        items = _items(over(frame), bool(node.var2))
        start = init(frame)
        variables = frame.variables
        hidden = {name: variables[name] for name in names if name in variables}
        variables[node.accu] = start
        try:
            loop(frame, items)
            return result(frame)
        finally:
            for name in names:
                variables.pop(name, None)
            variables.update(hidden)

    return run


def _items(value: Any, both: bool) -> Any:
    if isinstance(value, list):
        return list(enumerate(value)) if both else value
    if isinstance(value, dict):
        return list(value.items()) if both else list(value)
    raise no_overload()


# --- calls ----------------------------------------------------------------------------------------------------------


def _call(node: Call) -> Step:
    special = _SPECIAL.get(node.function)
    if special is not None and node.member == (node.function in _LAZY_MEMBERS):
        return special(node)
    steps = [compile_step(arg) for arg in node.args]
    functions = find_functions(node.function, len(steps))
    if not functions:
        raise CelError(f"unknown function: {node.function}")

    candidates = [(function.taker(), function) for function in functions]

    def run(frame: Frame) -> Any:
        args = [step(frame) for step in steps]
        for takes, function in candidates:
            if takes(args):
                return _invoke(function, args, frame)
        raise no_overload()

    return _once(run) if all(isinstance(arg, Const) for arg in node.args) else run


def _once(run: Step) -> Step:
    """Of constants the answer is always the same: quantity('1Gi'). Its price is paid every time."""
    known: list[tuple[Any, int]] = []

    def again(frame: Frame) -> Any:
        if known:
            value, cost = known[0]
            frame.pay(cost)
            return value
        before = frame.left
        value = run(frame)
        known.append((value, before - frame.left))
        return value

    return again


def _invoke(function: Function, args: list[Any], frame: Frame) -> Any:
    frame.pay(function.cost(args))
    try:
        return function.call(*args)
    except CelError:
        raise
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise CelError(str(error)) from error


def _and(node: Call) -> Step:
    return _logical(node, False)


def _or(node: Call) -> Step:
    return _logical(node, True)


def _logical(node: Call, decisive: bool) -> Step:
    """Either side may decide, whatever the other is; only then does a failure count."""
    left, right = map(compile_step, node.args)

    def run(frame: Frame) -> Any:
        try:
            first = left(frame)
        except OutOfBudget:
            raise
        except CelError:
            if right(frame) is decisive:
                return decisive
            raise
        if first is decisive:
            return decisive
        second = right(frame)
        if second is decisive:
            return decisive
        if type(first) is not bool or type(second) is not bool:
            raise no_overload()
        return not decisive

    return run


def _conditional(node: Call) -> Step:
    test, yes, no = map(compile_step, node.args)

    def run(frame: Frame) -> Any:
        verdict = test(frame)
        if verdict is True:
            return yes(frame)
        if verdict is False:
            return no(frame)
        raise no_overload()

    return run


def _otherwise(node: Call) -> Step:
    """`x.or(y)` and `x.orValue(y)`: y is only looked at where x has no value."""
    first, second = map(compile_step, node.args)
    unwraps = node.function == "orValue"

    def run(frame: Frame) -> Any:
        value = first(frame)
        frame.pay(1)
        if not isinstance(value, Optional):
            raise no_overload()
        if value is not NONE:
            return value.of if unwraps else value
        other = second(frame)
        if not unwraps and not isinstance(other, Optional):
            raise no_overload()
        return other

    return run


def _not_strictly_false(node: Call) -> Step:
    inner = compile_step(node.args[0])

    def run(frame: Frame) -> bool:
        try:
            return inner(frame) is not False
        except OutOfBudget:
            raise
        except CelError:
            return True

    return run


def _equal(expected: bool) -> Callable[[Call], Step]:
    def make(node: Call) -> Step:
        left, right = map(compile_step, node.args)

        def run(frame: Frame) -> bool:
            a, b = left(frame), right(frame)
            if type(a) is type(b) and type(a) in (str, int, bool):
                frame.left -= 1 if type(a) is not str else -(-min(len(a), len(b)) // 10)
                return bool(a == b) is expected
            frame.pay(math.ceil(min(size_of(a), size_of(b)) / 10))
            return operators.equals(a, b, frame.pay) is expected

        return run

    return make


def _in(node: Call) -> Step:
    item, collection = map(compile_step, node.args)

    def run(frame: Frame) -> bool:
        wanted, among = item(frame), collection(frame)
        frame.pay(len(among) if isinstance(among, list) else 1)
        return operators.contains(wanted, among, frame.pay)

    return run


def _add(node: Call) -> Step:
    """The list that a macro builds is nobody else's yet: it grows in place."""
    left, right = map(compile_step, node.args)
    first, grown = node.args
    if isinstance(first, Ident) and first.name == _ACCUMULATOR and isinstance(grown, ListNode):

        def extend(frame: Frame) -> Any:
            built = left(frame)
            built.extend(right(frame))
            frame.left -= 1
            return built

        return extend

    def run(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        frame.pay(1 if type(a) is int else math.ceil((size_of(a) + size_of(b)) / 10))
        return operators.add(a, b)

    return run


def _binary(operate: Callable[[Any, Any], Any], sized: bool = False) -> Callable[[Call], Step]:
    def make(node: Call) -> Step:
        left, right = map(compile_step, node.args)

        def run(frame: Frame) -> Any:
            a, b = left(frame), right(frame)
            if not sized or type(a) is int:
                frame.left -= 1
            else:
                frame.pay(math.ceil(min(size_of(a), size_of(b)) / 10))
            return operate(a, b)

        return run

    return make


def _unary(operate: Callable[[Any], Any]) -> Callable[[Call], Step]:
    def make(node: Call) -> Step:
        inner = compile_step(node.args[0])

        def run(frame: Frame) -> Any:
            value = inner(frame)
            frame.pay(1)
            return operate(value)

        return run

    return make


def _insert(node: Call) -> Step:
    """What transformMap builds, in place: `cel.@mapInsert(map, key, value)` or (map, map)."""
    steps = [compile_step(arg) for arg in node.args]

    def run(frame: Frame) -> Any:
        built, *rest = (step(frame) for step in steps)
        added = {operators.key_of(rest[0]): rest[1]} if len(rest) == 2 else rest[0]
        if not isinstance(added, dict):
            raise no_overload()
        frame.pay(1 + len(added) // 10)
        for at, value in added.items():
            key = operators.key_of(at)
            if key in built:
                raise CelError(f"insert failed: key {operators.shown(key)} already exists")
            built[key] = value
        return built

    return run


_SPECIAL: dict[str, Callable[[Call], Step]] = {
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _conditional,
    "@not_strictly_false": _not_strictly_false,
    "_==_": _equal(True),
    "_!=_": _equal(False),
    "@in": _in,
    "_+_": _add,
    "_-_": _binary(operators.subtract),
    "_*_": _binary(operators.multiply),
    "_/_": _binary(operators.divide),
    "_%_": _binary(operators.modulo),
    "_<_": _binary(operators.less, True),
    "_<=_": _binary(operators.less_equal, True),
    "_>_": _binary(lambda a, b: operators.less(b, a), True),
    "_>=_": _binary(lambda a, b: operators.less_equal(b, a), True),
    "_[_]": _binary(operators.index),
    "_?._": _binary(operators.find),
    "_[?_]": _binary(operators.find),
    "-_": _unary(operators.negate),
    "!_": _unary(operators.negated),
    "cel.@mapInsert": _insert,
    "or": _otherwise,
    "orValue": _otherwise,
}
_LAZY_MEMBERS = frozenset({"or", "orValue"})
