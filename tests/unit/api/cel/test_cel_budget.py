"""Every evaluation ends: at Kubernetes' prices, whatever the expression and its data are."""

import contextlib
import time

import pytest

from actors.api.cel.environment import CALL_COST_MAX, CelError, compile_expression
from actors.api.cel.values import OutOfBudget

DATA = {"items": list(range(2000)), "text": "a" * 500_000, "deep": [[[[i] * 30] * 30] * 30 for i in range(3)]}


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("a.b.c", 3),
        ("a.b.c == 'xyz'", 4),
        ("has(a.b)", 1),
        ("a.b.c + 'y'", 4),
        ("[1, 2].size()", 11),
        ("{'a': 1}.a", 31),
        ("a.b.c.startsWith('x') && true", 4),
        ("a.b.c == 'x' ? 1 : a.b.c.size()", 8),
        ("quantity('1') == quantity('2')", 3),
    ],
)
def test_prices(text, cost):
    data = {"a": {"b": {"c": "abc"}}}
    assert compile_expression(text, ("a",)).spend(data, CALL_COST_MAX)[1] == cost


@pytest.mark.parametrize(
    "text",
    [
        "items.all(a, items.all(b, items.all(c, a + b + c >= 0)))",
        "items.map(a, items.map(b, items.map(c, text))).size() > 0",
        "items.map(a, items + items).map(a, a + a).map(a, a + a).size() > 0",
        "items.map(x, text + text).size() > 0",
        "text.contains(text + 'b')",
        "items.all(x, text.matches('^(a+)+$') || text.matches('(a|aa)+b'))",
        "items.all(x, deep == deep && deep == deep)",
        "items.all(x, items.all(y, text.replace('a', text) != ''))",
        "text.replace('a', text).replace('a', text).size() > 0",
        "items.all(x, '%s%s'.format([text, text]).split('').size() > 0)",
        "items.all(x, sets.equivalent(items, items))",
        "items.map(x, items.transformMap(i, v, text)).size() > 0",
        "items.exists(x, items.exists(y, deep in deep && false))",
        "items.all(x, items.isSorted() && items.indexOf(-1) == -1 && items.all(y, items.max() > 0))",
        "items.all(x, items.all(y, duration('1h') < duration('2h') && quantity('1').add(quantity('2')).asInteger() == 3))",
    ],
)
def test_bombs_end_soon(text):
    program = compile_expression(text, tuple(DATA))
    began = time.process_time()
    with contextlib.suppress(CelError):
        program.evaluate(DATA)
    assert time.process_time() - began < 4


def test_nothing_makes_up_for_a_spent_budget():
    program = compile_expression("items.all(x, items.all(y, items.all(z, x + y + z > -1))) || true", tuple(DATA))
    with pytest.raises(OutOfBudget):
        program.evaluate(DATA)
