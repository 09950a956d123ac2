"""The language: what expressions answer, which failures are forgiven, what literals may be."""

import pytest

from actors.api.cel.environment import CelError, Environment, compile_expression, untyped
from actors.api.cel.values import NONE, Uint

DATA = {
    "object": {"spec": {"replicas": 3, "names": ["a", "b", "c"], "labels": {"a": "1", "b": "2"}, "ratio": 1.0}},
    "self": 1,
}


def ask(text):
    return compile_expression(text, tuple(DATA)).evaluate(DATA)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("object.spec.names.map(n, object.spec.names.map(m, n + m))[2][0]", "ca"),
        ("object.spec.names.filter(n, n > 'a')", ["b", "c"]),
        ("object.spec.names.exists_one(n, n == 'b')", True),
        ("object.spec.labels.all(k, v, v.matches('^[0-9]$')) && object.spec.labels.exists(k, k == 'b')", True),
        ("object.spec.labels.transformMap(k, v, k + v)", {"a": "a1", "b": "b2"}),
        ("object.spec.names.transformList(i, n, i > 0, n)", ["b", "c"]),
        ("object.?spec.?missing.orValue(7)", 7),
        ("object.spec[?'missing']", NONE),
        ("[?object.?spec.?missing, 1]", [1]),
        ("optional.of(object.spec.replicas).optMap(n, n + 1).value()", 4),
        ("object.spec.ratio == object.spec.ratio && dyn(1.0) == dyn(1) && dyn(1) < 1.5", True),
        ("dyn(1) == dyn(true) || dyn('1') == dyn(1)", False),
        ("type(object.spec.replicas) == int && type(object.spec.ratio) == double && type(1u) == uint", True),
        ("-7 / 2 == -3 && -7 % 2 == -1 && 7u / 2u == 3u", True),
        ("duration('1h30m') + timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T01:30:00Z')", True),
        ("timestamp('2026-07-01T23:30:00Z').getHours('Europe/Rome')", 1),
        ("timestamp('2026-07-01T23:30:00Z').getDayOfWeek()", 3),
        ("string(duration('90s')) + string(timestamp('2026-01-01T00:00:00.5Z'))", "90s2026-01-01T00:00:00.5Z"),
        ("'%s has %d of %.2f in %s'.format(['a', 3, 0.5, [1, 2]])", "a has 3 of 0.50 in [1, 2]"),
        ("'a-b-c'.split('-', 2).join('+') + 'x'.replace('x', 'yy')", "a+b-cyy"),
        ("sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])", True),
        ("[1, 2, 3].sum() + [4, 5].max() + ['a', 'b'].indexOf('b')", 12),
        ("image('nginx:1.2').repository() + image('a.b/c@sha256:' + '0123456789abcdef' + '0123456789abcdef').tag()", "library/nginx"),
        ("jsonpatch.escapeKey('a/b~c')", "a~1b~0c"),
        ("isSemver('v1.02', true) && !isSemver('v1.02') && semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))", True),
        ("string(ip('::1')) + string(cidr('10.0.0.0/8'))", "::110.0.0.0/8"),
        ("1u + 2u", Uint(3)),
    ],
)  # fmt: skip
def test_answers(text, answer):
    found = ask(text)
    assert found == answer
    assert type(found) is type(answer)


@pytest.mark.parametrize(
    "text",
    [
        "object.missing == 1 || true",
        "true || object.missing == 1",
        "!(object.missing == 1 && false)",
        "[1, 0, 2].exists(x, 2 / x == 1)",
        "!['a', ''].all(x, x.charAt(5) == 'a' && false)",
    ],
)
def test_a_failure_is_forgiven_where_the_other_side_decides(text):
    assert ask(text) is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("object.missing", "no such key: missing"),
        ("object.spec.names[5]", "index out of bounds: 5"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 / 0", "division by zero"),
        ("[1, 0].map(x, 1 / x)", "division by zero"),
        ("object.missing == 1 && true", "no such key: missing"),
        ("object.spec.replicas > 'a'", "no such overload"),
        ("quantity(object.spec.names[0])", "quantities must match the regular expression"),
        ("optional.none().value()", "optional.none() dereference"),
        ("{object.spec.names: 1}", "unsupported key type: list"),
        ("object.spec.labels[object.spec.names]", "unsupported key type: list"),
        ("object.spec.names.transformMapEntry(i, v, {object.spec.names: v})", "unsupported key type: list"),
        ("timestamp(9223372036854775807).getFullYear()", ""),
        ("string(timestamp(-9223372036854775807))", ""),
        ("object.spec.names.sum()", "no such overload"),
        ("ip(object.spec.names[0])", ""),
        ("object.spec.names[0].matches(object.spec.names[0] + '(')", "error parsing regexp"),
        ("timestamp('2026-01-01T00:00:00Z').getHours('No/Where')", "unknown time zone"),
        ("timestamp(object.spec.names[0])", "type conversion error"),
    ],
)
def test_failures_say_why(text, told):
    with pytest.raises(CelError) as failure:
        ask(text)
    assert told in str(failure.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("foo", "undeclared reference to 'foo' (in container '')"),
        ("1 + 'a'", "found no matching overload for '_+_' applied to '(int, string)'"),
        ("quantity('1').isGreaterThan(1)", "found no matching overload for 'isGreaterThan'"),
        ("[1, 'a']", "expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}", "expected type 'int' but found 'string'"),
        ("'a'.matches('(')", "invalid matches argument"),
        ("duration('1x') == duration('1s')", "invalid duration argument"),
        ("optional.of(1)" + ".optMap(v, v)" * 30, "at most 10 times"),
        ("x" * 30_000, "longer than 20000 characters"),
    ],
)
def test_what_does_not_compile(text, told):
    with pytest.raises(CelError) as failure:
        compile_expression(text, tuple(DATA))
    assert told in str(failure.value)


def test_dotted_variables_and_unknown_ones():
    environment = Environment({"variables.a": untyped(()).check("1")[1]})
    assert environment.compile("variables.a + 1").evaluate({"variables.a": 2}) == 3
    with pytest.raises(CelError, match="undeclared reference"):
        environment.compile("variables.b")
