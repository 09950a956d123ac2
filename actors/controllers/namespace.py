"""Namespaces: each has its default service account; a terminating one is emptied, then let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.kinds import NAMESPACE, POD, SERVICE_ACCOUNT
from actors.api.meta import Resource
from actors.api.namespaces import Namespace
from actors.controllers.namespace_conditions import Remaining, told
from actors.reconcile.actions import Action, Create, Delete, Patch, Propagation
from actors.reconcile.conditions import differs, with_conditions
from actors.reconcile.controller import controller
from actors.reconcile.view import View

_FINALIZER = "kubernetes"
_ACCOUNT = "default"


def home(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The namespace of the object, when it is terminating or the object is one that it must have."""
    at = Key(NAMESPACE.resource, "", key.namespace)
    ns = view.at(at) if key.namespace else None
    if ns is not None and (ns.metadata.is_deleting or key.name == _ACCOUNT):
        yield at


@controller(Namespace, watches={Resource: home})
def reconcile(ns: Namespace, view: View, now: Millis) -> Iterable[Action]:
    if ns.metadata.is_deleting:
        yield from _empty(ns, view, now)
    elif view.at(Key(SERVICE_ACCOUNT.resource, ns.metadata.name, _ACCOUNT)) is None:
        yield _default_account(ns.metadata.name)


def _default_account(namespace: str) -> Create:
    metadata = {"name": _ACCOUNT, "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return Create(resource=SERVICE_ACCOUNT.resource, namespace=namespace, object=account)


def _empty(ns: Namespace, view: View, now: Millis) -> Iterable[Action]:
    """Pods first: what they mount and who they are stays with them to their end (KEP-5080)."""
    left = view.in_namespace(ns.metadata.name)
    pods = [key for key in left if key.resource == POD.resource]
    doomed = [Delete(key=key, uid=uid, propagation=Propagation.BACKGROUND) for key, uid in _alive(pods or left, view)]
    yield from doomed
    if not doomed or view.undeleted:
        yield from _report(ns, told(_remaining(pods or left, view), view.undeleted, now))
    finalizers = ns.spec.finalizers or ()
    if not left and _FINALIZER in finalizers:
        kept = [name for name in finalizers if name != _FINALIZER]
        yield Patch(key=_key(ns), patch={"spec": {"finalizers": kept}}, subresource="finalize", uid=ns.metadata.uid)


def _alive(keys: Iterable[Key], view: View) -> Iterator[tuple[Key, str]]:
    """Those that nobody has deleted yet, with their uids."""
    for key in keys:
        obj = view.at(key)
        if obj is not None and not obj.metadata.is_deleting:
            yield key, obj.metadata.uid


def _remaining(keys: Sequence[Key], view: View) -> Remaining:
    found = (view.at(key) for key in keys)
    finalizers = Counter(name for obj in found if obj is not None for name in obj.metadata.finalizers or ())
    return Remaining(Counter(key.resource for key in keys), finalizers)


def _report(ns: Namespace, news: Sequence[dict[str, Any]]) -> Iterable[Action]:
    if differs(ns.status.conditions, news):
        patch = {"status": {"conditions": with_conditions(ns.status.conditions, news)}}
        yield Patch(key=_key(ns), patch=patch, subresource="status", uid=ns.metadata.uid)


def _key(ns: Namespace) -> Key:
    return Key(NAMESPACE.resource, "", ns.metadata.name)
