"""Kubernetes' protobuf bodies to JSON-shaped dicts, by the table in protobuf.json. Decoding only: replies are JSON.

kubectl's `create KIND` generators send nothing else. The wire is `k8s\\0` and a runtime.Unknown that carries kind,
apiVersion and the message (apimachinery pkg/runtime/serializer/protobuf). What Go's JSON would omit is omitted.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from actors.api.clock import format_micro_time, format_time
from actors.api.codec import Object
from actors.api.errors import BadRequest, TooLarge
from actors.api.schema import definition_name

MAGIC = b"k8s\0"
#: Of a whole body. The largest definitions of custom resources hold some 60,000.
FIELDS_MAX = 250_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Of a message whose fields are its parent's in JSON.
_INLINE = "."
_INTEGERS = frozenset({"int32", "int64", "bool"})


class _Field(msgspec.Struct, frozen=True):
    name: str
    type: str
    label: str  # "", "[]" or "map:"
    absent_when_zero: bool


def _parse_row(row: str) -> _Field:
    name, type_name = row.split(" ")
    label = next((prefix for prefix in ("[]", "map:") if type_name.startswith(prefix)), "")
    return _Field(name, type_name.removeprefix(label).rstrip("!"), label, type_name.endswith("!"))


@lru_cache(maxsize=1)
def _messages() -> dict[str, dict[int, _Field]]:
    text = resources.files("actors.api").joinpath("protobuf.json").read_bytes()
    table = msgspec.json.decode(text, type=dict[str, dict[int, str]])
    return {name: {number: _parse_row(row) for number, row in rows.items()} for name, rows in table.items()}


class _Budget:
    """How many fields may yet be read: an empty one is two bytes, and takes as long as any."""

    def __init__(self, fields_max: int) -> None:
        self.left = fields_max

    def spend(self) -> None:
        """Raises TooLarge."""
        self.left -= 1
        if self.left < 0:
            raise TooLarge(f"the request body holds more than {FIELDS_MAX} fields: split it up")


def decode(body: bytes) -> Object:
    """The object, kind and apiVersion filled in. Raises BadRequest for anything malformed or unknown, TooLarge."""
    if not body.startswith(MAGIC):
        raise BadRequest("the request body is not Kubernetes protobuf: it does not start with the prefix k8s\\0")
    try:
        return _decode_envelope(body[len(MAGIC) :])
    except RecursionError as error:
        raise BadRequest("the request body is nested too deep") from error
    except (ValueError, IndexError, OverflowError, OSError, struct.error, msgspec.MsgspecError) as error:
        raise BadRequest(f"the request body is not valid protobuf: {error}") from error


def _decode_envelope(body: bytes) -> Object:
    type_meta: Object = {}
    raw, budget = b"", _Budget(FIELDS_MAX)
    for number, value in _fields(body, budget):
        if number == 1 and isinstance(value, bytes):
            type_meta = _message(value, "runtime.TypeMeta", budget)
        elif number == 2 and isinstance(value, bytes):
            raw = value
    api_version, kind = str(type_meta.get("apiVersion", "")), str(type_meta.get("kind", ""))
    name = _message_name(api_version, kind)
    return {"kind": kind, "apiVersion": api_version, **_message(raw, name, budget)}


def _message_name(api_version: str, kind: str) -> str:
    if kind == "DeleteOptions":
        return "meta.v1.DeleteOptions"
    name = definition_name(api_version, kind)
    if name not in _messages():
        raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')
    return name


def _fields(data: bytes, budget: _Budget) -> Iterator[tuple[int, bytes | int]]:
    position = 0
    while position < len(data):
        budget.spend()
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        size, position = _varint(data, position) if wire == _BYTES else (_fixed_size(wire), position)
        if position + size > len(data):
            raise ValueError("a field ends after the message")
        yield number, data[position : position + size]
        position += size


def _fixed_size(wire: int) -> int:
    if wire not in (_FIXED64, _FIXED32):
        raise ValueError(f"wire type {wire} is not used by Kubernetes")
    return 8 if wire == _FIXED64 else 4


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= len(data):
            raise ValueError("the message is cut short")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), position
        shift += 7
    raise ValueError("a varint is longer than 10 bytes")


def _message(data: bytes, name: str, budget: _Budget) -> Object:
    rows = _messages()[name]
    result: Object = {}
    for number, wire in _fields(data, budget):
        field = rows.get(number)
        if field is not None:
            _put(result, field, wire, budget)
    return result


def _put(result: Object, field: _Field, wire: bytes | int, budget: _Budget) -> None:
    if field.label == "map:":
        key, value = _map_entry(wire, field.type, budget)
        result.setdefault(field.name, {})[key] = value
        return
    if field.label == "[]" and field.type in _INTEGERS and isinstance(wire, bytes):
        result.setdefault(field.name, []).extend(_packed(wire, field.type, budget))
        return
    value = _value(wire, field.type, budget)
    if field.name == _INLINE:
        result.update(value)
    elif field.label == "[]":
        result.setdefault(field.name, []).append(value)
    elif value is not None and (value or not field.absent_when_zero or isinstance(value, dict)):
        result[field.name] = value
    else:
        result.pop(field.name, None)


def _map_entry(wire: bytes | int, type_name: str, budget: _Budget) -> tuple[str, Any]:
    entry = dict(_fields(_expect_bytes(wire), budget))
    empty: bytes | int = 0 if type_name in _INTEGERS else b""
    return _text(entry.get(1, b"")), _value(entry.get(2, empty), type_name, budget)


def _packed(data: bytes, type_name: str, budget: _Budget) -> Iterator[Any]:
    position = 0
    while position < len(data):
        budget.spend()
        value, position = _varint(data, position)
        yield _integer(value, type_name)


def _value(wire: bytes | int, type_name: str, budget: _Budget) -> Any:
    if type_name in _INTEGERS:
        if not isinstance(wire, int):
            raise ValueError(f"a {type_name} has another wire type")
        return _integer(wire, type_name)
    if type_name == "string":
        return _text(wire)
    if type_name == "double":
        return _double(_expect_bytes(wire))
    if type_name == "bytes":
        return base64.b64encode(_expect_bytes(wire)).decode()
    message = _message(_expect_bytes(wire), type_name, budget)
    special = _SPECIAL.get(type_name)
    return message if special is None else special(message)


def _integer(value: int, type_name: str) -> int | bool:
    if type_name == "bool":
        return value != 0
    return value - 2**64 if value >= 2**63 else value


def _double(wire: bytes) -> float | int:
    """As Go's JSON writes it: a whole number without a point."""
    value = float(struct.unpack("<d", wire)[0])
    return int(value) if value.is_integer() else value


def _expect_bytes(wire: bytes | int) -> bytes:
    if not isinstance(wire, bytes):
        raise ValueError("a message or text has another wire type")
    return wire


def _text(wire: bytes | int) -> str:
    return _expect_bytes(wire).decode("utf-8")


def _time(message: Object) -> str | None:
    return format_time(message.get("seconds", 0) * 1000) if message else None


def _micro_time(message: Object) -> str | None:
    millis = message.get("nanos", 0) // 1_000_000
    return format_micro_time(message.get("seconds", 0) * 1000 + millis) if message else None


def _int_or_string(message: Object) -> int | str:
    found: int | str = message.get("strVal", "") if message.get("type") else message.get("intVal", 0)
    return found


def _raw_json(message: Object) -> Any:
    """Of bytes that are JSON themselves: FieldsV1, RawExtension, a schema's default."""
    return msgspec.json.decode(base64.b64decode(message.get("-", "e30=")))


def _schema_or_array(message: Object) -> Any:
    return message.get("jSONSchemas") or message.get("schema")


def _schema_or_bool(message: Object) -> Any:
    return message["schema"] if "schema" in message else message.get("allows", False)


def _schema_or_strings(message: Object) -> Any:
    return message["schema"] if "schema" in message else message.get("property", [])


#: Messages whose JSON is not an object of their fields.
_SPECIAL: dict[str, Callable[[Object], Any]] = {
    "api.resource.Quantity": lambda message: message.get("string", "0"),
    "util.intstr.IntOrString": _int_or_string,
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "meta.v1.FieldsV1": _raw_json,
    "runtime.RawExtension": _raw_json,
    "apiextensions.v1.JSON": _raw_json,
    "apiextensions.v1.JSONSchemaPropsOrArray": _schema_or_array,
    "apiextensions.v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions.v1.JSONSchemaPropsOrStringArray": _schema_or_strings,
    "authentication.v1.ExtraValue": lambda message: message.get("items", []),
    "certificates.v1.ExtraValue": lambda message: message.get("items", []),
    "authorization.v1.ExtraValue": lambda message: message.get("items", []),
}
