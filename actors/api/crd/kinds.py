"""The kinds that a definition makes: one per version, each with its schema compiled."""

from __future__ import annotations

from functools import cached_property, lru_cache

import msgspec

from actors.api.codec import Object
from actors.api.crd.definition import Conversion, Definition, PrinterColumn, Version
from actors.api.kinds import Kind, ScalePaths
from actors.api.structural.node import Node, compile_node

_DECODER = msgspec.json.Decoder(Definition)


class CustomKind(Kind, frozen=True, eq=False, dict=True):
    """One version of a custom resource. `stored_as` "" is the version that is stored.

    `selectable` are the dotted paths of its field selectors. `since`: the revision of the
    definition, where that is known: what is stored later has its schema's shape.
    """

    names_of_list: str = ""
    schema: Object = {}
    columns: tuple[PrinterColumn, ...] = ()
    selectable: tuple[str, ...] = ()
    served: bool = True
    conversion: Conversion | None = None
    since: int = 0
    all_versions: dict[str, CustomKind] = {}

    @property
    def is_custom(self) -> bool:
        return True

    @property
    def list_kind(self) -> str:
        return self.names_of_list

    @property
    def storage(self) -> Kind:
        return self.all_versions[self.stored_as.rpartition("/")[2]] if self.stored_as else self

    def view(self, api_version: str) -> Kind:
        return self.all_versions.get(api_version.rpartition("/")[2], self)

    @cached_property
    def node(self) -> Node:
        return compile_node(self.schema)


class Custom(msgspec.Struct, frozen=True, eq=False):
    """A custom resource with all its versions, by name. Only an established one is served."""

    versions: dict[str, CustomKind]
    storage: str
    established: bool
    terminating: bool

    @property
    def stored(self) -> CustomKind:
        return self.versions[self.storage]


@lru_cache(maxsize=1024)
def read_custom(body: bytes, revision: int = 0) -> Custom:
    """Of a stored definition's body, which has been validated."""
    definition = _DECODER.decode(body)
    versions: dict[str, CustomKind] = {}
    for version in definition.spec.versions:
        versions[version.name] = _kind_of(definition, version, revision, versions)
    return Custom(
        versions, definition.storage_version, definition.is_true("Established"), definition.metadata.is_deleting
    )


@lru_cache(maxsize=256)
def with_storage(body: bytes, name: str) -> bytes:
    """The body of a definition as it would be if this version were the stored one, and the others only its names."""
    obj = msgspec.json.decode(body)
    for version in obj["spec"]["versions"]:
        version["storage"] = version["name"] == name
    obj["spec"]["conversion"] = {"strategy": "None"}
    return msgspec.json.encode(obj)


def _kind_of(definition: Definition, version: Version, revision: int, versions: dict[str, CustomKind]) -> CustomKind:
    spec, names = definition.spec, definition.spec.names
    sub = version.subresources
    scale = sub.scale if sub else None
    subresources = ("scale",) * (scale is not None) + ("status",) * (sub is not None and sub.status is not None)
    api_version = f"{spec.group}/{version.name}"
    return CustomKind(
        group=spec.group,
        version=version.name,
        kind=names.kind,
        plural=names.plural,
        namespaced=spec.scope == "Namespaced",
        short_names=names.short_names or (),
        categories=names.categories or (),
        subresources=subresources,
        singular_name=names.singular,
        stored_as="" if version.storage else f"{spec.group}/{definition.storage_version}",
        scale=ScalePaths(
            scale.spec_replicas_path[1:], scale.status_replicas_path[1:], (scale.label_selector_path or ".")[1:]
        )
        if scale
        else ScalePaths(),
        names_of_list=names.list_kind or f"{names.kind}List",
        schema=(version.schema.open_api_v3_schema if version.schema else None) or {"type": "object"},
        columns=version.additional_printer_columns or (),
        selectable=tuple(field.json_path[1:] for field in version.selectable_fields or ()),
        deprecation=(version.deprecation_warning or f"{api_version} {names.kind} is deprecated")
        if version.deprecated
        else "",
        served=version.served,
        conversion=spec.conversion,
        since=revision,
        all_versions=versions,
    )
