"""Laws of patches, for any JSON."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from actors.api.patch import apply_json, apply_merge
from actors.api.strategic_patch import apply_strategic

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
names = st.text(alphabet="abc/~", min_size=1, max_size=2)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(names, values, max_size=4)


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


@given(objects, objects)
def test_a_merge_patch_applied_twice_is_applied_once(target, patch):
    once = apply_merge(target, patch)
    assert apply_merge(once, patch) == once


@given(objects, objects)
def test_merging_onto_nothing_is_the_patch_without_nulls(target, patch):
    assert apply_merge({}, patch) == without_nulls(patch)
    assert apply_merge(target, {}) == target


@given(objects, objects)
def test_patches_never_change_their_input(target, patch):
    before = copy.deepcopy((target, patch))
    apply_merge(target, patch)
    apply_strategic(target, patch, "v1", "Pod")
    apply_json(target, [{"op": "add", "path": "/new", "value": patch}])
    assert (target, patch) == before


def pointer(name):
    return "/" + name.replace("~", "~0").replace("/", "~1")


@given(objects, names, values)
def test_a_json_patch_that_adds_and_removes_is_undone(target, name, value):
    target.pop(name, None)
    added = apply_json(target, [{"op": "add", "path": pointer(name), "value": value}])
    assert added == {**target, name: value}
    assert (
        apply_json(
            added, [{"op": "test", "path": pointer(name), "value": value}, {"op": "remove", "path": pointer(name)}]
        )
        == target
    )


containers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xyz")}),
    max_size=4,
    unique_by=lambda container: container["name"],
)


@given(containers, containers)
def test_strategic_merge_keeps_one_container_of_each_name(old, patch):
    merged = apply_strategic({"spec": {"containers": old}}, {"spec": {"containers": patch}}, "v1", "Pod")
    by_name = {container["name"]: container for container in merged["spec"]["containers"]}
    assert len(by_name) == len(merged["spec"]["containers"])
    assert set(by_name) == {container["name"] for container in [*old, *patch]}
    for container in patch:
        assert container.items() <= by_name[container["name"]].items()
