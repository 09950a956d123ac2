"""Objects that mutations are written with: `Object{spec: Object.spec{replicas: 3}}`, `JSONPatch{op: "add", ...}`.

The compiler cannot have a type and a field of the same name in one place, so to it Object.spec is Object_spec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from actors.api.cel.ast import Node, Struct, Tree, Type
from actors.api.cel.environment import CelError, children, untyped
from actors.api.cel.values import TypedObject
from actors.api.codec import Object
from actors.api.structural.messages import MessageTypes

_STRINGS = r"[rR]?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
_NAME = re.compile(rf"({_STRINGS})|(?<![\w.])Object((?:\.[A-Za-z_]\w*)+)(?=\s*\{{)", re.S)
_ANY: Object = {"x-kubernetes-preserve-unknown-fields": True}
_TEXT: Object = {"type": "string"}
_PATCH: Object = {"type": "object", "properties": {"op": _TEXT, "path": _TEXT, "from": _TEXT, "value": _ANY}}
OBJECT, PATCH = "Object", "JSONPatch"


@dataclass
class Literals:
    """`text` as the compiler is to see it; `names` of types by the compiler's; `fields` of each that are used."""

    text: str
    names: dict[str, str]
    fields: dict[str, set[str]] = field(default_factory=dict)

    def declare(self, types: MessageTypes) -> None:
        for name, fields in {OBJECT: set(), **self.fields}.items():
            if name in self.names or name == OBJECT:
                types.add({"type": "object", "properties": dict.fromkeys(sorted(fields), _ANY)}, name=name)
        types.add(_PATCH, name=PATCH)

    def restored(self, told: str) -> str:
        """The compiler's words with the names as they were written."""
        for name, written in self.names.items():
            told = told.replace(name, written)
        return told

    def restore(self, tree: Tree) -> None:
        """The names as they were written."""
        for node in _structs(tree.root):
            node.type_name = self.names.get(node.type_name, node.type_name)
        for at, type_ in tree.types.items():
            if type_.name in self.names:
                tree.types[at] = Type(self.names[type_.name])


def literals_of(text: str) -> Literals:
    """Raises CelError for what cannot be parsed."""
    names: dict[str, str] = {}

    def flat(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[0]
        name = match[0].replace(".", "_")
        if names.setdefault(name, match[0]) != match[0]:
            raise CelError(f"type names {names[name]} and {match[0]} cannot be used together")
        return name

    literals = Literals(_NAME.sub(flat, text), names)
    for node in _structs(untyped(()).parse(literals.text).root):
        literals.fields.setdefault(node.type_name, set()).update(str(entry.key) for entry in node.entries)
    return literals


def _structs(node: Node) -> list[Struct]:
    found = [node] if isinstance(node, Struct) and node.type_name else []
    for child in children(node):
        found += _structs(child)
    return found


def find_misnamed(value: Any, path: str) -> str:
    """Why an object is not where its type says, "" where all are: in Object.spec{selector: Object.spec.wrong{}}."""
    if isinstance(value, TypedObject) and value.type_name != path:
        return (
            f'unexpected type name "{value.type_name}", expected "{path}", which matches field name path from root '
            "Object type"
        )
    if isinstance(value, dict):
        inner = isinstance(value, TypedObject)
        found = (find_misnamed(item, f"{path}.{name}" if inner else path) for name, item in value.items())
        return next(filter(None, found), "")
    if isinstance(value, list):
        return next(filter(None, (find_misnamed(item, path) for item in value)), "")
    return ""
