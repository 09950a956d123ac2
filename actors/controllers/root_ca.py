"""The ConfigMap `kube-root-ca.crt` of every namespace: the CA by which pods know the API server (rootcacertpublisher).

It is made where it is missing and given back what was changed in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis
from actors.api.contents import RootCaMap
from actors.api.key import Key
from actors.api.kinds import CONFIG_MAP, NAMESPACE
from actors.api.namespaces import Namespace
from actors.controllers.config import ControllersConfig
from actors.reconcile.actions import Action, Create, Patch, PatchType
from actors.reconcile.controller import Controller, controller
from actors.reconcile.view import View

NAME = "kube-root-ca.crt"
_DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
    "distributions of Kubernetes clusters."
}


def root_ca(config: ControllersConfig) -> Controller[Namespace]:
    """Does nothing without a CA in the configuration."""
    wanted = {"ca.crt": config.ca_pem}

    @controller(Namespace, watches={RootCaMap: home})
    def reconcile(ns: Namespace, view: View, now: Millis) -> Iterable[Action]:
        if not config.ca_pem or ns.metadata.is_deleting:
            return
        namespace = ns.metadata.name
        found = view.get(RootCaMap, namespace, NAME)
        if found is None:
            metadata = {"name": NAME, "namespace": namespace, "annotations": _DESCRIPTION}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": wanted}
            yield Create(resource=CONFIG_MAP.resource, namespace=namespace, object=made)
        elif found.data.ca_crt != config.ca_pem and not found.metadata.is_deleting:
            key = Key(CONFIG_MAP.resource, namespace, NAME)
            patch = [{"op": "add", "path": "/data", "value": wanted}]
            yield Patch(key=key, patch=patch, type=PatchType.JSON, uid=found.metadata.uid)

    return reconcile


def home(key: Key, obj: RootCaMap, view: View) -> Iterable[Key]:
    if key.name == NAME:
        yield Key(NAMESPACE.resource, "", key.namespace)
