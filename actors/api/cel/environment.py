"""Environments: the variables and functions that an expression may name; compiling and evaluating in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from actors.api.cel.functions import formats, lists, network, quantity, regex, semver, url
from actors.api.cel.functions.declare import Function

EXPRESSION_CHARS_MAX = 100_000
_MODULES = (lists, regex, url, quantity, network, formats, semver)


class CelError(Exception):
    """An expression that cannot be compiled, or that failed on its data. The text is one line for users."""


class Program(NamedTuple):
    """`returns` is the static type: BOOL, STRING, DYN, ..."""

    expression: Any
    returns: str

    def evaluate(self, data: Mapping[str, Any]) -> Any:
        """Raises CelError."""
        try:
            value = self.expression.eval(data=data)
            result = value.plain_value()
            failed = value.type().name() == "ERROR"
        except (RuntimeError, ValueError, TypeError) as error:
            raise CelError(_runtime_text(str(error))) from error
        if failed:
            raise CelError(_runtime_text(str(result)))
        return result


def _functions() -> list[Function]:
    return [function for module in _MODULES for function in module.FUNCTIONS]


def _extensions() -> list[Any]:
    by_name: dict[str, list[Any]] = {}
    for function in _functions():
        by_name.setdefault(function.name, []).append(function.overload())
    kubernetes = cel.CelExtension("kubernetes", [cel.FunctionDecl(name, found) for name, found in by_name.items()])
    standard = (ext_strings.ExtStrings, ext_optional.ExtOptional, ext_math.ExtMath)
    return [*(make() for make in standard), ext_bindings.ExtBindings(), ext_encoders.ExtEncoders(), kubernetes]


@lru_cache(maxsize=16)
def environment(variables: tuple[str, ...]) -> Any:
    """With these variables of any type, CEL's standard functions and Kubernetes' libraries."""
    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN), extensions=_extensions())


def typed_environment(pool: Any, variables: Mapping[str, Any]) -> Callable[[str], str]:
    """Compiles against protobuf messages; answers the type of an expression. Raises CelError."""
    typed = cel.NewEnv(descriptor_pool=pool, variables=variables, extensions=_extensions())

    def check(text: str) -> str:
        try:
            return str(typed.compile(text).return_type().name())
        except (RuntimeError, ValueError, TypeError) as error:
            raise CelError(_compiler_text(str(error))) from error

    return check


@lru_cache(maxsize=4096)
def compile_expression(text: str, variables: tuple[str, ...]) -> Program:
    """Raises CelError with the compiler's words."""
    if len(text) > EXPRESSION_CHARS_MAX:
        raise CelError(f"expression is longer than {EXPRESSION_CHARS_MAX} characters")
    try:
        expression = environment(variables).compile(text)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CelError(_compiler_text(str(error))) from error
    return Program(expression, expression.return_type().name())


def _compiler_text(text: str) -> str:
    return text.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]").removesuffix(" [CANCELLED]")


_WORDS = {
    "Iteration budget exceeded": "operation cancelled: actual cost limit exceeded",
    "divide by zero": "division by zero",
}


def _runtime_text(text: str) -> str:
    """`NOT_FOUND: Key not found in map : "b"` -> `no such key: b`."""
    _, colon, rest = text.partition(": ")
    text = rest if colon and text.split(":")[0].isupper() else text
    text = text.rpartition(" [")[0] if text.endswith("]") and " [" in text else text
    if text.startswith("Key not found in map : "):
        return "no such key: " + text.rpartition(" : ")[2].strip('"')
    return _WORDS.get(text, text)
