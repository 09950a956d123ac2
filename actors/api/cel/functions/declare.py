"""How a library declares its functions: their types for the compiler; what they do and cost for the interpreter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cel_expr_python import cel

from actors.api.cel.values import Duration, Timestamp, Uint, size_of, type_name

BOOL, INT, DOUBLE, STRING, DYN = (getattr(cel.Type, name) for name in ("BOOL", "INT", "DOUBLE", "STRING", "DYN"))
#: What string() takes beside addresses.
SCALARS = (STRING, BOOL, INT, DOUBLE, cel.Type.UINT, cel.Type.BYTES, cel.Type.TIMESTAMP, cel.Type.DURATION)
LIST = cel.Type.List(DYN)
STRINGS = cel.Type.List(STRING)
MAP = cel.Type.Map(STRING, DYN)
Cost = Callable[[Sequence[Any]], int]
_PYTHON: dict[str, tuple[type, ...]] = {
    "BOOL": (bool,),
    "INT": (int,),
    "UINT": (Uint,),
    "DOUBLE": (float,),
    "STRING": (str,),
    "BYTES": (bytes,),
    "TIMESTAMP": (Timestamp,),
    "DURATION": (Duration,),
}


def opaque(name: str) -> Any:
    """A type that only functions make and take; its values have this `type_name`."""
    return cel.Type.AbstractType(name, [])


def one(args: Sequence[Any]) -> int:
    return 1


def free(args: Sequence[Any]) -> int:
    return 0


def traversal(factor: float = 0.1) -> Cost:
    """Of the first argument."""
    return lambda args: math.ceil(size_of(args[0]) * factor)


def pattern(args: Sequence[Any]) -> int:
    """A text and a regular expression: about four characters are a state of its machine."""
    return math.ceil((1 + size_of(args[0])) / 10) * math.ceil(size_of(args[1]) / 4)


class Function(NamedTuple):
    """One overload. A member is called on its first parameter: `x.name(y)`. `standard`: the compiler knows it."""

    name: str
    parameters: tuple[Any, ...]
    returns: Any
    call: Callable[..., Any]
    member: bool = False
    cost: Cost = one
    standard: bool = False

    def taker(self) -> Callable[[Sequence[Any]], bool]:
        """Whether arguments are of its types."""
        if self.standard:
            return _anything
        fits = tuple(map(_fitting, self.parameters))
        return lambda args: all(fit(value) for fit, value in zip(fits, args, strict=True))

    def overload(self) -> Any:
        identity = "_".join((self.name.replace(".", "_"), *(_word(part) for part in self.parameters)))
        return cel.Overload(
            f"kubernetes_{identity}_{'member' if self.member else 'global'}",
            return_type=self.returns,
            parameters=list(self.parameters),
            is_member=self.member,
        )


def _anything(args: Sequence[Any]) -> bool:
    return True


def _fitting(parameter: Any) -> Callable[[Any], bool]:
    name = parameter.name()
    if name == "DYN":
        return lambda value: True
    if (classes := _PYTHON.get(name)) is not None:
        return lambda value: type(value) in classes
    if name.startswith("LIST"):
        return lambda value: isinstance(value, list)
    if name.startswith("MAP"):
        return lambda value: isinstance(value, dict)
    wanted = name.partition("<")[0]
    return lambda value: type_name(value) == wanted


def _word(part: Any) -> str:
    return "".join(char if char.isalnum() else "_" for char in part.name())


def member(
    name: str, parameters: tuple[Any, ...], returns: Any, call: Callable[..., Any], cost: Cost = one
) -> Function:
    return Function(name, parameters, returns, call, True, cost)


def known(name: str, arity: int, call: Callable[..., Any], cost: Cost = one) -> Function:
    """One that the compiler declares itself; `call` looks at the types and raises CelError. Of a member the arity
    counts the target."""
    return Function(name, (DYN,) * arity, DYN, call, False, cost, True)
