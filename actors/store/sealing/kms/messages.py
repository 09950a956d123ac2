"""The messages of protos/kms_v2.proto as classes, made from a table: nothing has to be generated before raypod runs.

A test holds the table to the file.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE, SERVICE = "v2", "KeyManagementService"
_TYPES = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "string": FieldDescriptorProto.TYPE_STRING,
    "int32": FieldDescriptorProto.TYPE_INT32,
}
_MAP = "map"
#: Of each message its fields, from number 1 on. A map is one of texts to bytes.
_FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "StatusRequest": (),
    "StatusResponse": (("version", "string"), ("healthz", "string"), ("key_id", "string")),
    "DecryptRequest": (("ciphertext", "bytes"), ("uid", "string"), ("key_id", "string"), ("annotations", _MAP)),
    "DecryptResponse": (("plaintext", "bytes"),),
    "EncryptRequest": (("plaintext", "bytes"), ("uid", "string")),
    "EncryptResponse": (("ciphertext", "bytes"), ("key_id", "string"), ("annotations", _MAP)),
    "EncryptedObject": (
        ("encryptedData", "bytes"),
        ("keyID", "string"),
        ("encryptedDEKSource", "bytes"),
        ("annotations", _MAP),
        ("encryptedDEKSourceType", "int32"),
    ),
}


def describe() -> FileDescriptorProto:
    file = FileDescriptorProto(name="raypod/kms_v2.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            _add(message, field, kind, number)
    return file


def _add(message: DescriptorProto, name: str, kind: str, number: int) -> None:
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind != _MAP:
        field.type = _TYPES[kind]
        return
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    _add(entry, "key", "string", 1)
    _add(entry, "value", "bytes", 2)
    field.type, field.label = FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.LABEL_REPEATED
    field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"


_POOL = DescriptorPool()
_POOL.Add(describe())


def _message(name: str) -> Any:
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


StatusRequest, StatusResponse = _message("StatusRequest"), _message("StatusResponse")
DecryptRequest, DecryptResponse = _message("DecryptRequest"), _message("DecryptResponse")
EncryptRequest, EncryptResponse = _message("EncryptRequest"), _message("EncryptResponse")
EncryptedObject = _message("EncryptedObject")
