"""The kinds that a definition makes: one per served version, each with its schema compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from actors.api.codec import Object
from actors.api.crd.definition import Conversion, Definition, PrinterColumn, ScaleSpec, Version
from actors.api.kinds import Kind
from actors.api.structural.node import Node, compile_node

_DECODER = msgspec.json.Decoder(Definition)


@dataclass(frozen=True, slots=True)
class CustomVersion:
    """One version of a custom resource."""

    kind: Kind
    node: Node
    schema: Object
    served: bool
    columns: tuple[PrinterColumn, ...]
    scale: ScaleSpec | None
    selectable: tuple[str, ...]
    warning: str
    list_kind: str


@dataclass(frozen=True, slots=True)
class Custom:
    """All versions of a custom resource, the stored one among them, by name."""

    resource: str
    storage: str
    versions: dict[str, CustomVersion]
    conversion: Conversion
    established: bool
    terminating: bool

    @property
    def stored(self) -> CustomVersion:
        return self.versions[self.storage]


@lru_cache(maxsize=1024)
def read_custom(body: bytes) -> Custom:
    """Of a stored definition's body, which has been validated."""
    definition = _DECODER.decode(body)
    versions = {version.name: _version(definition, version) for version in definition.spec.versions}
    return Custom(
        resource=definition.metadata.name,
        storage=definition.storage_version,
        versions=versions,
        conversion=definition.spec.conversion or Conversion(),
        established=definition.is_true("Established"),
        terminating=definition.metadata.is_deleting,
    )


def _version(definition: Definition, version: Version) -> CustomVersion:
    spec, accepted = definition.spec, definition.spec.names
    subresources = version.subresources
    scale = subresources.scale if subresources else None
    served = [
        name
        for name, there in (("status", subresources and subresources.status is not None), ("scale", scale))
        if there
    ]
    kind = Kind(
        group=spec.group,
        version=version.name,
        kind=accepted.kind,
        plural=accepted.plural,
        namespaced=spec.scope == "Namespaced",
        short_names=accepted.short_names or (),
        categories=accepted.categories or (),
        subresources=tuple(served),
    )
    schema = (version.schema.open_api_v3_schema if version.schema else None) or {"type": "object"}
    warning = version.deprecation_warning or f"{kind.api_version} {kind.kind} is deprecated"
    return CustomVersion(
        kind=kind,
        node=compile_node(schema),
        schema=schema,
        served=version.served,
        columns=version.additional_printer_columns or (),
        scale=scale,
        selectable=tuple(field.json_path for field in version.selectable_fields or ()),
        warning=warning if version.deprecated else "",
        list_kind=accepted.list_kind or f"{accepted.kind}List",
    )
