"""For any two documents, the patch that a plain difference of them makes turns one into the other, in each kind.

The differences are made here, by the standards' definitions (RFC 6902, RFC 7386, strategic-merge-patch.md), without
the product's code: what a client computes and what the server applies must agree.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.errors import ApiError, BadRequest, Invalid, TooLarge
from actors.api.patch import apply_json, apply_merge
from actors.api.strategic_patch import apply_strategic

Json = Any
NAMES = st.text(alphabet="ab/~0", min_size=0, max_size=3)
SCALARS = st.booleans() | st.integers(-3, 3) | st.text(max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=10
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)


def same(left: Json, right: Json) -> bool:
    """As JSON: true is not 1."""
    return repr(_sorted(left)) == repr(_sorted(right))


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


# --- JSON patch ---------------------------------------------------------------------------------------------------


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def json_difference(old: Json, new: Json, path: str = "") -> list[Json]:
    if isinstance(old, dict) and isinstance(new, dict):
        operations = [{"op": "remove", "path": f"{path}/{escaped(name)}"} for name in old if name not in new]
        for name, value in new.items():
            at = f"{path}/{escaped(name)}"
            operations += (
                json_difference(old[name], value, at) if name in old else [{"op": "add", "path": at, "value": value}]
            )
        return operations
    if isinstance(old, list) and isinstance(new, list):
        shared = min(len(old), len(new))
        operations = [op for at in range(shared) for op in json_difference(old[at], new[at], f"{path}/{at}")]
        operations += [{"op": "remove", "path": f"{path}/{at}"} for at in range(len(old) - 1, shared - 1, -1)]
        return operations + [{"op": "add", "path": f"{path}/-", "value": value} for value in new[shared:]]
    return [] if same(old, new) else [{"op": "replace", "path": path, "value": new}]


@given(DOCUMENTS, DOCUMENTS)
def test_a_json_difference_leads_from_one_to_the_other(old: Json, new: Json) -> None:
    operations = json_difference(old, new)
    assert same(apply_json(old, operations), new)
    checked = [{"op": "test", "path": "", "value": old}, *operations, {"op": "test", "path": "", "value": new}]
    assert same(apply_json(old, checked), new)
    with pytest.raises(ApiError):
        apply_json(old, [*operations, {"op": "test", "path": "", "value": {**new, "other": 0}}])


POINTERS = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "01", ""]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "no"]), "path": POINTERS},
    optional={"from": POINTERS, "value": VALUES},
)
SMALL = st.dictionaries(st.sampled_from(["a", "b", "0"]), VALUES | st.none(), max_size=3)


@given(SMALL, st.lists(OPERATIONS, max_size=6))
def test_operations_are_carried_out_one_after_the_other_or_not_at_all(target: Json, operations: list[Json]) -> None:
    before = repr(target), repr(operations)
    step, failed = target, False
    for operation in operations:
        try:
            step = apply_json(step, [operation])
        except (BadRequest, Invalid, TooLarge):
            failed = True
            break
    try:
        whole = apply_json(target, operations)
    except ApiError:
        assert failed
    else:
        assert not failed and same(whole, step)
    assert (repr(target), repr(operations)) == before


@given(SMALL, POINTERS, POINTERS, VALUES)
def test_operations_are_made_of_each_other(target: Json, path: str, source: str, value: Json) -> None:
    def outcome(*operations: Json) -> str:
        try:
            return repr(_sorted(apply_json(target, list(operations))))
        except ApiError:
            return "refused"

    if source:
        moved = outcome({"op": "move", "from": source, "path": "/fresh"})
        assert moved == outcome({"op": "copy", "from": source, "path": "/fresh"}, {"op": "remove", "path": source})
    if path and path.rsplit("/", 1)[1] != "-":
        removed_and_added = outcome({"op": "remove", "path": path}, {"op": "add", "path": path, "value": value})
        assert outcome({"op": "replace", "path": path, "value": value}) == removed_and_added


# --- merge patch --------------------------------------------------------------------------------------------------


def merge_difference(old: Json, new: Json) -> Json:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    removed = {name: None for name in old if name not in new}
    changed = {
        name: merge_difference(old.get(name), value)
        for name, value in new.items()
        if name not in old or not same(old[name], value)
    }
    return {**removed, **changed}


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_difference_leads_from_one_to_the_other(old: Json, new: Json) -> None:
    assert same(apply_merge(old, merge_difference(old, new)), new)


# --- strategic merge patch ----------------------------------------------------------------------------------------

ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("AB"), "value": st.sampled_from("12")}),
    max_size=2,
    unique_by=lambda env: env["name"],
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd"), "image": st.sampled_from("xy")},
        optional={"args": st.lists(st.sampled_from("pq"), max_size=3), "env": ENV},
    ),
    max_size=4,
    unique_by=lambda container: container["name"],
)
FINALIZERS = st.lists(st.sampled_from(["a/1", "a/2", "a/3"]), unique=True, max_size=3)
PODS = st.builds(
    lambda labels, finalizers, containers, selector: {
        "metadata": {"labels": labels, "finalizers": finalizers},
        "spec": {"containers": containers, "nodeSelector": selector},
    },
    st.dictionaries(st.sampled_from("kl"), st.sampled_from("12"), max_size=2),
    FINALIZERS,
    CONTAINERS,
    st.dictionaries(st.sampled_from("mn"), st.sampled_from("12"), max_size=2),
)


def strategic_difference(old: Json, new: Json) -> Json:
    patch: dict[str, Json] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if same(before, value):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[name] = strategic_difference(before, value)
        elif name in ("containers", "env") and isinstance(before, list):
            patch[name] = _keyed_difference(before, value)
            patch[f"$setElementOrder/{name}"] = [{"name": item["name"]} for item in value]
        elif name == "finalizers" and isinstance(before, list):
            patch[name] = [item for item in value if item not in before]
            patch[f"$deleteFromPrimitiveList/{name}"] = [item for item in before if item not in value]
            patch[f"$setElementOrder/{name}"] = value
        else:
            patch[name] = value
    return patch


def _keyed_difference(old: list[Json], new: list[Json]) -> list[Json]:
    known = {item["name"]: item for item in old}
    wanted = {item["name"] for item in new}
    changed = [
        {**strategic_difference(known[item["name"]], item), "name": item["name"]} if item["name"] in known else item
        for item in new
        if not same(known.get(item["name"]), item)
    ]
    return [*changed, *({"name": name, "$patch": "delete"} for name in known if name not in wanted)]


@given(PODS, PODS)
def test_a_strategic_difference_leads_from_one_to_the_other(old: Json, new: Json) -> None:
    before = repr(old)
    assert same(apply_strategic(old, strategic_difference(old, new), "v1", "Pod"), new)
    assert repr(old) == before


@given(PODS, PODS, PODS)
def test_what_a_strategic_patch_does_not_name_stays(old: Json, new: Json, other: Json) -> None:
    """Two clients, each with a difference of its own part, do not undo each other."""
    labels = strategic_difference({"metadata": old["metadata"]}, {"metadata": new["metadata"]})
    spec = strategic_difference({"spec": old["spec"]}, {"spec": other["spec"]})
    one_way = apply_strategic(apply_strategic(old, labels, "v1", "Pod"), spec, "v1", "Pod")
    other_way = apply_strategic(apply_strategic(old, spec, "v1", "Pod"), labels, "v1", "Pod")
    assert same(one_way, other_way)
    assert same(one_way, {"metadata": new["metadata"], "spec": other["spec"]})
