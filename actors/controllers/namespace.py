"""Namespaces: each has its default service account; a terminating one is emptied, then let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.kinds import NAMESPACE, SERVICE_ACCOUNT
from actors.api.meta import Resource
from actors.api.workloads import Namespace
from actors.reconcile.actions import Action, Create, Delete, Patch, Propagation
from actors.reconcile.conditions import condition, differs, with_conditions
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
    left = view.in_namespace(ns.metadata.name)
    for key in left:
        obj = view.at(key)
        if obj is not None and not obj.metadata.is_deleting:
            yield Delete(key=key, uid=obj.metadata.uid, propagation=Propagation.BACKGROUND)
    finalizers = ns.spec.finalizers or ()
    if left:
        yield from _report(ns, left, now)
    elif _FINALIZER in finalizers:
        kept = [name for name in finalizers if name != _FINALIZER]
        yield Patch(key=_key(ns), patch={"spec": {"finalizers": kept}}, subresource="finalize", uid=ns.metadata.uid)


def _report(ns: Namespace, left: Sequence[Key], now: Millis) -> Iterable[Action]:
    """What it still waits for, in the words of `kubectl describe namespace`."""
    counts = sorted(Counter(key.resource for key in left if key.resource != "events").items())
    text = ", ".join(f"{resource} has {count} resource instances" for resource, count in counts)
    news = [
        condition(
            "NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {text}", now
        )
    ]
    if text and differs(ns.status.conditions, news):
        patch = {"status": {"conditions": with_conditions(ns.status.conditions, news)}}
        yield Patch(key=_key(ns), patch=patch, subresource="status", uid=ns.metadata.uid)


def _key(ns: Namespace) -> Key:
    return Key(NAMESPACE.resource, "", ns.metadata.name)
