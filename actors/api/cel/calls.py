"""Calls: operators, which look at their arguments in their own ways, and functions, by the types of theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from actors.api.cel import operators
from actors.api.cel.ast import Call, Const, Ident, ListNode, Node
from actors.api.cel.frame import ACCUMULATOR, Frame, Step
from actors.api.cel.functions import find_functions
from actors.api.cel.functions.declare import Function
from actors.api.cel.values import NONE, CelError, Optional, OutOfBudget, no_overload, size_of

#: Makes a step of an argument.
Build = Callable[[Node], Step]
Special = Callable[[Call, Build], Step]


def compile_call(node: Call, build: Build) -> Step:
    """Raises CelError for a function that nobody has."""
    special = _SPECIAL.get(node.function)
    if special is not None and node.member == (node.function in _LAZY_MEMBERS):
        return special(node, build)
    steps = [build(arg) for arg in node.args]
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


def _and(node: Call, build: Build) -> Step:
    return _logical(node, False, build)


def _or(node: Call, build: Build) -> Step:
    return _logical(node, True, build)


def _logical(node: Call, decisive: bool, build: Build) -> Step:
    """Either side may decide, whatever the other is; only then does a failure count."""
    left, right = map(build, node.args)

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


def _conditional(node: Call, build: Build) -> Step:
    test, yes, no = map(build, node.args)

    def run(frame: Frame) -> Any:
        verdict = test(frame)
        if verdict is True:
            return yes(frame)
        if verdict is False:
            return no(frame)
        raise no_overload()

    return run


def _otherwise(node: Call, build: Build) -> Step:
    """`x.or(y)` and `x.orValue(y)`: y is only looked at where x has no value."""
    first, second = map(build, node.args)
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


def _not_strictly_false(node: Call, build: Build) -> Step:
    inner = build(node.args[0])

    def run(frame: Frame) -> bool:
        try:
            return inner(frame) is not False
        except OutOfBudget:
            raise
        except CelError:
            return True

    return run


def _equal(expected: bool) -> Special:
    def make(node: Call, build: Build) -> Step:
        left, right = map(build, node.args)

        def run(frame: Frame) -> bool:
            a, b = left(frame), right(frame)
            if type(a) is type(b) and type(a) in (str, int, bool):
                frame.left -= 1 if type(a) is not str else -(-min(len(a), len(b)) // 10)
                return bool(a == b) is expected
            frame.pay(math.ceil(min(size_of(a), size_of(b)) / 10))
            return operators.equals(a, b, frame.pay) is expected

        return run

    return make


def _in(node: Call, build: Build) -> Step:
    item, collection = map(build, node.args)

    def run(frame: Frame) -> bool:
        wanted, among = item(frame), collection(frame)
        frame.pay(len(among) if isinstance(among, list) else 1)
        return operators.contains(wanted, among, frame.pay)

    return run


def _add(node: Call, build: Build) -> Step:
    """The list that a macro builds is nobody else's yet: it grows in place."""
    left, right = map(build, node.args)
    first, grown = node.args
    if isinstance(first, Ident) and first.name == ACCUMULATOR and isinstance(grown, ListNode):

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


def _binary(operate: Callable[[Any, Any], Any], sized: bool = False) -> Special:
    def make(node: Call, build: Build) -> Step:
        left, right = map(build, node.args)

        def run(frame: Frame) -> Any:
            a, b = left(frame), right(frame)
            if not sized or type(a) is int:
                frame.left -= 1
            else:
                frame.pay(math.ceil(min(size_of(a), size_of(b)) / 10))
            return operate(a, b)

        return run

    return make


def _unary(operate: Callable[[Any], Any]) -> Special:
    def make(node: Call, build: Build) -> Step:
        inner = build(node.args[0])

        def run(frame: Frame) -> Any:
            value = inner(frame)
            frame.pay(1)
            return operate(value)

        return run

    return make


def _insert(node: Call, build: Build) -> Step:
    """What transformMap builds, in place: `cel.@mapInsert(map, key, value)` or (map, map)."""
    steps = [build(arg) for arg in node.args]

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


_SPECIAL: dict[str, Special] = {
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
