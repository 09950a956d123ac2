import pytest

from actors.api.errors import BadRequest, Invalid
from actors.api.patch import apply_json, apply_merge
from actors.api.strategic_patch import apply_strategic

DEPLOYMENT = {
    "metadata": {"labels": {"a": "1"}},
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}],
                "tolerations": [{"key": "k"}],
            }
        },
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
    },
}


def strategic(patch):
    return apply_strategic(DEPLOYMENT, patch, "apps/v1", "Deployment")


def containers(obj):
    return obj["spec"]["template"]["spec"]["containers"]


def in_template(spec):
    return {"spec": {"template": {"spec": spec}}}


# RFC 7386, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge(target, patch, result):
    assert apply_merge(target, patch) == result


# RFC 6902, appendix A
@pytest.mark.parametrize(
    ("target", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/1"}], {"foo": [1, 3]}),
        ({"baz": "q"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
        ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ],
)
def test_json_patch(target, operations, result):
    assert apply_json(target, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "remove", "path": "/l/-"},
        {"op": "move", "from": "/l", "path": "/l/0"},
        {"op": "add", "path": "/a/b/c", "value": 1},
    ],
)
def test_json_patch_that_fails_is_invalid_and_changes_nothing(operation):
    target = {"a": 1, "l": [1]}
    with pytest.raises(Invalid):
        apply_json(target, [{"op": "add", "path": "/new", "value": 1}, operation])
    assert target == {"a": 1, "l": [1]}


@pytest.mark.parametrize(
    "operations",
    [
        {},
        ["x"],
        [{"op": "add", "path": "/a"}],
        [{"op": "jump", "path": "/a"}],
        [{"op": "move", "path": "/a"}],
        [{"op": "remove", "path": "a"}],
        [{}],
    ],
)
def test_malformed_json_patches_are_bad_requests(operations):
    with pytest.raises(BadRequest):
        apply_json({"a": 1}, operations)


def test_strategic_merges_containers_by_name():
    result = strategic(in_template({"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]}))
    assert containers(result) == [
        {"name": "a", "image": "a:1", "args": ["x"]},
        {"name": "b", "image": "b:2"},
        {"name": "c", "image": "c:1"},
    ]
    assert containers(DEPLOYMENT)[1]["image"] == "b:1"


def test_strategic_delete_directive():
    assert [
        c["name"] for c in containers(strategic(in_template({"containers": [{"name": "a", "$patch": "delete"}]})))
    ] == ["b"]


def test_strategic_replace_directive_on_a_list():
    patch = in_template({"containers": [{"$patch": "replace"}, {"name": "z", "image": "z"}]})
    assert containers(strategic(patch)) == [{"name": "z", "image": "z"}]


def test_strategic_replace_directive_on_an_object():
    result = strategic({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})
    assert result["spec"]["strategy"] == {"type": "Recreate"}


def test_strategic_retain_keys():
    result = strategic({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert result["spec"]["strategy"] == {"type": "Recreate"}


def test_strategic_element_order():
    patch = in_template(
        {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "a:2"}]}
    )
    assert [(c["name"], c["image"]) for c in containers(strategic(patch))] == [("b", "b:1"), ("a", "a:2")]


def test_strategic_atomic_lists_are_replaced():
    assert containers(strategic(in_template({"containers": [{"name": "a", "args": ["y"]}]})))[0]["args"] == ["y"]
    assert strategic(in_template({"tolerations": [{"key": "n"}]}))["spec"]["template"]["spec"]["tolerations"] == [
        {"key": "n"}
    ]


def test_strategic_primitive_lists_are_sets():
    pod = {"metadata": {"finalizers": ["a", "b"]}}
    assert apply_strategic(pod, {"metadata": {"finalizers": ["c"]}}, "v1", "Pod")["metadata"]["finalizers"] == [
        "c",
        "a",
        "b",
    ]
    deleted = apply_strategic(pod, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, "v1", "Pod")
    assert deleted["metadata"]["finalizers"] == ["b"]


def test_what_a_strategic_patch_adds_stands_before_what_it_does_not_speak_of():
    """strategicpatch: mergeSlice puts what was there before the first element of the patch that it stood before."""
    before = {"spec": {"containers": [{"name": name} for name in "abc"]}}

    def names(*patched):
        containers = [{"name": name, "image": "x"} for name in patched]
        merged = apply_strategic(before, {"spec": {"containers": containers}}, "v1", "Pod")
        return "".join(container["name"] for container in merged["spec"]["containers"])

    assert (names("z"), names("b"), names("b", "z"), names("z", "b")) == ("zabc", "abc", "abzc", "zabc")
    assert names("c", "a") == "bca"


def test_strategic_null_removes():
    assert "labels" not in strategic({"metadata": {"labels": None}})["metadata"]


def test_strategic_without_the_merge_key_is_a_bad_request():
    with pytest.raises(BadRequest, match="merge key 'name'"):
        strategic(in_template({"containers": [{"image": "x"}]}))


def test_a_pointer_deeper_than_any_object_is_refused_in_few_words():
    for path in ("/a" * 1_000_000, "a" * 1_000_000):
        with pytest.raises((BadRequest, Invalid)) as refused:
            apply_json({}, [{"op": "add", "path": path, "value": 1}])
        assert len(refused.value.message) < 500
