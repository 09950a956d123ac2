"""A structural schema, compiled for walking: what a place may hold and what is to be done with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import re2

from actors.api.codec import Object
from actors.api.structural.words import uses

#: Deeper than any schema that a person writes; far from what recursion in Python or CEL can bear.
DEPTH_MAX = 100
PATTERN_BYTES_MAX = 1 << 20
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_MISSING = object()
#: Equal bytes for equal values.
canonical = msgspec.json.Encoder(order="sorted").encode
_OPTIONS = re2.Options()
_OPTIONS.max_mem = 8 * PATTERN_BYTES_MAX
_OPTIONS.log_errors = False


def compile_pattern(pattern: str) -> Any:
    """Linear in the text whatever the pattern (RE2, as Go's regexp). Raises ValueError."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        text = error.args[0] if error.args else error
        raise ValueError(text.decode() if isinstance(text, bytes) else str(text)) from error


@dataclass(slots=True, frozen=True)
class Rule:
    """One of `x-kubernetes-validations`. `is_transition`: it compares with what was before."""

    rule: str
    message: str = ""
    message_expression: str = ""
    reason: str = "FieldValueInvalid"
    field_path: str = ""
    optional_old_self: bool | None = None
    is_transition: bool = False


@dataclass(slots=True)
class Node:
    """`additional` is the schema of a map's values, True for any value; `bounds` are minimum, maxLength and their like.

    `subtree_rules` says whether a rule is anywhere below (or here), `subtree_transitions` whether one that compares
    with what was before: walks which look for rules end early.
    """

    type: str = ""
    format: str = ""
    nullable: bool = False
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | bool | None = None
    items: Node | None = None
    required: tuple[str, ...] = ()
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    is_atomic_map: bool = False
    default: Any = _MISSING
    enum: tuple[Any, ...] | None = None
    enum_keys: frozenset[bytes] = frozenset()
    pattern: Any = None
    pattern_text: str = ""
    bounds: dict[str, float] = field(default_factory=dict)
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    multiple_of: float | None = None
    all_of: tuple[Node, ...] = ()
    any_of: tuple[Node, ...] = ()
    one_of: tuple[Node, ...] = ()
    none_of: Node | None = None
    rules: tuple[Rule, ...] = ()
    subtree_rules: bool = False
    subtree_transitions: bool = False
    subtree_defaults: bool = False
    subtree_embedded: bool = False

    @property
    def has_default(self) -> bool:
        return self.default is not _MISSING

    def child(self, name: str) -> Node | None:
        """Of an object's member; None for one without a schema."""
        found = self.properties.get(name)
        return found or (self.additional if isinstance(self.additional, Node) else None)

    def children(self) -> Iterator[Node]:
        yield from self.properties.values()
        if isinstance(self.additional, Node):
            yield self.additional
        if self.items is not None:
            yield self.items


def compile_node(schema: Object) -> Node:
    """Of a schema that `check.py` has found to be structural."""
    additional = schema.get("additionalProperties")
    pattern = schema.get("pattern") or ""
    node = Node(
        type=schema.get("type") or "",
        format=schema.get("format") or "",
        nullable=bool(schema.get("nullable")),
        preserve=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        int_or_string=bool(schema.get("x-kubernetes-int-or-string")),
        properties={name: compile_node(part) for name, part in (schema.get("properties") or {}).items()},
        additional=compile_node(additional) if isinstance(additional, dict) else additional or None,
        items=compile_node(schema["items"]) if isinstance(schema.get("items"), dict) else None,
        required=tuple(schema.get("required") or ()),
        list_type=schema.get("x-kubernetes-list-type") or "atomic",
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        is_atomic_map=schema.get("x-kubernetes-map-type") == "atomic",
        default=_MISSING if schema.get("default") is None else schema["default"],
        enum=tuple(schema["enum"]) if schema.get("enum") else None,
        enum_keys=frozenset(map(canonical, schema.get("enum") or ())),
        pattern=compile_pattern(pattern) if pattern else None,
        pattern_text=pattern,
        bounds={name: schema[name] for name in _BOUNDS if schema.get(name) is not None},
        exclusive_minimum=bool(schema.get("exclusiveMinimum")),
        exclusive_maximum=bool(schema.get("exclusiveMaximum")),
        multiple_of=schema.get("multipleOf"),
        all_of=_parts(schema, "allOf"),
        any_of=_parts(schema, "anyOf"),
        one_of=_parts(schema, "oneOf"),
        none_of=compile_node(schema["not"]) if schema.get("not") else None,
        rules=tuple(_compile_rule(rule) for rule in schema.get("x-kubernetes-validations") or ()),
    )
    node.subtree_rules = bool(node.rules) or any(child.subtree_rules for child in node.children())
    node.subtree_transitions = any(rule.is_transition for rule in node.rules) or any(
        child.subtree_transitions for child in node.children()
    )
    node.subtree_embedded = node.embedded or any(child.subtree_embedded for child in node.children())
    node.subtree_defaults = node.has_default or any(child.subtree_defaults for child in node.children())
    return node


def _parts(schema: Object, name: str) -> tuple[Node, ...]:
    return tuple(compile_node(part) for part in schema.get(name) or ())


def _compile_rule(rule: Object) -> Rule:
    return Rule(
        rule=rule.get("rule", ""),
        message=(rule.get("message") or "").strip(),
        message_expression=rule.get("messageExpression") or "",
        reason=rule.get("reason") or "FieldValueInvalid",
        field_path=rule.get("fieldPath") or "",
        optional_old_self=rule.get("optionalOldSelf"),
        is_transition=uses(rule.get("rule", ""), "oldSelf"),
    )
