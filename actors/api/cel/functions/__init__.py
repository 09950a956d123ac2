"""The functions that expressions may call, one library a file: CEL's own (standard, times, strings, optionals, sets)
and Kubernetes' (apiserver pkg/cel/library).
"""

from __future__ import annotations

from functools import cache

from actors.api.cel.functions import (
    authorizer,
    formats,
    images,
    json_patch,
    lists,
    network,
    optionals,
    quantity,
    regex,
    semver,
    sets,
    standard,
    strings,
    times,
    url,
)
from actors.api.cel.functions.declare import Function

_LIBRARIES = (
    standard, times, strings, optionals, sets, lists, regex, url, quantity, network, formats, semver, images,
    authorizer, json_patch,
)  # fmt: skip
FUNCTIONS: tuple[Function, ...] = tuple(function for library in _LIBRARIES for function in library.FUNCTIONS)


@cache
def find_functions(name: str, arity: int) -> tuple[Function, ...]:
    """The overloads; those that look at the types themselves last."""
    found = [function for function in FUNCTIONS if function.name == name and len(function.parameters) == arity]
    return tuple(sorted(found, key=lambda function: function.standard))
