"""Evaluation: a syntax tree becomes closures over a frame, which counts what each step costs.

Costs are cel-go's (interpreter/runtimecost.go) with Kubernetes' for its libraries: an expression that Kubernetes
would stop is stopped here, wherever it has got to, so none runs for longer than its budget.
"""

from __future__ import annotations

from typing import Any

from actors.api.cel import operators
from actors.api.cel.ast import Call, Const, Fold, Ident, ListNode, Node, Select, Struct
from actors.api.cel.calls import compile_call
from actors.api.cel.frame import Failed, Frame, Lazy, Step
from actors.api.cel.functions.standard import TYPES
from actors.api.cel.values import NONE, CelError, Optional, OutOfBudget, TypedObject, no_overload

_LIST_COST, _MAP_COST, _STRUCT_COST = 10, 30, 40


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
            return compile_call(node, compile_step)
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
        if kind is Failed:
            raise value.error
        return value

    return run


def _type_named(name: str) -> Any:
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
                variables[node.accu] = Failed(error)

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
