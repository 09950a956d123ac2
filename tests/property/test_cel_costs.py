"""A law of costs: no evaluation costs more than the estimate for data of that size, so what was accepted can run."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.cel.environment import CelError, Environment
from actors.api.cel.estimate import Estimator
from actors.api.structural.messages import MessageTypes
from actors.api.structural.sizes import size_at

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 12},
        "count": {"type": "integer"},
        "names": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 6}},
        "labels": {"type": "object", "maxProperties": 4, "additionalProperties": {"type": "string", "maxLength": 6}},
        "ports": {
            "type": "array",
            "maxItems": 4,
            "items": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 6}, "port": {"type": "integer"}}},
        },
    },
}  # fmt: skip
TEXTS = st.text("ab-é", max_size=6)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text("ab-é", max_size=12),
        "count": st.integers(-5, 5),
        "names": st.lists(TEXTS, max_size=5),
        "labels": st.dictionaries(st.text("ab", min_size=1, max_size=6), TEXTS, max_size=4),
        "ports": st.lists(st.fixed_dictionaries({"name": TEXTS, "port": st.integers(0, 9)}), max_size=4),
    },
)
CONDITIONS = st.sampled_from(
    [
        "self.text.contains('ab')",
        "self.text.matches('^[a-z]+$')",
        "self.text + 'x' == 'abx'",
        "self.text.startsWith(self.text)",
        "self.count > 2",
        "has(self.text) && self.text.size() > 1",
        "self.names.all(n, n.startsWith('a'))",
        "self.names.exists(n, n == self.text)",
        "self.names.all(n, self.names.exists_one(m, n == m))",
        "self.names.map(n, n + 'x').join('-').size() > 3",
        "self.names.filter(n, n in ['a', 'b']).size() > 0",
        "self.labels.all(k, self.labels[k] != k)",
        "self.labels.all(k, v, k.contains(v))",
        "self.ports.all(p, p.port > 1 && p.name.find('[ab]') != '')",
        "self.ports.map(p, p.port).sum() > self.count",
        "self.names.isSorted() && self.names.indexOf('a') >= 0",
        "self.text.replace('a', 'bb').split('b').size() > 1",
        "self.text.lowerAscii().trim() == self.text.substring(0)",
        "sets.contains(self.names, ['a'])",
        "'%s-%d'.format([self.text, self.count]) == 'a'",
        "self.?text.orValue('abc') == 'abc'",
        "quantity('1Gi').isGreaterThan(quantity('1'))",
    ]
)
EXPRESSIONS = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) && ({pair[1]})")
        | st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) || !({pair[1]})")
        | st.tuples(inner, inner, inner).map(lambda three: f"({three[0]}) ? ({three[1]}) : ({three[2]})")
    ),
    max_leaves=4,
)
_TYPES = MessageTypes()
_SELF = _TYPES.add(SCHEMA)
ENVIRONMENT = Environment({"self": _SELF}, _TYPES.pool)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, OBJECTS)
def test_nothing_costs_more_than_was_estimated(text, obj):
    program = ENVIRONMENT.compile(text)
    estimate = Estimator(program.tree, lambda path: size_at(SCHEMA, path)).cost()
    try:
        cost = program.spend({"self": obj}, 1_000_000)[1]
    except CelError:
        return
    assert cost <= estimate.most
