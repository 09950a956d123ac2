"""Nobody hands out what they do not hold: the checks before a role or binding is written.

A patch is tried first (a dry run), what it would make is judged, and it is committed only onto the object that it was
tried on. Members of system:masters hold everything, so nothing is tried for them.
"""

from __future__ import annotations

import msgspec

from actors.api import rbac
from actors.api.codec import Object, lens
from actors.api.errors import Forbidden, NotFound, from_status
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.api.rbac import ClusterRole, Role, RoleBinding, Rule
from actors.gateway.auth.policy import SHAPES, Policy
from actors.gateway.auth.user import User
from actors.reconcile.actions import Create, Patch, Update
from actors.store.port import StorePort

Write = Create | Update | Patch
_EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


async def guard_write(store: StorePort, policy: Policy, user: User, kind: Kind, write: Write) -> Write:
    """The write, held to the object that was judged. Raises Forbidden, and what the write itself would."""
    if kind.resource not in SHAPES or user.is_master or (isinstance(write, Update | Patch) and write.subresource):
        return write
    reply = (await store.commit([msgspec.structs.replace(write, dry_run=True)]))[0]
    if reply.error is not None:
        raise from_status(reply.error)
    assert reply.stored is not None
    judge(policy, user, kind, await _before(store, reply.stored), reply.stored)
    return _held_to(write, reply.stored)


async def _before(store: StorePort, tried: Stored) -> Stored | None:
    """The object that the write was tried on; None when there was none, or it has changed since."""
    try:
        found = await store.get(tried.key)
    except NotFound:
        return None
    return found if found.revision == tried.revision else None


def _held_to(write: Write, tried: Stored) -> Write:
    """With the revision that was judged as precondition, unless the client gave one."""
    if not tried.created_revision or isinstance(write, Create):
        return write
    if isinstance(write, Patch):
        return write if write.revision else msgspec.structs.replace(write, revision=tried.revision)
    metadata = write.object["metadata"]
    if metadata.get("resourceVersion"):
        return write
    held: Object = {**write.object, "metadata": {**metadata, "resourceVersion": str(tried.revision)}}
    return msgspec.structs.replace(write, object=held)


def judge(policy: Policy, user: User, kind: Kind, before: Stored | None, after: Stored) -> None:
    """Raises Forbidden when `after` gives anybody more than `user` holds."""
    shape = SHAPES[kind.resource]
    old, new = (lens(before, shape) if before else None), lens(after, shape)
    if isinstance(new, RoleBinding):
        _judge_binding(policy, user, kind, after.key, old, new)
    elif isinstance(new, Role | ClusterRole):
        _judge_role(policy, user, kind, after.key, old, new)


def _judge_role(policy: Policy, user: User, kind: Kind, key: Key, old: object, new: Role | ClusterRole) -> None:
    aggregation = new.aggregation_rule if isinstance(new, ClusterRole) else None
    unchanged = isinstance(old, Role | ClusterRole) and old.rules == new.rules
    if isinstance(old, ClusterRole) and isinstance(new, ClusterRole):
        unchanged = unchanged and old.aggregation_rule == new.aggregation_rule
    if unchanged or _may(policy, user, "escalate", kind.plural, key):
        return
    held = policy.rules_for(user, key.namespace)
    if aggregation is not None and rbac.find_missing(held, _EVERYTHING):
        why = "must have cluster-admin privileges to use an aggregationRule"
        raise _refusal(kind, key, why)
    _check_covered(user, kind, key, held, new.rules or ())


def _judge_binding(policy: Policy, user: User, kind: Kind, key: Key, old: object, new: RoleBinding) -> None:
    if isinstance(old, RoleBinding) and (old.role_ref, old.subjects) == (new.role_ref, new.subjects):
        return
    ref = new.role_ref
    target = Key("", key.namespace, ref.name)
    if _may(policy, user, "bind", "clusterroles" if ref.kind == "ClusterRole" else "roles", target):
        return
    rules = policy.rules_of(ref.kind, key.namespace, ref.name)
    if rules is None:
        message = f'{ref.kind.lower()}.{rbac.GROUP} "{ref.name}" not found'
        raise NotFound(message, name=ref.name, group=rbac.GROUP, kind=f"{ref.kind.lower()}")
    _check_covered(user, kind, key, policy.rules_for(user, key.namespace), rules)


def _may(policy: Policy, user: User, verb: str, resource: str, key: Key) -> bool:
    asked = rbac.Attributes(verb=verb, group=rbac.GROUP, resource=resource, namespace=key.namespace, name=key.name)
    return policy.decide(user, asked).allowed


def _check_covered(user: User, kind: Kind, key: Key, held: list[Rule], wanted: tuple[Rule, ...]) -> None:
    missing = rbac.find_missing(held, wanted)
    if missing:
        told = "\n".join(sorted({str(rule) for rule in missing}))
        groups = rbac.quote_all(user.groups)
        who = f"user {rbac.quote(user.name)} (groups={groups})"
        raise _refusal(kind, key, f"{who} is attempting to grant RBAC permissions not currently held:\n{told}")


def _refusal(kind: Kind, key: Key, why: str) -> Forbidden:
    message = f'{kind.resource} "{key.name}" is forbidden: {why}'
    return Forbidden(message, name=key.name, group=kind.group, kind=kind.plural)
