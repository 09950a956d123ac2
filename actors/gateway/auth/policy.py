"""The roles and bindings at one revision, and what they allow whom. Immutable but for what it has worked out.

What is worked out for a user is kept with the policy, which the next revision replaces: so an answer costs a look-up,
and none outlives the rules that it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from actors.api import rbac
from actors.api.key import Key
from actors.api.meta import Resource
from actors.api.rbac import Attributes, ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule, Subject
from actors.gateway.auth.nodes.authorizer import NodeAuthorizer
from actors.gateway.auth.user import User, node_of, service_account_name

_ANSWERS_MAX = 10_000
#: Reviews ask in any words, of any user: what is longer is worked out anew, not kept.
_KEPT_CHARS_MAX = 4096
#: The shape of each resource that makes up a policy.
SHAPES: dict[str, type[Resource]] = {
    f"roles.{rbac.GROUP}": Role,
    f"clusterroles.{rbac.GROUP}": ClusterRole,
    f"rolebindings.{rbac.GROUP}": RoleBinding,
    f"clusterrolebindings.{rbac.GROUP}": ClusterRoleBinding,
}
_SUBJECT_KINDS = ("User", "Group", "ServiceAccount")


class Decision(NamedTuple):
    """`reason` is for the one who asks: what allowed it, or which roles are missing."""

    allowed: bool
    reason: str = ""


class Grant(NamedTuple):
    """Some rules, in one API namespace ("": everywhere), and by what they were given."""

    namespace: str
    rules: tuple[Rule, ...]
    binding: str
    error: str = ""


class Policy:
    def __init__(self, objects: Mapping[Key, Resource], revision: int = 0, nodes: NodeAuthorizer | None = None) -> None:
        """`nodes` is asked first about what nodes do, and never kept: it is of the very moment."""
        self.revision, self._nodes = revision, nodes
        self._roles = {key: obj for key, obj in objects.items() if isinstance(obj, Role | ClusterRole)}
        self._bindings: dict[tuple[str, str], list[tuple[Key, RoleBinding, Subject]]] = {}
        for key, obj in sorted(objects.items()):
            if isinstance(obj, RoleBinding):
                self._index(key, obj)
        self._grants: dict[User, tuple[Grant, ...]] = {}
        self._answers: dict[tuple[User, Attributes], Decision] = {}

    def _index(self, key: Key, binding: RoleBinding) -> None:
        for subject in binding.subjects or ():
            if subject.kind in _SUBJECT_KINDS:
                self._bindings.setdefault(_index_key(subject, key.namespace), []).append((key, binding, subject))

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Members of system:masters may do everything, whatever the roles say."""
        if user.is_master:
            return Decision(True)
        if self._nodes is not None and (node := node_of(user)) is not None:
            opinion = self._nodes.decide(node, asked)
            return Decision(True, opinion.reason) if opinion.allowed else self._decide_next(user, asked, opinion.reason)
        if asked.fields:
            asked = msgspec.structs.replace(asked, fields=())
        known = self._answers.get((user, asked))
        if known is None:
            known = self._decide(user, asked)
            if len(repr((user, asked))) <= _KEPT_CHARS_MAX:
                if len(self._answers) >= _ANSWERS_MAX:
                    self._answers.clear()
                self._answers[user, asked] = known
        return known

    def _decide_next(self, user: User, asked: Attributes, before: str) -> Decision:
        """What RBAC says, where the authorizer before it had no opinion, for that reason."""
        decision = self._decide(user, asked)
        reasons = "\n".join(filter(None, (before, decision.reason)))
        return decision if decision.allowed else Decision(False, reasons)

    def _decide(self, user: User, asked: Attributes) -> Decision:
        grants = list(self._within(user, asked.namespace))
        for grant in grants:
            if any(rule.allows(asked) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant.binding}")
        errors = [grant.error for grant in grants if grant.error]
        if not errors:
            return Decision(False)
        return Decision(False, f"RBAC: {errors[0] if len(errors) == 1 else '[' + ', '.join(errors) + ']'}")

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """All that the user holds there, cluster-wide rules included."""
        return [rule for grant in self._within(user, namespace) for rule in grant.rules]

    def rules_of(self, kind: str, namespace: str, name: str) -> tuple[Rule, ...] | None:
        """Of a Role or ClusterRole; None where there is none of that name."""
        plural = "clusterroles" if kind == "ClusterRole" else "roles"
        role = self._roles.get(Key(f"{plural}.{rbac.GROUP}", "" if kind == "ClusterRole" else namespace, name))
        return None if role is None else role.rules or ()

    def _within(self, user: User, namespace: str) -> Iterator[Grant]:
        grants = self._grants.get(user)
        if grants is None:
            grants = tuple(self._resolve(user))
            if len(repr(user)) <= _KEPT_CHARS_MAX:
                if len(self._grants) >= _ANSWERS_MAX:
                    self._grants.clear()
                self._grants[user] = grants
        return (grant for grant in grants if grant.namespace in ("", namespace))

    def _resolve(self, user: User) -> Iterable[Grant]:
        """Cluster-wide grants first, as they are asked most."""
        found = [entry for who in _names_of(user) for entry in self._bindings.get(who, ())]
        for key, binding, subject in sorted(found, key=lambda entry: (entry[0].namespace != "", entry[0])):
            ref = binding.role_ref
            rules = self.rules_of(ref.kind, key.namespace, ref.name)
            label = _binding_label(key)
            error = f'{ref.kind.lower()}.{rbac.GROUP} "{ref.name}" not found' if rules is None else ""
            given = f"{label} of {ref.kind} {rbac.quote(ref.name)} to {subject}"
            yield Grant(key.namespace, rules or (), given, error)


def _binding_label(key: Key) -> str:
    if key.namespace:
        return f"RoleBinding {rbac.quote(f'{key.name}/{key.namespace}')}"
    return f"ClusterRoleBinding {rbac.quote(key.name)}"


def _index_key(subject: Subject, namespace: str) -> tuple[str, str]:
    if subject.kind == "ServiceAccount":
        return "User", service_account_name(subject.namespace or namespace, subject.name)
    return subject.kind, subject.name


def _names_of(user: User) -> Iterator[tuple[str, str]]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group
