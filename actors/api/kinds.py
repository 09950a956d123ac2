"""The table of kinds (kinds.json): one row is all it takes for a kind to be stored, watched and served.

The columns are what discovery publishes (KEP-3352), with a few of ours. A row with `stored_as` is a second view of
the kind at that apiVersion: one stored object, served in both shapes by `conversion`. A row with `stored` false is
never kept: it `answers` these verbs (reviews, bindings, metrics).
"""

from __future__ import annotations

from importlib import resources

import msgspec

from actors.api.errors import NotFound

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class ScalePaths(msgspec.Struct, frozen=True):
    """Where the `scale` subresource finds its three numbers and words, as dotted paths. `selector` may be "".

    A selector that is an object is a LabelSelector or, where it has neither of its fields, a plain map of labels.
    """

    replicas: str = "spec.replicas"
    observed: str = "status.replicas"
    selector: str = "spec.selector"


class Kind(msgspec.Struct, frozen=True):
    """`subresources` are those that are served. `counts_generations`: `metadata.generation` is kept, and grows when
    anything but metadata and status changes. `deprecation`: what its users are told, where it is deprecated.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    counts_generations: bool = True
    singular_name: str = ""
    stored: bool = True
    answers: tuple[str, ...] = ("create",)
    stored_as: str = ""
    scale: ScalePaths = ScalePaths()
    deprecation: str = ""

    @property
    def resource(self) -> str:
        """GroupResource as text: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.singular_name or self.kind.lower()

    @property
    def verbs(self) -> tuple[str, ...]:
        """What discovery says and the gateway allows. Namespaces are deleted one by one."""
        if not self.stored:
            return self.answers
        return VERBS if self.resource != "namespaces" else tuple(verb for verb in VERBS if verb != "deletecollection")

    @property
    def is_listed(self) -> bool:
        return "list" in self.verbs

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition has made it."""
        return False

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @property
    def storage(self) -> Kind:
        """The kind that the store keeps: this one, or the one that this is a view of."""
        return _BY_GVK[(self.stored_as, self.kind)] if self.stored_as else self

    def view(self, api_version: str) -> Kind:
        """The kind in whose shape `api_version` shows what is stored as this; "" and unknown ones are this."""
        found = _BY_GVK.get((api_version, self.kind))
        return found if found is not None and found.storage is self else self


class _Row(Kind, frozen=True, forbid_unknown_fields=True):
    """A line of the table: a typo in it is an error."""


def _read_table() -> tuple[Kind, ...]:
    text = resources.files("actors.api").joinpath("kinds.json").read_bytes()
    return msgspec.json.decode(text, type=tuple[_Row, ...])


#: Every row, in the order of discovery.
SERVED: tuple[Kind, ...] = _read_table()
#: What the store keeps.
KINDS: tuple[Kind, ...] = tuple(kind for kind in SERVED if kind.stored and not kind.stored_as)

_BY_RESOURCE = {kind.resource: kind for kind in KINDS}
_BY_GVK = {(kind.api_version, kind.kind): kind for kind in SERVED}


def kind_of(resource: str) -> Kind:
    """The stored kind of `pods`, `deployments.apps`. Raises NotFound."""
    kind = _BY_RESOURCE.get(resource)
    if kind is None:
        raise NotFound("the server could not find the requested resource", kind=resource)
    return kind


def is_static(resource: str) -> bool:
    """Whether the table has it; a custom resource is in none."""
    return resource in _BY_RESOURCE


def kind_for(api_version: str, kind: str) -> Kind | None:
    """The row of (`apps/v1`, `Deployment`), or None."""
    return _BY_GVK.get((api_version, kind))


BINDING = _BY_GVK[("v1", "Binding")]
COMPONENT_STATUS = _BY_GVK[("v1", "ComponentStatus")]
NODE_METRICS = _BY_GVK[("metrics.k8s.io/v1beta1", "NodeMetrics")]
POD_METRICS = _BY_GVK[("metrics.k8s.io/v1beta1", "PodMetrics")]
NAMESPACE = kind_of("namespaces")
NODE = kind_of("nodes")
POD = kind_of("pods")
CONFIG_MAP = kind_of("configmaps")
SECRET = kind_of("secrets")
SERVICE_ACCOUNT = kind_of("serviceaccounts")
SERVICE = kind_of("services")
ENDPOINTS = kind_of("endpoints")
ENDPOINT_SLICE = kind_of("endpointslices.discovery.k8s.io")
IP_ADDRESS = kind_of("ipaddresses.networking.k8s.io")
SERVICE_CIDR = kind_of("servicecidrs.networking.k8s.io")
EVENT = kind_of("events")
DEPLOYMENT = kind_of("deployments.apps")
REPLICA_SET = kind_of("replicasets.apps")
JOB = kind_of("jobs.batch")
LEASE = kind_of("leases.coordination.k8s.io")
PRIORITY_CLASS = kind_of("priorityclasses.scheduling.k8s.io")
CLUSTER_ROLE = kind_of("clusterroles.rbac.authorization.k8s.io")
CLUSTER_ROLE_BINDING = kind_of("clusterrolebindings.rbac.authorization.k8s.io")
SIGNING_REQUEST = kind_of("certificatesigningrequests.certificates.k8s.io")
