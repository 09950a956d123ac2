"""Whatever a function or an operator is given, it answers or fails with a CelError."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.cel.environment import CelError, compile_expression
from actors.api.cel.functions import FUNCTIONS

NAMES = ("a", "c", "d", "e")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["10.0.0.1/8", "::1", "1.2.3-a", "1e999", "5Gi", "%s%d%.200f%", "(", "2026-01-01T00:00:00Z", "-9h", "Z"]
    )
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
WRAPPED = [
    "{}",
    "quantity({})",
    "ip({})",
    "cidr({})",
    "semver({})",
    "url({})",
    "timestamp({})",
    "duration({})",
    "image({})",
    "optional.of({})",
    "uint({})",
]


def _calls() -> list[str]:
    calls = set()
    for function in FUNCTIONS:
        names = NAMES[: len(function.parameters)]
        if "." not in function.name and names and function.name not in ("check", "serviceAccount"):
            calls.add(f"{function.name}({', '.join(names)})")
            calls.add(f"{names[0]}.{function.name}({', '.join(names[1:])})")
        elif names:
            calls.add(f"{function.name}({', '.join(names)})")
    operators = ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||")
    calls.update(f"a {operator} c" for operator in operators)
    calls.update(
        ["a[c]", "a.b", "has(a.b)", "a.?b", "a[?c]", "-a", "!a", "a ? c : d", "[a, c]", "{a: c}", "a.map(x, x)"]
    )
    calls.update(["a.all(i, x, x == c)", "a.transformMap(k, v, c)", "a.exists_one(x, x)", "a.optMap(x, x)", "a.or(c)"])
    calls.update(
        ["a.orValue(c)", "type(a) == type(c)", "a.filter(x, c)", "'%s %d %f %e %b %x %o'.format([a, a, a, a, a, a, a])"]
    )
    return sorted(calls)


def _compiles(text: str) -> bool:
    with contextlib.suppress(CelError):
        compile_expression(text, NAMES)
        return True
    return False


CALLS = [text for text in _calls() if _compiles(text)]


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(CALLS), st.sampled_from(WRAPPED), st.sampled_from(WRAPPED), st.tuples(*[VALUES] * 4))
def test_nothing_but_an_answer_or_a_cel_error(call: str, first: str, second: str, values: tuple[Any, ...]) -> None:
    data = dict(zip(NAMES, values, strict=True))
    made = dict(data)
    for name, wrapped in (("a", first), ("c", second)):
        with contextlib.suppress(CelError):
            made[name] = compile_expression(wrapped.format(name), NAMES).evaluate(data)
    with contextlib.suppress(CelError):
        compile_expression(call, NAMES).evaluate(made)


def test_every_function_is_among_them() -> None:
    assert len(CALLS) > 120
