"""The table of kinds: one row is all it takes for a kind to be stored, watched and served.

The columns are what discovery publishes (KEP-3352). `subresources` are those that are served for it.
`has_spec` kinds count `metadata.generation` when anything but metadata and status changes.
"""

from __future__ import annotations

import msgspec

from actors.api.errors import NotFound


class Kind(msgspec.Struct, frozen=True):
    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    has_spec: bool = True

    @property
    def resource(self) -> str:
        """GroupResource as text, the first part of a Key: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()


ALL = ("all",)

NAMESPACE = Kind("", "v1", "Namespace", "namespaces", False, ("ns",), (), ("status", "finalize"))
NODE = Kind("", "v1", "Node", "nodes", False, ("no",), (), ("status",))
POD = Kind("", "v1", "Pod", "pods", True, ("po",), ALL, ("status", "log", "binding", "eviction"))
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",), has_spec=False)
SECRET = Kind("", "v1", "Secret", "secrets", has_spec=False)
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), has_spec=False)
SERVICE = Kind("", "v1", "Service", "services", True, ("svc",), ALL, ("status",))
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", True, ("ep",), has_spec=False)
EVENT = Kind("", "v1", "Event", "events", True, ("ev",), has_spec=False)
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", True, ("deploy",), ALL, ("status", "scale"))
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), ALL, ("status", "scale"))
JOB = Kind("batch", "v1", "Job", "jobs", True, (), ALL, ("status",))
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
PRIORITY_CLASS = Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False, ("pc",), has_spec=False)

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    NODE,
    POD,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
    ENDPOINTS,
    EVENT,
    DEPLOYMENT,
    REPLICA_SET,
    JOB,
    LEASE,
    PRIORITY_CLASS,
)

_BY_RESOURCE = {kind.resource: kind for kind in KINDS}
_BY_GVK = {(kind.api_version, kind.kind): kind for kind in KINDS}


def kind_of(resource: str) -> Kind:
    """The row of `pods`, `deployments.apps`. Raises NotFound."""
    kind = _BY_RESOURCE.get(resource)
    if kind is None:
        raise NotFound("the server could not find the requested resource", kind=resource)
    return kind


def kind_for(api_version: str, kind: str) -> Kind | None:
    """The row of (`apps/v1`, `Deployment`), or None."""
    return _BY_GVK.get((api_version, kind))
