"""How a library declares its functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cel_expr_python import cel

BOOL, INT, DOUBLE, STRING, DYN = (getattr(cel.Type, name) for name in ("BOOL", "INT", "DOUBLE", "STRING", "DYN"))
LIST = cel.Type.List(DYN)
MAP = cel.Type.Map(STRING, DYN)


class Function(NamedTuple):
    """One overload. A member is called on its first parameter: `x.name(y)`."""

    name: str
    parameters: tuple[Any, ...]
    returns: Any
    call: Callable[..., Any]
    member: bool = False

    def overload(self) -> Any:
        identity = "_".join((self.name.replace(".", "_"), *(_word(part) for part in self.parameters)))
        return cel.Overload(
            f"kubernetes_{identity}_{'member' if self.member else 'global'}",
            return_type=self.returns,
            parameters=list(self.parameters),
            is_member=self.member,
            impl=self.call,
        )


def _word(part: Any) -> str:
    return "".join(char if char.isalnum() else "_" for char in part.name())


def member(name: str, parameters: tuple[Any, ...], returns: Any, call: Callable[..., Any]) -> Function:
    return Function(name, parameters, returns, call, True)


def tagged(type_name: str, value: Any, **more: Any) -> dict[str, Any]:
    """A value of one of Kubernetes' own types."""
    return {f"@{type_name}": value, **more}


def untag(value: Any, type_name: str) -> Any:
    """Raises ValueError for a value of another type."""
    found = value.get(f"@{type_name}") if isinstance(value, dict) else None
    if found is None:
        raise ValueError(f"no such overload: not a {type_name}")
    return found
