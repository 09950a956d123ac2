"""The interpreter against Google's own runtime, which the compiler's library brings: same answers, failures at the same
places, for random expressions of every operator, macro and shared function.
"""

from __future__ import annotations

import datetime
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from actors.api.cel.environment import CelError, untyped
from actors.api.cel.values import Duration, Timestamp, TypeValue

NAMES = ("n", "s", "b", "xs", "ts", "m", "o")
_LIBRARIES = "extensions:\n- name: two-var-comprehensions\n- name: sets\n"
REFERENCE = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml(_LIBRARIES),
    variables=dict.fromkeys(NAMES, cel.Type.DYN),
    extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
)
DATA = st.fixed_dictionaries(
    {
        "n": st.integers(-4, 9),
        "s": st.text("ab-é", max_size=4),
        "b": st.booleans(),
        "xs": st.lists(st.integers(-2, 3), max_size=4),
        "ts": st.lists(st.text("ab", max_size=2), max_size=3),
        "m": st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(-1, 2), max_size=3),
        "o": st.fixed_dictionaries(
            {}, optional={"a": st.integers(0, 3), "in": st.fixed_dictionaries({"x": st.booleans()})}
        ),
    }
)
INTS = [
    "n",
    "1",
    "0",
    "-3",
    "size(xs)",
    "o.a",
    "m['a']",
    "xs[0]",
    "int(s)",
    "9223372036854775807",
    "s.size()",
    "s.indexOf('a')",
]
TEXTS = [
    "s",
    "'ab'",
    "''",
    "ts[0]",
    "string(n)",
    "s.substring(1)",
    "s.lowerAscii()",
    "s.replace('a', 'bb')",
    "ts.join('-')",
]
BOOLS = [
    "b",
    "true",
    "false",
    "has(o.a)",
    "has(o.in)",
    "s.startsWith('a')",
    "s.contains('b')",
    "s.matches('^a+')",
    "'a' in m",
    "n in xs",
    "o.in.x",
]


def _pairs(inner: Any, operators: list[str]) -> Any:
    return st.tuples(inner, st.sampled_from(operators), inner).map(lambda three: f"({three[0]} {three[1]} {three[2]})")


ints = st.recursive(
    st.sampled_from(INTS),
    lambda inner: (
        _pairs(inner, ["+", "-", "*", "/", "%"])
        | inner.map(lambda text: f"(-({text}))")
        | st.tuples(st.sampled_from(BOOLS), inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})")
        | inner.map(lambda text: f"xs.map(x, x + {text}).size()")
        | inner.map(lambda text: f"o.?a.orValue({text})")
        | inner.map(lambda text: f"xs.filter(x, x > {text})[0]")
    ),
    max_leaves=4,
)
texts = st.recursive(
    st.sampled_from(TEXTS),
    lambda inner: (
        _pairs(inner, ["+"])
        | inner.map(lambda text: f"ts.map(t, t + {text}).join(',')")
        | inner.map(lambda text: f"({text}).split('a').join('+')")
        | inner.map(lambda text: f"({text}).charAt(1)")
    ),
    max_leaves=3,
)
bools = st.recursive(
    st.sampled_from(BOOLS)
    | _pairs(ints, ["<", "<=", ">", ">=", "==", "!="])
    | _pairs(texts, ["<", "<=", ">", ">=", "==", "!="]),
    lambda inner: (
        _pairs(inner, ["&&", "||", "==", "!="])
        | inner.map(lambda text: f"!({text})")
        | st.sampled_from(["all", "exists", "exists_one"]).flatmap(
            lambda macro: inner.map(lambda text: f"xs.{macro}(x, x > 0 && {text})")
        )
        | inner.map(lambda text: f"xs.all(x, 4 / x > 0 || {text})")
        | inner.map(lambda text: f"m.all(k, v, k != '' || {text})")
        | inner.map(lambda text: f"xs.exists(i, x, i == x && {text})")
    ),
    max_leaves=5,
)
lists = st.sampled_from(
    [
        "xs + xs", "xs.map(x, x > 0, x * 2)", "xs.transformList(i, x, i + x)", "[m.transformList(k, v, k).size()]", "[?o.?a, n]",
        "ts.filter(t, t in ['a', 'b'])", "(s + 'x').split('')", "s.split('a', 2)", "xs.map(x, [x, n])", "[n, n] == xs ? [] : [n]",
        "{'a': n, 'b': n + 1}", "{?'a': o.?a}", "type(n) == int ? [type(s) == string] : []",
        "sets.intersects(xs, [1, 2]) ? [1] : [0]", "[sets.contains(xs, [n])]", "[sets.equivalent(xs, [n, n])]",
        "[o.?a.hasValue(), o.?in.?x.hasValue()]", "[s.lastIndexOf('a'), s.indexOf('a', 1)]", "['%s-%d'.format([s, n])]",
        "[string(b), string(1.5), string(b'x')]", "[int('12'), int(3.9), int(-3.9)]", "[double(n) / 2.0, double('1.5')]",
        "[timestamp('2026-03-01T12:34:56Z').getMonth(), timestamp('2026-03-01T12:34:56Z').getDayOfYear()]",
        "[duration('90m').getHours(), duration('-90s').getSeconds()]", "[s.trim(), s.upperAscii(), s.reverse()]",
        "[string(duration('1h') + duration('30m'))]", "[string(timestamp('2026-03-01T00:00:00Z') - duration('1s'))]",
        "[size(s), size(bytes(s)), size(m)]", "[1u + 2u == 3u, 7u % 4u == 3u]", "[dyn(1) == dyn(1.0), dyn(1) == dyn(1u)]",
        "[dyn(1) == dyn(true), dyn('1') == dyn(1), dyn(null) == dyn(n)]", "[dyn(1.5) < dyn(2), dyn(2u) > dyn(1)]",
    ]
)  # fmt: skip


def plain(value: Any) -> Any:
    """Our values as the reference shows its own."""
    match value:
        case Timestamp():
            return datetime.datetime.fromtimestamp(value.nanos / 10**9, datetime.UTC)
        case Duration():
            return datetime.timedelta(microseconds=value.nanos // 1000)
        case TypeValue():
            return value.name
        case list():
            return [plain(item) for item in value]
        case dict():
            return {plain(key): plain(item) for key, item in value.items()}
    return value


def of_reference(text: str, data: dict[str, Any]) -> Any:
    """CelError for a failure."""
    try:
        value = REFERENCE.compile(text).eval(data=data)
        if value.type().name() == "ERROR":
            return CelError(str(value.plain_value()))
        return value.plain_value()
    except (RuntimeError, ValueError, TypeError) as error:
        return CelError(str(error))


def of_ours(text: str, data: dict[str, Any]) -> Any:
    try:
        return plain(untyped(NAMES).compile(text).evaluate(data))
    except CelError as error:
        return error


@settings(max_examples=600, deadline=None)
@given(st.one_of(ints, texts, bools, lists), DATA)
@example(
    "xs.exists_one(x, x > 0 && xs.exists_one(x, x > 0 && b))",
    {"xs": [1, 1], "b": True, "n": 0, "s": "", "ts": [], "m": {}, "o": {}},
)
def test_answers_are_googles(text: str, data: dict[str, Any]) -> None:
    expected, found = of_reference(text, data), of_ours(text, data)
    assume("exceeded" not in str(expected))
    if isinstance(expected, CelError):
        assert isinstance(found, CelError), f"{text}: {found} instead of {expected}"
    else:
        assert not isinstance(found, CelError), f"{text}: {found} instead of {expected}"
        assert (found, type(found) is bool) == (expected, type(expected) is bool), text
