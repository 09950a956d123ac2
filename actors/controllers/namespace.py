"""Namespaces: each has its default service account; a terminating one is emptied, then let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT, Kind
from actors.api.meta import Resource
from actors.api.workloads import Namespace
from actors.controllers.config import ControllersConfig
from actors.reconcile.actions import Action, Create, Delete, Patch, Propagation
from actors.reconcile.conditions import condition, differs, with_conditions
from actors.reconcile.controller import Controller, controller
from actors.reconcile.view import View

_FINALIZER = "kubernetes"
_ACCOUNT = "default"
_CA_MAP = "kube-root-ca.crt"


def namespace(config: ControllersConfig) -> Controller[Namespace]:
    @controller(Namespace, watches={Resource: home})
    def reconcile(ns: Namespace, view: View, now: Millis) -> Iterable[Action]:
        if ns.metadata.is_deleting:
            return _empty(ns, view, now)
        return _furnish(ns.metadata.name, config.ca_pem, view)

    return reconcile


def home(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The namespace of the object, when it is terminating or the object is one that it must have."""
    at = Key(NAMESPACE.resource, "", key.namespace)
    ns = view.at(at) if key.namespace else None
    if ns is not None and (ns.metadata.is_deleting or key.name in (_ACCOUNT, _CA_MAP)):
        yield at


def _furnish(name: str, ca_pem: str, view: View) -> Iterable[Action]:
    if view.at(Key(SERVICE_ACCOUNT.resource, name, _ACCOUNT)) is None:
        yield _create(SERVICE_ACCOUNT, name, _ACCOUNT, {})
    if ca_pem and view.at(Key(CONFIG_MAP.resource, name, _CA_MAP)) is None:
        yield _create(CONFIG_MAP, name, _CA_MAP, {"data": {"ca.crt": ca_pem}})


def _create(kind: Kind, namespace_: str, name: str, fields: Object) -> Create:
    head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, "namespace": namespace_}}
    return Create(resource=kind.resource, namespace=namespace_, object=head | fields)


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
