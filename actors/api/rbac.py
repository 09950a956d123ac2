"""Role-based access control as arithmetic over rules: what a rule allows, whether rules cover others, aggregation.

Pure. Meaning and words are those of Kubernetes (pkg/apis/rbac/v1/evaluation_helpers.go, component-helpers/auth/rbac/
validation/policy_comparator.go). The gateway asks; the store and the controllers hold the roles.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import msgspec

from actors.api.meta import LabelSelector, Resource

GROUP = "rbac.authorization.k8s.io"
ANY = "*"


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as rules see it. `resource` "" is a path that names no resource. `fields`: of what nodes list, the
    (field, value) pairs that its field selector asks for."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Rule(
    msgspec.Struct, frozen=True, rename={"groups": "apiGroups", "names": "resourceNames", "paths": "nonResourceURLs"}
):
    """A PolicyRule. Either of resources or of paths."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None

    def allows(self, asked: Attributes) -> bool:
        if ANY not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.resource:
            return any(_path_matches(path, asked.path) for path in self.paths or ())
        groups, names = self.groups or (), self.names or ()
        return (
            (ANY in groups or asked.group in groups)
            and any(_resource_matches(resource, asked) for resource in self.resources or ())
            and (not names or asked.name in names)
        )

    def to_object(self) -> dict[str, list[str]]:
        """As JSON has it."""
        named = {"verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources}
        named |= {"resourceNames": self.names, "nonResourceURLs": self.paths}
        return {name: list(values) for name, values in named.items() if values}

    def __str__(self) -> str:
        """As kube-apiserver words it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
        parts = (
            ("APIGroups", self.groups),
            ("Resources", self.resources),
            ("NonResourceURLs", self.paths),
            ("ResourceNames", self.names),
            ("Verbs", self.verbs),
        )
        return "{" + ", ".join(f"{name}:{quote_all(values)}" for name, values in parts if values) + "}"


class RoleRef(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class Subject(msgspec.Struct, frozen=True):
    """`kind` is User, Group or ServiceAccount; only the last has a namespace."""

    kind: str = ""
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {quote(f'{self.name}/{self.namespace}' if self.namespace else self.name)}"


class Role(Resource, frozen=True):
    rules: tuple[Rule, ...] | None = None


class AggregationRule(msgspec.Struct, frozen=True, rename="camel"):
    cluster_role_selectors: tuple[LabelSelector, ...] | None = None


class ClusterRole(Resource, frozen=True, rename="camel"):
    rules: tuple[Rule, ...] | None = None
    aggregation_rule: AggregationRule | None = None


class RoleBinding(Resource, frozen=True, rename="camel"):
    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] | None = None


class ClusterRoleBinding(RoleBinding, frozen=True, rename="camel"):
    pass


def quote(text: str) -> str:
    """As Go's %q."""
    return json.dumps(text, ensure_ascii=False)


def quote_all(texts: Iterable[str]) -> str:
    return "[" + " ".join(map(quote, texts)) + "]"


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in (ANY, path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


def _resource_matches(pattern: str, asked: Attributes) -> bool:
    # --- covering: may who holds `owned` hand out `wanted`?
    if pattern == ANY or pattern == asked.full_resource:
        return True
    return bool(asked.subresource) and pattern == f"*/{asked.subresource}"


# --- covering: may who holds `owned` hand out `wanted`?


def find_missing(owned: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that no single rule of `owned` covers, put together again by verb."""
    missing = [part for rule in wanted for part in _atoms(rule) if not any(_covers(mine, part) for mine in owned)]
    return _compact(missing)


def _atoms(rule: Rule) -> Iterator[Rule]:
    """Rules of one group, resource, name and verb each."""
    for path, verb in product(rule.paths or (), rule.verbs):
        yield Rule((verb,), paths=(path,))
    for group, resource, verb in product(rule.groups or (), rule.resources or (), rule.verbs):
        for name in rule.names or ("",):
            yield Rule((verb,), (group,), (resource,), (name,) if name else None)


def _covers(mine: Rule, atom: Rule) -> bool:
    if ANY not in mine.verbs and atom.verbs[0] not in mine.verbs:
        return False
    if atom.paths:
        return any(_covers_path(path, atom.paths[0]) for path in mine.paths or ())
    groups, resources = mine.groups or (), mine.resources or ()
    (group,), (resource,) = atom.groups or ("",), atom.resources or ("",)
    below = f"*/{resource.split('/', 1)[1]}" if "/" in resource else ANY
    return (
        (ANY in groups or group in groups)
        and (ANY in resources or resource in resources or below in resources)
        and (not mine.names or (bool(atom.names) and set(atom.names or ()) <= set(mine.names)))
    )


def _covers_path(mine: str, wanted: str) -> bool:
    return mine == wanted or (mine.endswith("*") and wanted.startswith(mine[:-1]))


def _compact(rules: Iterable[Rule]) -> list[Rule]:
    """Atoms that differ in nothing but their verb become one rule."""
    verbs: dict[Rule, dict[str, None]] = {}
    for rule in rules:
        verbs.setdefault(msgspec.structs.replace(rule, verbs=()), {}).update(dict.fromkeys(rule.verbs))
    return [msgspec.structs.replace(rule, verbs=tuple(found)) for rule, found in verbs.items()]


def aggregate(rules: Iterable[Iterable[Rule]]) -> tuple[Rule, ...]:
    """What a ClusterRole with an aggregationRule holds: all of its parts', each once, in the order of the parts."""
    return tuple(dict.fromkeys(rule for part in rules for rule in part))
