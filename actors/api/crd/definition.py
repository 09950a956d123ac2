"""A CustomResourceDefinition as we read it, and its defaults."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.meta import Lens, ObjectMeta, Resource

RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"
API_VERSION, KIND = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


class Names(Lens, frozen=True):
    plural: str = ""
    singular: str = ""
    kind: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None


class PrinterColumn(Lens, frozen=True):
    name: str = ""
    type: str = "string"
    json_path: str = msgspec.field(name="jsonPath", default="")
    format: str = ""
    description: str = ""
    priority: int = 0


class ScaleSpec(Lens, frozen=True):
    spec_replicas_path: str = ""
    status_replicas_path: str = ""
    label_selector_path: str | None = None


class Subresources(Lens, frozen=True):
    status: Object | None = None
    scale: ScaleSpec | None = None


class SelectableField(Lens, frozen=True):
    json_path: str = msgspec.field(name="jsonPath", default="")


class VersionSchema(Lens, frozen=True):
    open_api_v3_schema: Any = msgspec.field(name="openAPIV3Schema", default=None)


class Version(Lens, frozen=True):
    name: str = ""
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: VersionSchema | None = None
    subresources: Subresources | None = None
    additional_printer_columns: tuple[PrinterColumn, ...] | None = None
    selectable_fields: tuple[SelectableField, ...] | None = None


class Conversion(Lens, frozen=True):
    strategy: str = "None"
    webhook: Any = None


class Spec(Lens, frozen=True):
    group: str = ""
    scope: str = ""
    names: Names = Names()
    versions: tuple[Version, ...] = ()
    conversion: Conversion | None = None


class Condition(Lens, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class Status(Lens, frozen=True):
    conditions: tuple[Condition, ...] | None = None
    accepted_names: Names | None = None
    stored_versions: tuple[str, ...] | None = None


class Definition(Lens, frozen=True):
    metadata: ObjectMeta
    spec: Spec = Spec()
    status: Status | None = None

    def is_true(self, condition: str) -> bool:
        conditions = (self.status.conditions if self.status else None) or ()
        return any(known.type == condition and known.status == "True" for known in conditions)

    @property
    def storage_version(self) -> str:
        return next((version.name for version in self.spec.versions if version.storage), "")


class Told(Lens, frozen=True):
    conditions: tuple[Object, ...] | None = None


class CustomResourceDefinition(Resource, frozen=True):
    """What controllers see of a definition: little, so that a schema never hides it from them."""

    status: Told | None = None

    @property
    def conditions(self) -> tuple[Object, ...]:
        """As they are: anybody may write there, and some leave the type out."""
        return (self.status.conditions if self.status else None) or ()

    @property
    def names_are_accepted(self) -> bool:
        return all(known.get("status") == "True" for known in self.conditions if known.get("type") == "NamesAccepted")


def read_definition(obj: Object) -> Definition:
    """Of an object whose values have the right types. Raises msgspec.ValidationError."""
    return msgspec.convert(obj, Definition)


def default_definition(obj: Object) -> None:
    """Fills in names that follow from others, the conversion, the port of its webhook."""
    spec = obj.get("spec")
    if not isinstance(spec, dict) or not isinstance(names := spec.get("names") or {}, dict):
        return
    kind = names.get("kind") or ""
    derived = {"singular": str(kind).lower(), "listKind": f"{kind}List"} if kind else {}
    spec["names"] = {**derived, **{name: value for name, value in names.items() if value not in ("", None)}}
    spec["conversion"] = _with_port(spec.get("conversion") or {"strategy": "None"})


def _with_port(conversion: Any) -> Any:
    match conversion:
        case {"webhook": {"clientConfig": {"service": dict(service)} as client} as webhook} if "port" not in service:
            service = {**service, "port": 443}
            return {**conversion, "webhook": {**webhook, "clientConfig": {**client, "service": service}}}
    return conversion
