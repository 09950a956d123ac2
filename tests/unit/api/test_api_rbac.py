from __future__ import annotations

import pytest

from actors.api.default_roles import default_bindings, default_roles, parse_rule
from actors.api.rbac import Attributes, Rule, aggregate, find_missing
from actors.api.validation import validate


def asked(verb: str, resource: str = "", **more: str) -> Attributes:
    plural, _, subresource = resource.partition("/")
    return Attributes(verb=verb, resource=plural, subresource=subresource, **more)


@pytest.mark.parametrize(
    ("words", "attributes", "allowed"),
    [
        ("get core pods", asked("get", "pods"), True),
        ("get core pods", asked("list", "pods"), False),
        ("get core pods", asked("get", "pods", group="apps"), False),
        ("get core pods", asked("get", "pods/log"), False),
        ("get core pods/log", asked("get", "pods/log"), True),
        ("get core pods/log", asked("get", "pods"), False),
        ("update * */scale", asked("update", "deployments/scale", group="apps"), True),
        ("update * */scale", asked("update", "deployments", group="apps"), False),
        ("* * *", asked("anything", "x/y", group="z"), True),
        ("* * *", asked("get", path="/metrics"), False),
        ("get core secrets a,b", asked("get", "secrets", name="b"), True),
        ("get core secrets a,b", asked("get", "secrets", name="c"), False),
        ("list core secrets a,b", asked("list", "secrets"), False),
        ("get url /api/*", asked("get", path="/api/v1"), True),
        ("get url /api/*", asked("get", path="/api"), False),
        ("get url /api", asked("get", path="/api/v1"), False),
        ("* url *", asked("post", path="/x"), True),
        ("* url *", asked("get", "pods"), False),
    ],
)
def test_what_a_rule_allows(words: str, attributes: Attributes, allowed: bool) -> None:
    assert parse_rule(words).allows(attributes) is allowed


@pytest.mark.parametrize(
    ("owned", "wanted", "missing"),
    [
        (["get,list core pods"], ["get core pods"], []),
        (["get core pods"], ["get,list core pods"], ['{APIGroups:[""], Resources:["pods"], Verbs:["list"]}']),
        (["get core pods", "list core pods"], ["get,list core pods"], []),
        (["* * *"], ["get url /x"], ['{NonResourceURLs:["/x"], Verbs:["get"]}']),
        (["* * *", "* url *"], ["get url /x", "* * *"], []),
        (["get core pods a"], ["get core pods"], ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}']),
        (["get core pods"], ["get core pods a"], []),
        (
            ["get core pods a"],
            ["get core pods a,b"],
            ['{APIGroups:[""], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}'],
        ),
        (["get core pods"], ["* core pods"], ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']),
        (["get core */log"], ["get core pods/log"], []),
        (["get core pods"], ["get core pods/log"], ['{APIGroups:[""], Resources:["pods/log"], Verbs:["get"]}']),
        (["get url /api/*"], ["get url /api/v1,/apis"], ['{NonResourceURLs:["/apis"], Verbs:["get"]}']),
    ],
)
def test_nothing_is_handed_out_that_is_not_held(owned: list[str], wanted: list[str], missing: list[str]) -> None:
    found = find_missing([parse_rule(words) for words in owned], [parse_rule(words) for words in wanted])
    assert [str(rule) for rule in found] == missing


def test_aggregation_takes_each_rule_once_in_order() -> None:
    one, two = Rule(("get",), ("",), ("pods",)), Rule(("list",), ("",), ("pods",))
    assert aggregate([(one, two), (two,)]) == (one, two)


def test_every_default_role_and_binding_is_valid_and_bound() -> None:
    roles = {role["metadata"]["name"]: role for role in default_roles()}
    assert [cause for obj in (*roles.values(), *default_bindings()) for cause in validate(obj)] == []
    assert all(binding["roleRef"]["name"] in roles for binding in default_bindings())
    view = [roles[part]["rules"] for part in ("system:aggregate-to-view", "system:aggregated-metrics-reader")]
    assert roles["view"]["rules"] == [rule for rules in view for rule in rules]
    for lesser, greater in (("view", "edit"), ("edit", "admin")):
        assert all(rule in roles[greater]["rules"] for rule in roles[lesser]["rules"])
    assert {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]} in roles["admin"]["rules"]


def test_bad_roles_and_bindings_are_told_all_at_once() -> None:
    group = "rbac.authorization.k8s.io"
    rules = [{"resources": ["pods"]}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "a:b"}, "rules": rules}
    assert [cause.field for cause in validate(role)] == [
        "rules[0].verbs",
        "rules[0].apiGroups",
        "rules[1].nonResourceURLs",
    ]
    binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "a/b"}}
    binding |= {"roleRef": {"apiGroup": group, "kind": "Role", "name": ""}, "subjects": [{"kind": "ServiceAccount"}]}
    assert [cause.field for cause in validate(binding)] == [
        "metadata.name",
        "roleRef.kind",
        "roleRef.name",
        "subjects[0].name",
        "subjects[0].namespace",
    ]
    kept = {**binding, "metadata": {"name": "a"}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "x"}}
    kept["subjects"] = []
    assert validate(kept, kept) == []
    assert [cause.message.rsplit(": ")[-1] for cause in validate(kept, {**kept, "roleRef": {}})] == [
        "cannot change roleRef"
    ]
