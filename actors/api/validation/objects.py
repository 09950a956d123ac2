"""ConfigMap, Secret and Node (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import Causes, dicts_of, duplicate, forbidden, required, too_long, unsupported, wrong
from actors.api.validation.formats import CONFIG_KEY_RULE
from actors.api.validation.kinds import validate_secret_type
from actors.api.validation.metadata import validate_qualified

_FILE_KEY = re.compile(r"[-._a-zA-Z0-9]+$")
_DATA_BYTES_MAX = 1024 * 1024
_KEY_CHARS_MAX = 253
_IMMUTABLE = "field is immutable when `immutable` is set"


def validate_files(obj: Object, old: Object | None) -> Causes:
    """ConfigMap and Secret."""
    total, is_secret = 0, obj.get("kind") == "Secret"
    for section in ("data", "binaryData"):
        for key, value in (obj.get(section) or {}).items():
            total += _size(value, section, is_secret)
            yield from _key(f"{section}[{key}]", key)
    for key in (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys():
        yield wrong(f"data[{key}]", key, "duplicate of key present in binaryData")
    if total > _DATA_BYTES_MAX:
        path = "data" if is_secret else ""
        yield too_long(path, _DATA_BYTES_MAX)
    if is_secret:
        yield from validate_secret_type(obj)
    if old is not None and old.get("immutable"):
        if not obj.get("immutable"):
            yield forbidden("immutable", _IMMUTABLE)
        for section in ("data", "binaryData"):
            if (obj.get(section) or {}) != (old.get(section) or {}):
                yield forbidden(section, _IMMUTABLE)
    if old is not None and obj.get("type") != old.get("type"):
        yield wrong("type", obj.get("type"), "field is immutable")


def _size(value: Any, section: str, is_secret: bool) -> int:
    """In bytes; of what is written in base64, of what that stands for."""
    if not isinstance(value, str):
        return 0
    return len(value) * 3 // 4 - value[-2:].count("=") if is_secret or section == "binaryData" else len(value.encode())


def _key(path: str, key: str) -> Causes:
    if len(key) > _KEY_CHARS_MAX:
        yield wrong(path, key, f"must be no more than {_KEY_CHARS_MAX} characters")
    if not _FILE_KEY.match(key):
        yield wrong(path, key, CONFIG_KEY_RULE)
    elif key in (".", ".."):
        yield wrong(path, key, f"must not be '{key}'")
    elif key.startswith(".."):
        yield wrong(path, key, "must not start with '..'")


def validate_node(node: Object, old: Object | None) -> Causes:
    effects = ("NoSchedule", "PreferNoSchedule", "NoExecute")
    seen: set[tuple[Any, Any]] = set()
    for i, taint in enumerate(dicts_of((node.get("spec") or {}).get("taints"))):
        if (taint.get("key"), taint.get("effect")) in seen:
            yield duplicate(f"spec.taints[{i}]", taint)
        seen.add((taint.get("key"), taint.get("effect")))
        if taint.get("effect") not in effects:
            yield unsupported(f"spec.taints[{i}].effect", taint.get("effect"), effects)
        if not taint.get("key"):
            yield required(f"spec.taints[{i}].key")
        else:
            yield from validate_qualified(f"spec.taints[{i}].key", taint["key"])
    if old is not None:
        yield from _node_changes(node.get("spec") or {}, old.get("spec") or {})


def _node_changes(spec: Object, before: Object) -> Causes:
    """What a node is does not change; what it is allowed to do does."""
    for name, shown in (("podCIDR", "podCIDRs"), ("providerID", "providerID")):
        if before.get(name) and spec.get(name) != before[name]:
            yield forbidden(f"spec.{shown}", f'node updates may not change {name} except from "" to valid')
    known = {"podCIDR", "podCIDRs", "providerID", "taints", "unschedulable"}
    if any(spec.get(name) != before.get(name) for name in {*spec, *before} - known):
        yield forbidden("", "node updates may only change labels, taints, or capacity")
