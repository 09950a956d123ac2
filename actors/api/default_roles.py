"""The roles and bindings that every cluster has, from the table `default_roles.json`, as objects to be created.

A row's rule is words: `VERBS GROUPS RESOURCES [NAMES]` or `VERBS url PATHS`, lists by comma, `core` for the group "".
`joins` names the role that it is aggregated into; `aggregates` marks one that is made of those. A role of a
controller, `system:controller:x`, is bound to the service account `x` of kube-system.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

from actors.api.codec import Object
from actors.api.rbac import GROUP, Rule, aggregate

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_AGGREGATE = f"{GROUP}/aggregate-to-"
_CONTROLLER = "system:controller:"
_VERSION = f"{GROUP}/v1"


class _Row(msgspec.Struct, frozen=True):
    rules: tuple[str, ...] = ()
    joins: str = ""
    aggregates: bool = False


class _Table(msgspec.Struct, frozen=True):
    roles: dict[str, _Row]
    bindings: dict[str, tuple[str, ...]]


@cache
def _table() -> _Table:
    text = resources.files("actors.api").joinpath("default_roles.json").read_bytes()
    return msgspec.json.decode(text, type=_Table)


def default_roles() -> list[Object]:
    """ClusterRoles, by name; those that aggregate come with what their parts hold."""
    return [_role(name, row) for name, row in sorted(_table().roles.items())]


def default_bindings() -> list[Object]:
    """ClusterRoleBindings, by name, each of the role of that name."""
    table = _table()
    controllers = {
        name: (f"ServiceAccount {name.removeprefix(_CONTROLLER)} kube-system",)
        for name in table.roles
        if name.startswith(_CONTROLLER)
    }
    return [_binding(name, subjects) for name, subjects in sorted({**table.bindings, **controllers}.items())]


def _role(name: str, row: _Row) -> Object:
    obj: Object = {"apiVersion": _VERSION, "kind": "ClusterRole", "metadata": _metadata(name)}
    if row.joins:
        obj["metadata"]["labels"][f"{_AGGREGATE}{row.joins}"] = "true"
    if row.aggregates:
        obj["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]}
    return {**obj, "rules": [rule.to_object() for rule in _rules(name)]}


def rules_of_default(name: str) -> tuple[Rule, ...]:
    """Of the default role of that name, whatever has become of the one that is stored."""
    return _rules(name)


def _rules(name: str) -> tuple[Rule, ...]:
    row = _table().roles[name]
    if row.aggregates:
        return aggregate(_rules(part) for part, other in sorted(_table().roles.items()) if other.joins == name)
    return tuple(map(parse_rule, row.rules))


def parse_rule(words: str) -> Rule:
    verbs, *rest = words.split(" ")
    match rest:
        case ["url", paths]:
            return Rule(_list(verbs), paths=_list(paths))
        case [groups, kinds, *names]:
            group_names = tuple("" if group == "core" else group for group in _list(groups))
            return Rule(_list(verbs), group_names, _list(kinds), _list(names[0]) if names else None)
    raise ValueError(f"not a rule: {words!r}")


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _binding(name: str, subjects: tuple[str, ...]) -> Object:
    return {
        "apiVersion": _VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [_subject(*subject.split(" ")) for subject in subjects],
    }


def _subject(kind: str, name: str, namespace: str = "") -> Object:
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"apiGroup": GROUP, "kind": kind, "name": name}


def _metadata(name: str) -> Object:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTOUPDATE: "true"},
    }
