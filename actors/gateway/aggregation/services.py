"""An APIService as we read it: which group and version, and whose."""

from __future__ import annotations

import msgspec

from actors.api.meta import Condition, Lens, Resource
from actors.remote.target import ServiceReference, decode_bundle

RESOURCE = "apiservices.apiregistration.k8s.io"
AVAILABLE = "Available"
GroupVersion = tuple[str, str]


class Spec(Lens, frozen=True):
    """`service` None: served here."""

    group: str = ""
    version: str = ""
    service: ServiceReference | None = None
    ca_bundle: str | None = msgspec.field(name="caBundle", default=None)
    insecure: bool = msgspec.field(name="insecureSkipTLSVerify", default=False)
    group_priority_minimum: int = 0
    version_priority: int = 0


class Status(Lens, frozen=True):
    conditions: tuple[Condition, ...] | None = None


class ApiService(Resource, frozen=True):
    spec: Spec = Spec()
    status: Status = Status()

    @property
    def group_version(self) -> GroupVersion:
        return self.spec.group, self.spec.version

    @property
    def path(self) -> str:
        return f"/apis/{self.spec.group}/{self.spec.version}"

    @property
    def available(self) -> Condition | None:
        return next((known for known in self.status.conditions or () if known.type == AVAILABLE), None)

    @property
    def is_available(self) -> bool:
        return self.available is not None and self.available.status == "True"

    @property
    def roots(self) -> bytes:
        """PEM. Raises RemoteError."""
        return decode_bundle(self.spec.ca_bundle)
