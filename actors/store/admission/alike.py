"""Pods of one template are alike but for their names and their free text: what is found out of one holds for the next.

Free text is what no rule judges and no default depends on: values of environment variables, commands, arguments. A spec
without it is a shape. Of each shape it is found out once what its defaults make of it, which fields it has and whether
it is valid; ten thousand pods of one job are checked once. Specs that are kept here are shared: nobody changes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from actors.api.codec import Object
from actors.api.conform import conforms
from actors.api.defaulting import default
from actors.api.errors import Cause
from actors.api.kinds import POD
from actors.api.schema import Field
from actors.api.validation import typed, validate
from actors.api.validation.metadata import validate_metadata
from actors.store.admission.fieldset import root_of
from actors.store.admission.fieldtree import fields_of

_ENCODER = msgspec.msgpack.Encoder()
#: In the place of free text. No client's JSON can say it.
_TEXT = b"text"
_SHAPES_MAX = 256
#: Larger specs are rare, and keeping them would cost more than it saves.
_SHAPE_BYTES_MAX = 16 << 10


class _Made(NamedTuple):
    """What defaults make of a spec, the pod's status with it, and fieldsV1 of the spec."""

    spec: Object
    status: Object
    fields: Object


class Alike:
    """What is known of shapes. Pure: it forgets and learns again, and no answer depends on it."""

    def __init__(self) -> None:
        self._made: dict[bytes, _Made] = {}
        self._valid: dict[bytes, None] = {}

    def default(self, pod: Object) -> tuple[Object, Object]:
        """`default(typed(pod))` and fieldsV1 of its spec. Raises Invalid for what is of the wrong type."""
        given: Any = pod.get("spec")
        shape = _shape_of(given)
        if shape is None or not _rest_conforms(pod):
            return _defaulted(pod)
        made = self._made.get(shape)
        if made is None:
            whole, fields = _defaulted(pod)
            if conforms(pod, POD.api_version, POD.kind):
                _remember(self._made, shape, _Made(whole["spec"], whole["status"], fields))
            return whole, fields
        return {**pod, "spec": with_text(made.spec, given), "status": made.status}, made.fields

    def find_problems(self, pod: Object) -> list[Cause]:
        """`validate(pod)` of a new pod."""
        shape = _shape_of(pod.get("spec"))
        if shape is not None and shape in self._valid:
            return list(validate_metadata(pod))
        causes = validate(pod)
        if shape is not None and not causes:
            _remember(self._valid, shape, None)
        return causes


def _defaulted(pod: Object) -> tuple[Object, Object]:
    whole = default(typed(pod))
    return whole, fields_of(whole["spec"], _spec_field())


def _spec_field() -> Field | None:
    return root_of(POD).member("spec")


def _rest_conforms(pod: Object) -> bool:
    """Whether all but the spec is just what its schema says, and the status what every new pod's is."""
    rest = {name: value for name, value in pod.items() if name != "spec"}
    return rest.get("status") == {"phase": "Pending"} and conforms(rest, POD.api_version, POD.kind)


def _remember(known: dict[bytes, Any], shape: bytes, what: Any) -> None:
    if len(known) >= _SHAPES_MAX:
        del known[next(iter(known))]
    known[shape] = what


# --- shapes ---------------------------------------------------------------------------------------------------------


def _shape_of(spec: Any) -> bytes | None:
    """None for what is no spec, or too large to be kept. Equal shapes have equal members in equal order."""
    return encode_shape(without_text(spec)) if type(spec) is dict else None


def encode_shape(value: Any) -> bytes | None:
    """Equal for equal values only."""
    try:
        encoded = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return None
    return encoded if len(encoded) <= _SHAPE_BYTES_MAX else None


def without_text(spec: Object) -> Object:
    shape = dict(spec)
    for kind in ("initContainers", "containers"):
        containers = spec.get(kind)
        if type(containers) is list:
            shape[kind] = [_bare(c) if type(c) is dict else c for c in containers]
    return shape


def _bare(container: Object) -> Object:
    """Only text of the right type is left out: anything else stays, and is judged."""
    bare = dict(container)
    for name in ("command", "args"):
        if _is_text(container.get(name)):
            bare[name] = _TEXT
    env = container.get("env")
    if type(env) is list:
        bare["env"] = [_without_value(v) if type(v) is dict else v for v in env]
    return bare


def _is_text(items: Any) -> bool:
    return type(items) is list and bool(items) and all(type(item) is str for item in items)


def _without_value(variable: Object) -> Object:
    """An empty value stays: it is a rule whether there is one."""
    value = variable.get("value")
    return {**variable, "value": _TEXT} if value and type(value) is str else variable


def with_text(made: Object, given: Object) -> Object:
    """`made` of a spec of this shape, with the free text of this one."""
    spec = dict(made)
    for kind in ("initContainers", "containers"):
        if containers := given.get(kind):
            spec[kind] = [_container(known, told) for known, told in zip(made[kind], containers, strict=True)]
    return spec


def _container(made: Object, given: Object) -> Object:
    container = dict(made)
    for name in ("command", "args"):
        if _is_text(given.get(name)):
            container[name] = given[name]
    if env := given.get("env"):
        container["env"] = [
            {**known, "value": told["value"]} if told.get("value") else known
            for known, told in zip(made["env"], env, strict=True)
        ]
    return container
