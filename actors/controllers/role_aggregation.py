"""ClusterRoles with an aggregationRule hold the rules of those that it selects (clusterroleaggregation controller)."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis
from actors.api.errors import BadRequest
from actors.api.key import Key
from actors.api.kinds import CLUSTER_ROLE
from actors.api.rbac import ClusterRole, aggregate
from actors.api.selector import from_selector
from actors.reconcile.actions import Action, Patch
from actors.reconcile.controller import controller
from actors.reconcile.view import View


def aggregating(key: Key, role: ClusterRole, view: View) -> Iterable[Key]:
    """Any change of a role may concern all that are made of others; there are few."""
    return [Key(CLUSTER_ROLE.resource, "", r.metadata.name) for r in view.all(ClusterRole) if r.aggregation_rule]


@controller(ClusterRole, watches={ClusterRole: aggregating})
def reconcile(role: ClusterRole, view: View, now: Millis) -> Iterable[Action]:
    if role.aggregation_rule is None or role.metadata.is_deleting:
        return
    rules = aggregate(part.rules or () for part in view.all(ClusterRole) if _is_part(part, role))
    if rules != (role.rules or ()):
        patch = {"rules": [rule.to_object() for rule in rules]}
        yield Patch(
            key=Key(CLUSTER_ROLE.resource, "", role.metadata.name),
            patch=patch,
            uid=role.metadata.uid,
            revision=role.metadata.revision,
            manager="clusterrole-aggregation-controller",
        )


def _is_part(part: ClusterRole, role: ClusterRole) -> bool:
    if part.metadata.name == role.metadata.name or role.aggregation_rule is None:
        return False
    labels = part.metadata.labels or {}
    try:
        matchers = [from_selector(selector) for selector in role.aggregation_rule.cluster_role_selectors or ()]
    except BadRequest:
        return False
    return any(matcher.matches(labels) for matcher in matchers)
