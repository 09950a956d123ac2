"""Environments: the variables and functions that an expression may name; compiling and evaluating in them.

The compiler (cel-expr-python) parses, expands macros and checks types; evaluation is ours, priced step by step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from actors.api.cel.ast import Call, Const, Fold, ListNode, Node, Select, Struct, Tree, Type, read_tree
from actors.api.cel.frame import Frame, Step
from actors.api.cel.functions import FUNCTIONS
from actors.api.cel.functions.standard import compiled
from actors.api.cel.functions.times import parse_duration, parse_timestamp
from actors.api.cel.interpreter import compile_step
from actors.api.cel.values import CelError

__all__ = ["CelError", "Environment", "Program", "compile_expression"]

EXPRESSION_CHARS_MAX = 20_000
#: Kubernetes' limit of one evaluation (apis/cel/config.go: PerCallLimit).
CALL_COST_MAX = 1_000_000
_LIBRARIES = """
stdlib:
  exclude_functions:
  - name: string
extensions:
- name: two-var-comprehensions
- name: sets
"""


class Program(NamedTuple):
    """A compiled expression. `returns` is its static type."""

    text: str
    tree: Tree
    step: Step
    returns: Type

    def evaluate(self, data: Mapping[str, Any], budget: int = CALL_COST_MAX) -> Any:
        """Raises CelError."""
        return self.spend(data, budget)[0]

    def spend(self, data: Mapping[str, Any], budget: int) -> tuple[Any, int]:
        """The value, and what it has cost; at most a call's limit. Raises CelError, OutOfBudget."""
        limit = min(budget, CALL_COST_MAX)
        frame = Frame(data, limit)
        return self.step(frame), limit - frame.left


class Environment:
    """`variables` by name, which may be dotted; `pool` holds the messages that their types name."""

    def __init__(self, variables: Mapping[str, Any], pool: Any = None) -> None:
        self._env = cel.NewEnv(
            descriptor_pool=pool,
            config=cel.NewEnvConfigFromYaml(_LIBRARIES),
            variables=dict(variables),
            extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), _shared()],
            functions=_declarations(shared=False),
        )

    def check(self, text: str) -> tuple[Tree, Any]:
        """The tree, and its type as the compiler has it. Raises CelError with the compiler's words."""
        if len(text) > EXPRESSION_CHARS_MAX:
            raise CelError(f"expression is longer than {EXPRESSION_CHARS_MAX} characters")
        if len(_DOUBLING.findall(text)) > _DOUBLINGS_MAX:
            raise CelError(f"optMap and optFlatMap may be used at most {_DOUBLINGS_MAX} times in an expression")
        try:
            expression = self._env.compile(text)
            tree = read_tree(expression.serialize())
        except (RuntimeError, ValueError, TypeError) as error:
            raise CelError(_compiler_text(str(error))) from error
        for told in _problems(tree.root, tree):
            raise CelError(told)
        return tree, expression.return_type()

    def parse(self, text: str) -> Tree:
        """Without types, whatever names it uses. Raises CelError."""
        try:
            return read_tree(self._env.compile(text, disable_check=True).serialize())
        except (RuntimeError, ValueError, TypeError) as error:
            raise CelError(_compiler_text(str(error))) from error

    def compile(self, text: str) -> Program:
        """Raises CelError."""
        return self.program(text, self.check(text)[0])

    @staticmethod
    def program(text: str, tree: Tree) -> Program:
        """Of a checked tree. Raises CelError."""
        return Program(text, tree, compile_step(tree.root), tree.type_of(tree.root))


#: Macros that repeat what they are called on: each link of a chain doubles the tree.
_DOUBLING, _DOUBLINGS_MAX = re.compile(r"\.\s*(?:optMap|optFlatMap)\s*\("), 10
#: Names that the compiler has overloads of already: it takes more of them only from an extension.
_SHARED_NAMES = frozenset({"indexOf", "lastIndexOf"})


@cache
def _shared() -> Any:
    return cel.CelExtension("kubernetes", _declarations(shared=True))


@cache
def _declarations(shared: bool) -> list[Any]:
    by_name: dict[str, list[Any]] = {}
    for function in FUNCTIONS:
        if not function.standard and (function.name in _SHARED_NAMES) == shared:
            by_name.setdefault(function.name, []).append(function.overload())
    return [cel.FunctionDecl(name, found) for name, found in by_name.items()]


@lru_cache(maxsize=16)
def untyped(variables: tuple[str, ...]) -> Environment:
    """With these variables of any type."""
    return Environment(dict.fromkeys(variables, cel.Type.DYN))


@lru_cache(maxsize=4096)
def compile_expression(text: str, variables: tuple[str, ...]) -> Program:
    """With variables of any type. Raises CelError with the compiler's words."""
    return untyped(variables).compile(text)


# --- what Kubernetes checks beside the types (environment/base.go: ASTValidators) -----------------------------------

_LITERALS = {"matches": (1, compiled), "duration": (0, parse_duration), "timestamp": (0, parse_timestamp)}


def _problems(node: Node, tree: Tree) -> Iterator[str]:
    match node:
        case Call(function=name, args=args) if name in _LITERALS and len(args) > _LITERALS[name][0]:
            at, parse = _LITERALS[name]
            literal = args[at]
            if isinstance(literal, Const) and isinstance(literal.value, str):
                try:
                    parse(literal.value)
                except CelError:
                    yield f"ERROR: <input>: invalid {name} argument"
        case Call(function="format", args=[text, ListNode(elements=elements)], member=True):
            for child in (text, *elements):
                yield from _problems(child, tree)
            return
        case ListNode(elements=elements):
            yield from _mixed(elements, tree)
        case Struct(type_name="", entries=entries):
            yield from _mixed([entry.key for entry in entries], tree)
            yield from _mixed([entry.value for entry in entries], tree)
    for child in children(node):
        yield from _problems(child, tree)


def _mixed(nodes: list[Node], tree: Tree) -> Iterator[str]:
    """Literals whose items are of several types."""
    found = dict.fromkeys(str(tree.type_of(node)) for node in nodes)
    known = [name for name in found if "dyn" not in name and name != "null_type" and "optional" not in name]
    if len(known) > 1:
        yield f"ERROR: <input>: expected type '{known[0]}' but found '{known[1]}'"


def children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Call():
            return node.args
        case ListNode():
            return node.elements
        case Struct():
            keys = [entry.key for entry in node.entries if isinstance(entry.key, Node)]
            return keys + [entry.value for entry in node.entries]
        case Fold():
            return [node.range, node.init, node.condition, node.step, node.result]
    return []


def _compiler_text(text: str) -> str:
    return text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]").removesuffix(" [CANCELLED]")
