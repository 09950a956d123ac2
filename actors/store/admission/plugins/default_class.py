"""DefaultStorageClass and DefaultIngressClass: what names no class gets the one that is marked as the default."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object, lens
from actors.api.meta import Resource
from actors.store.admission.outcome import Context
from actors.store.admission.plugin import Plugin, Request

_STORAGE_DEFAULTS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_INGRESS_DEFAULTS = ("ingressclass.kubernetes.io/is-default-class",)
_OLD_INGRESS_CLASS = "kubernetes.io/ingress.class"
_OLD_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"persistentvolumeclaims"})

    def mutate(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        if spec.get("storageClassName") is not None or _OLD_STORAGE_CLASS in _annotations(obj):
            return obj
        name = _default_of("storageclasses.storage.k8s.io", _STORAGE_DEFAULTS, request.context)
        return {**obj, "spec": {**spec, "storageClassName": name}} if name else obj


class DefaultIngressClass(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"ingresses.networking.k8s.io"})

    def mutate(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        if spec.get("ingressClassName") is not None or _OLD_INGRESS_CLASS in _annotations(obj):
            return obj
        name = _default_of("ingressclasses.networking.k8s.io", _INGRESS_DEFAULTS, request.context)
        return {**obj, "spec": {**spec, "ingressClassName": name}} if name else obj


def _annotations(obj: Object) -> Object:
    return obj["metadata"].get("annotations") or {}


def _default_of(resource: str, marks: tuple[str, ...], context: Context) -> str:
    """The newest of those that are marked, by name among equals."""
    classes = [lens(stored, Resource).metadata for stored in context.scan(resource, "")]
    marked = [meta for meta in classes if any(meta.annotation(mark) == "true" for mark in marks)]
    return min(((-meta.created_ms, meta.name) for meta in marked), default=(0, ""))[1]
