"""A request as admission sees it (apiserver pkg/admission/attributes.go): what is done to what, by whom. Values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from actors.api.codec import Object
from actors.api.kinds import Kind

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


class Gvk(NamedTuple):
    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        """As Go prints a GroupVersionKind."""
        return f"{self.group}/{self.version}, Kind={self.kind}"


#: Shapes of subresources that are not the object's own.
_SHAPES = {
    "scale": Gvk("autoscaling", "v1", "Scale"),
    "binding": Gvk("", "v1", "Binding"),
    "eviction": Gvk("policy", "v1", "Eviction"),
    "token": Gvk("authentication.k8s.io", "v1", "TokenRequest"),
    "exec": Gvk("", "v1", "PodExecOptions"),
    "attach": Gvk("", "v1", "PodAttachOptions"),
    "portforward": Gvk("", "v1", "PodPortForwardOptions"),
}
_PROXIES = {"pods": "PodProxyOptions", "services": "ServiceProxyOptions", "nodes": "NodeProxyOptions"}


def shape_of(kind: Kind, subresource: str) -> Gvk:
    """What the object of a request is."""
    if subresource == "proxy":
        return Gvk("", "v1", _PROXIES[kind.plural])
    return _SHAPES.get(subresource) or Gvk(kind.group, kind.version, kind.kind)


@dataclass
class Notes:
    """What admission has to say beside its answer: warnings for the client, annotations for the audit log."""

    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """Who asks, and in which terms. `user`: authentication/v1 UserInfo. `kind`: as the request names it, None: as it is
    stored. `options`: CreateOptions and their like without kind and dryRun."""

    user: Object
    kind: Kind | None = None
    options: Object = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)


#: Of writes that no step is asked about: what they are for has passed admission.
NOT_ASKED = Origin({})


class Place(NamedTuple):
    """What is done to which resource: all that rules look at."""

    operation: str
    kind: Kind
    subresource: str = ""


@dataclass(frozen=True)
class Request:
    """`object` (None: a removal) and `old_object` are in the shape of `shape`. `kind`, `subresource`: as asked for.

    `namespace` of an API namespace itself is its name. `name` may be "" while it is still to be made.
    """

    operation: str
    kind: Kind
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old_object: Object | None
    dry_run: bool
    origin: Origin

    @property
    def place(self) -> Place:
        return Place(self.operation, self.kind, self.subresource)

    @property
    def shape(self) -> Gvk:
        return shape_of(self.kind, self.subresource)

    @property
    def notes(self) -> Notes:
        return self.origin.notes

    def with_object(self, obj: Object | None) -> Request:
        return replace(self, object=obj)

    @property
    def options(self) -> Object | None:
        """CreateOptions, UpdateOptions, PatchOptions, DeleteOptions; of a connection its object is all there is."""
        if self.operation == CONNECT:
            return None
        kind = self.origin.options.get("kind") or f"{self.operation.capitalize()}Options"
        dry_run = {"dryRun": ["All"]} if self.dry_run else {}
        return {"kind": kind, "apiVersion": "meta.k8s.io/v1", **self.origin.options, **dry_run}


def labels_of(obj: Any) -> dict[str, str] | None:
    """None where there is nothing that has labels."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict):
        return None
    labels = metadata.get("labels")
    return labels if isinstance(labels, dict) else {}


def request_facts(request: Request, kind: Kind) -> Object:
    """AdmissionRequest without its uid and objects, in the terms of `kind`; also what expressions call `request`."""
    facts: Object = {
        "kind": shape_of(kind, request.subresource)._asdict(),
        "resource": _resource_of(kind),
        "requestKind": request.shape._asdict(),
        "requestResource": _resource_of(request.kind),
        "operation": request.operation,
        "userInfo": request.origin.user,
        "dryRun": request.dry_run,
        "options": request.options,
    }
    if request.subresource:
        facts |= {"subResource": request.subresource, "requestSubResource": request.subresource}
    if request.name:
        facts["name"] = request.name
    if request.namespace:
        facts["namespace"] = request.namespace
    return facts


def _resource_of(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "resource": kind.plural}
