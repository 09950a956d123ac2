"""ConfigMap, Secret and Node (pkg/apis/core/validation)."""

from __future__ import annotations

import re

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, unsupported, wrong
from actors.api.validation.kinds import validate_secret_type

_FILE_KEY = re.compile(r"[-._a-zA-Z0-9]+$")
_DATA_BYTES_MAX = 1024 * 1024


def validate_files(obj: Object, old: Object | None) -> Causes:
    """ConfigMap and Secret."""
    total = 0
    for section in ("data", "binaryData"):
        for key, value in (obj.get(section) or {}).items():
            total += len(value) if isinstance(value, str) else 0
            if len(key) > 253 or not _FILE_KEY.match(key) or key in (".", "..") or key.startswith(".."):
                yield wrong(
                    f"{section}[{key}]",
                    key,
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                )
    if total > _DATA_BYTES_MAX * (4 / 3 if obj.get("kind") == "Secret" else 1):
        yield Cause("data", f"Too long: may not be more than {_DATA_BYTES_MAX} bytes", "FieldValueTooLong")
    if obj.get("kind") == "Secret":
        yield from validate_secret_type(obj)
    if old is not None and old.get("immutable"):
        for section in ("data", "binaryData"):
            if obj.get(section) != old.get(section):
                yield forbidden(section, "field is immutable when `immutable` is set")
    if old is not None and obj.get("type") != old.get("type"):
        yield wrong("type", obj.get("type"), "field is immutable")


def validate_node(node: Object, old: Object | None) -> Causes:
    effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
    for i, taint in enumerate(dicts_of((node.get("spec") or {}).get("taints"))):
        if taint.get("effect") not in effects:
            yield unsupported(f"spec.taints[{i}].effect", taint.get("effect"), effects)
        if not taint.get("key"):
            yield required(f"spec.taints[{i}].key")
    before = ((old or {}).get("spec") or {}).get("podCIDR")
    if before and (node.get("spec") or {}).get("podCIDR") != before:
        yield forbidden("spec.podCIDR", "node updates may not change podCIDR once it is set")
