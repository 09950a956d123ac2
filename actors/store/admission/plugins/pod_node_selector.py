"""PodNodeSelector: the nodes that the pods of an API namespace may use.

The namespace's annotation says which labels its pods select; `cluster_default` where it has none. `allowed`: by
namespace, the only labels that a pod of it may select. Off unless it is enabled, as in kube-apiserver.
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object, lens
from actors.api.key import Key
from actors.api.kinds import NAMESPACE
from actors.api.meta import Resource
from actors.store.admission.plugin import Plugin, Request

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"


class PodNodeSelector(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})
    cluster_default: str = ""
    allowed: dict[str, str] = {}

    def mutate(self, request: Request, obj: Object) -> Object:
        wanted = _parse(self._selector_of(request))
        own = obj["spec"].get("nodeSelector") or {}
        if any(own.get(key, value) != value for key, value in wanted.items()):
            raise request.forbidden("pod node label selector conflicts with its namespace node label selector")
        return {**obj, "spec": {**obj["spec"], "nodeSelector": {**wanted, **own}}} if wanted else obj

    def validate(self, request: Request, obj: Object) -> None:
        allowed = _parse(self.allowed.get(request.key.namespace, ""))
        selected = obj["spec"].get("nodeSelector") or {}
        if allowed and not selected.items() <= allowed.items():
            raise request.forbidden("pod node label selector labels conflict with its namespace whitelist")

    def _selector_of(self, request: Request) -> str:
        stored = request.context.lookup(Key(NAMESPACE.resource, "", request.key.namespace))
        found = lens(stored, Resource).metadata.annotation(ANNOTATION) if stored is not None else None
        return self.cluster_default if found is None else found


def _parse(selector: str) -> dict[str, str]:
    """`a=b,c=d`."""
    pairs = (term.partition("=") for term in selector.split(",") if term.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}
