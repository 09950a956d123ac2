"""A structural schema as the schema of fields that server-side apply merges by."""

from __future__ import annotations

from actors.api.schema import Field, definition
from actors.api.structural.node import Node


class NodeField(Field, frozen=True, kw_only=True):
    """A place in a custom resource; of a root and an embedded resource the metadata is every object's."""

    node: Node
    is_root: bool = False

    @classmethod
    def of(cls, node: Node) -> NodeField:
        list_type = node.list_type if node.type == "array" else ""
        map_type = "atomic" if node.is_atomic_map else ""
        return cls("", list_type=list_type, map_keys=node.map_keys, map_type=map_type, node=node)

    @property
    def item(self) -> Field:
        return NodeField.of(self.node.items) if self.node.items else Field("")

    @property
    def is_map(self) -> bool:
        return isinstance(self.node.additional, Node)

    @property
    def is_struct(self) -> bool:
        return bool(self.node.properties)

    def member(self, name: str) -> Field | None:
        if name == "metadata" and (self.is_root or self.node.embedded):
            meta = definition("core.v1.ConfigMap")
            return meta.fields["metadata"] if meta else None
        child = self.node.child(name)
        return NodeField.of(child) if child else None
