"""Laws of structural schemas: pruning and defaulting settle at once, and defaults that were accepted are valid."""

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.crd.check import check_schema
from actors.api.structural.defaults import apply_defaults
from actors.api.structural.node import compile_node
from actors.api.structural.prune import prune
from actors.api.structural.rules import check_rules
from actors.api.structural.validate import validate

NAMES = st.sampled_from(["a", "b", "c-d", "int", "kind"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from(["", "a", "x1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"maxLength": st.integers(0, 2), "default": st.sampled_from(["", "a"])}
    ),
    st.fixed_dictionaries(
        {"type": st.just("integer")},
        optional={"minimum": st.integers(-3, 3), "default": st.integers(-3, 3), "nullable": st.booleans()},
    ),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({"x-kubernetes-preserve-unknown-fields": True}),
)


def _grown(inner):
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={
            "x-kubernetes-preserve-unknown-fields": st.booleans(),
            "default": st.just({}),
            "nullable": st.booleans(),
        },
    )
    maps = st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner})
    lists = st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(0, 2)})
    return objects | maps | lists


SCHEMAS = st.dictionaries(
    NAMES.filter(lambda name: name != "kind"), st.recursive(LEAVES, _grown, max_leaves=6), max_size=4
).map(lambda properties: {"type": "object", "properties": properties})


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_pruning_and_defaulting_settle_at_once(schema, obj):
    node = compile_node(schema)
    once = apply_defaults(prune(obj, node, root=True), node)
    assert apply_defaults(prune(once, node, root=True), node) == once
    unknown = []
    prune(once, node, root=True, unknown=unknown)
    assert unknown == []


@settings(max_examples=200, deadline=None)
@given(SCHEMAS)
def test_defaults_that_were_accepted_make_valid_objects(schema):
    if list(check_schema(schema, "s")):
        return
    node = compile_node(schema)
    assert validate(apply_defaults({}, node), node) == []


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_anything_as_a_schema_gets_an_answer(schema):
    list(check_schema(schema, "s"))


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, VALUES)
def test_anything_as_an_object_gets_an_answer(schema, obj):
    node = compile_node(schema)
    if not validate(apply_defaults(prune(obj, node, root=True), node), node):
        check_rules(obj, node)
