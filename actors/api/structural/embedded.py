"""Resources within resources (`x-kubernetes-embedded-resource`): apiVersion, kind and metadata as every object has them
(apiextensions-apiserver pkg/apiserver/schema/objectmeta). What has not changed is not judged again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.schema import definition
from actors.api.structural.node import DEPTH_MAX, Node
from actors.api.validation.causes import required, wrong
from actors.api.validation.metadata import validate_metadata

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_RULE = (
    "may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric "
    "characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  "
    "or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def known_metadata(name: str) -> bool:
    """Whether ObjectMeta has such a field."""
    found = definition("meta.v1.ObjectMeta")
    return found is not None and name in found.fields


def check_embedded(value: Any, node: Node, old: Any) -> Iterator[Cause]:
    """Of a value that fits its schema; `old` is what it replaces, ABSENT where there is nothing."""
    if node.subtree_embedded:
        yield from _walk(value, node, "", old, DEPTH_MAX)


def _walk(value: Any, node: Node, path: str, old: Any, depth: int) -> Iterator[Cause]:
    if not node.subtree_embedded or depth == 0 or value == old:
        return
    if isinstance(value, dict):
        if node.embedded:
            yield from _check(value, path)
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            if (child := node.child(name)) is not None:
                at = f"{path}.{name}" if path else name
                yield from _walk(item, child, at, before.get(name, old), depth - 1)
    elif isinstance(value, list) and node.items is not None:
        for at_index, item in enumerate(value):
            yield from _walk(item, node.items, f"{path}[{at_index}]", None, depth - 1)


def _check(value: Object, path: str) -> Iterator[Cause]:
    for name in ("apiVersion", "kind"):
        given = value.get(name)
        if name not in value:
            yield required(f"{path}.{name}", "must not be empty")
        elif not isinstance(given, str):
            yield wrong(f"{path}.{name}", given, "must be a string")
        elif not given:
            yield wrong(f"{path}.{name}", given, "must not be empty")
        elif name == "apiVersion" and given.count("/") > 1:
            yield wrong(f"{path}.{name}", given, f"unexpected GroupVersion string: {given}")
        elif name == "kind" and not _LABEL.fullmatch(given.lower()):
            yield wrong(f"{path}.{name}", given, _RULE)
    metadata = value.get("metadata")
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield wrong(f"{path}.metadata", metadata, "must be an object")
        return
    name = metadata.get("name") or ""
    if isinstance(name, str) and (name in (".", "..") or "/" in name or "%" in name):
        yield wrong(f"{path}.metadata.name", name, "may not be '.' or '..' and may not contain '/' or '%'")
    for cause in validate_metadata({"metadata": {**metadata, "name": "any"}}):
        yield Cause(f"{path}.{cause.field}", cause.message, cause.reason)
