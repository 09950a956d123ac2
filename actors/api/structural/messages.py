"""A structural schema as protobuf messages, for the CEL compiler's type checks alone.

object -> message, or any type where its members are not all known; map -> map<string, V>; array -> repeated. What
protobuf cannot say (a list of lists, a map of maps) is of any type.
"""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2

from actors.api.codec import Object
from actors.api.structural.words import escape

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": (_Field.TYPE_STRING, cel.Type.STRING),
    "integer": (_Field.TYPE_INT64, cel.Type.INT),
    "number": (_Field.TYPE_DOUBLE, cel.Type.DOUBLE),
    "boolean": (_Field.TYPE_BOOL, cel.Type.BOOL),
}
_ANY = ".google.protobuf.Value"
_FORMATS = {
    "date-time": (".google.protobuf.Timestamp", cel.Type.TIMESTAMP),
    "date": (".google.protobuf.Timestamp", cel.Type.TIMESTAMP),
    "duration": (".google.protobuf.Duration", cel.Type.DURATION),
}
_META: Object = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
_TYPE_META: Object = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _META}


class MessageTypes:
    """Collects schemas; `pool` holds the messages of those that were added before it is asked for.

    `escaped`: fields have the names that rules of custom resources use (`a__dash__b`).
    """

    def __init__(self, escaped: bool = True) -> None:
        self._escape = escape if escaped else str
        self._file = descriptor_pb2.FileDescriptorProto(name="schema.proto", syntax="proto3")
        for module in (struct_pb2, timestamp_pb2, duration_pb2):
            self._file.dependency.append(module.DESCRIPTOR.name)

    @property
    def pool(self) -> descriptor_pool.DescriptorPool:
        pool = descriptor_pool.DescriptorPool()
        for module in (struct_pb2, timestamp_pb2, duration_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        pool.Add(self._file)
        return pool

    def add(self, schema: Object, is_root: bool = False, name: str = "") -> Any:
        """The type that the compiler is to give a variable of this schema; `name`: the message's."""
        type_name, format_name = schema.get("type") or "", schema.get("format") or ""
        if _is_message(schema):
            return cel.Type(self._message(schema, is_root, name).removeprefix("."))
        if type_name == "array" and isinstance(items := schema.get("items"), dict):
            return cel.Type.List(self.add(items))
        if type_name == "object" and isinstance(values := schema.get("additionalProperties"), dict):
            return cel.Type.Map(cel.Type.STRING, self.add(values))
        if type_name == "string" and format_name == "byte":
            return cel.Type.BYTES
        if type_name == "string" and format_name in _FORMATS:
            return _FORMATS[format_name][1]
        return _SCALARS[type_name][1] if type_name in _SCALARS else cel.Type.DYN

    def _message(self, schema: Object, has_meta: bool, name: str = "") -> str:
        """Adds a message; returns its name."""
        message = self._file.message_type.add(name=name or f"Object{len(self._file.message_type)}")
        properties = schema.get("properties") or {}
        if has_meta or schema.get("x-kubernetes-embedded-resource"):
            properties = {**_TYPE_META, **{name: part for name, part in properties.items() if name not in _TYPE_META}}
        for number, (field, part) in enumerate(properties.items(), 1):
            if self._escape(field).isidentifier():
                self._field(message, self._escape(field), number, part)
        return f".{message.name}"

    def _field(self, message: Any, name: str, number: int, schema: Object) -> None:
        field = message.field.add(name=name, json_name=name, number=number, label=_Field.LABEL_OPTIONAL)
        items, additional = schema.get("items"), schema.get("additionalProperties")
        if schema.get("type") == "array" and isinstance(items, dict) and not _is_collection(items):
            field.label = _Field.LABEL_REPEATED
            self._set_type(field, items)
        elif isinstance(additional, dict) and not _is_collection(additional) and _is_free(message, name):
            entry = message.nested_type.add(name=_entry_name(name))
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
            self._set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), additional)
            field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
            field.type_name = f".{message.name}.{entry.name}"
        else:
            self._set_type(field, schema)

    def _set_type(self, field: Any, schema: Object) -> None:
        type_name, format_name = schema.get("type") or "", schema.get("format") or ""
        if type_name == "string" and format_name == "byte":
            field.type = _Field.TYPE_BYTES
        elif type_name == "string" and format_name in _FORMATS:
            field.type, field.type_name = _Field.TYPE_MESSAGE, _FORMATS[format_name][0]
        elif type_name in _SCALARS:
            field.type = _SCALARS[type_name][0]
        else:
            field.type = _Field.TYPE_MESSAGE
            field.type_name = self._message(schema, False) if _is_message(schema) else _ANY


def _entry_name(field: str) -> str:
    """Of a map's entries, as protoc names them: `my_map` -> `MyMapEntry`."""
    return "".join(word[:1].upper() + word[1:] for word in field.split("_")) + "Entry"


def _is_free(message: Any, field: str) -> bool:
    return all(nested.name != _entry_name(field) for nested in message.nested_type)


def _is_message(schema: Object) -> bool:
    """An object whose members are all known."""
    if schema.get("type") != "object" or schema.get("additionalProperties"):
        return False
    return bool(schema.get("properties")) or not schema.get("x-kubernetes-preserve-unknown-fields")


def _is_collection(schema: Object) -> bool:
    return schema.get("type") == "array" or isinstance(schema.get("additionalProperties"), dict)
