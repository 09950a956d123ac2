"""CEL rules of a schema (`x-kubernetes-validations`, KEP-2876) on an object: `self`, and `oldSelf` for transitions.

A rule about a change runs where the old value is known to be the same place: members of objects, values of maps and
items of lists of type map. What has not changed has been judged before, with all that is in it (KEP-4008): only rules
about a change are asked again, for that nothing changes may be what they forbid. The work is bounded for the whole
object.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from actors.api.cel.environment import CALL_COST_MAX, CelError, compile_expression
from actors.api.cel.values import NONE, Duration, Optional, OutOfBudget, Timestamp
from actors.api.errors import Cause
from actors.api.structural.formats import parse_datetime
from actors.api.structural.node import DEPTH_MAX, Node, Rule
from actors.api.structural.prune import TYPE_META
from actors.api.structural.validate import ABSENT, at, correlate, has_type, item_key
from actors.api.structural.words import escape, parse_duration

VARIABLES = ("self", "oldSelf")
#: Of all rules of an object together, in units of cost; showing a value costs one. About a second of work.
_BUDGET = 2_000_000
_REASON_WORDS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class _OutOfBudget(Exception):
    """The rest is not looked at."""


def check_rules(value: Any, node: Node, old: Any = ABSENT) -> list[Cause]:
    """Of a value that `validate` has found to fit the schema."""
    if not node.subtree_rules:
        return []
    walk = _Walk()
    found: list[Cause] = []
    try:
        found.extend(walk.place(value, node, "", old, root=True))
    except _OutOfBudget:
        found.append(Cause("", f'Invalid value: "object": {_OUT_OF_BUDGET}'))
    return found


class _Walk:
    """Judges one object; pays for every value shown to a rule."""

    def __init__(self) -> None:
        self.left = _BUDGET

    def place(self, value: Any, node: Node, path: str, old: Any, *, root: bool = False) -> Iterator[Cause]:
        if not node.subtree_rules or value is None or not has_type(value, node):
            return
        if old is not ABSENT and not node.subtree_transitions and value == old:
            return
        if node.rules:
            yield from self._judge(value, node, path, old, root)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, item in value.items():
                if (child := node.child(name)) is not None and child.subtree_rules:
                    where = at(path, name) if name in node.properties else f"{path}[{name}]"
                    yield from self.place(item, child, where, before.get(name, ABSENT))
        elif isinstance(value, list) and node.items is not None:
            same = correlate(old, node) if isinstance(old, list) else {}
            for index, item in enumerate(value):
                known = same.get(item_key(item, node), ABSENT) if same else ABSENT
                yield from self.place(item, node.items, f"{path}[{index}]", known)

    def _judge(self, value: Any, node: Node, path: str, old: Any, root: bool) -> Iterator[Cause]:
        rules = node.rules
        if old is not ABSENT and value == old:
            rules = tuple(rule for rule in rules if rule.is_transition)
        if not rules:
            return
        shown = self._shown(value, node, DEPTH_MAX, root)
        shown_old = self._shown(old, node, DEPTH_MAX, root) if old is not ABSENT else ABSENT
        for rule in rules:
            data = {"self": shown}
            if rule.optional_old_self:
                data["oldSelf"] = NONE if shown_old is ABSENT else Optional(shown_old)
            elif shown_old is not ABSENT:
                data["oldSelf"] = shown_old
            elif rule.is_transition:
                continue
            yield from self._apply(rule, data, node, path)

    def _apply(self, rule: Rule, data: dict[str, Any], node: Node, path: str) -> Iterator[Cause]:
        where = path + rule.field_path
        where = where.removeprefix(".") if not path else where
        shown_type = node.type or "object"
        try:
            verdict = self._evaluate(rule.rule, data)
        except OutOfBudget:
            if self.left <= 0:
                raise _OutOfBudget from None
            why = "call cost exceeds limit for rule"
            yield Cause(where, f'Invalid value: "{shown_type}": {why}: {rule.message or rule.rule}')
            return
        except CelError as error:
            yield Cause(where, f'Invalid value: "{shown_type}": {error} evaluating rule: {rule.message or rule.rule}')
            return
        if verdict is not True:
            message = self._message(rule, data)
            words = _REASON_WORDS[rule.reason]
            value = f': "{shown_type}"' if rule.reason in ("FieldValueInvalid", "FieldValueDuplicate") else ""
            told = "" if rule.reason == "FieldValueDuplicate" else f": {message}"
            yield Cause(where, f"{words}{value}{told}", rule.reason)

    def _evaluate(self, text: str, data: dict[str, Any]) -> Any:
        """Raises CelError, OutOfBudget."""
        try:
            value, cost = compile_expression(text, VARIABLES).spend(data, self.left)
        except OutOfBudget:
            self.left -= min(self.left, CALL_COST_MAX)
            raise
        self._pay(1 + cost)
        return value

    def _message(self, rule: Rule, data: dict[str, Any]) -> str:
        """Of the expression, when it gives one good line; else the fixed one, else the rule itself."""
        fixed = rule.message or f"failed rule: {rule.rule.strip()}"
        if not rule.message_expression:
            return fixed
        try:
            told = self._evaluate(rule.message_expression, data)
        except CelError:
            return fixed
        good = isinstance(told, str) and told.strip() and "\n" not in told and len(told) <= 5 * 1024
        return told.strip() if good else fixed

    def _pay(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise _OutOfBudget

    def _shown(self, value: Any, node: Node | None, depth: int, root: bool = False) -> Any:
        """What CEL is to see of it: types by schema, members by names that an expression can say."""
        self._pay(1)
        if depth == 0:
            raise _OutOfBudget
        match value:
            case dict():
                return self._shown_object(value, node, depth, root)
            case list():
                items = node.items if node else None
                return [self._shown(item, items, depth - 1) for item in value]
            case str():
                return _shown_text(value, node.format) if node is not None and node.format else value
            case int() if node is not None and node.type == "number" and not isinstance(value, bool):
                return float(value)
            case float() if node is not None and node.type == "integer":
                return int(value)
        return value

    def _shown_object(self, value: dict[str, Any], node: Node | None, depth: int, root: bool) -> dict[str, Any]:
        """Of a typed object only what its schema names; of a root and an embedded resource a part of the metadata."""
        if node is None:
            return {name: self._shown(item, None, depth - 1) for name, item in value.items()}
        if isinstance(node.additional, Node):
            return {name: self._shown(item, node.additional, depth - 1) for name, item in value.items()}
        shown = {}
        for name, item in value.items():
            child = node.properties.get(name)
            if (root or node.embedded) and name in TYPE_META:
                shown[name] = _shown_metadata(item) if name == "metadata" else item
            elif child is not None:
                shown[escape(name)] = self._shown(item, child, depth - 1)
            elif node.additional is True or (node.preserve and not node.properties):
                shown[name] = self._shown(item, None, depth - 1)
        return shown


def _shown_metadata(metadata: Any) -> dict[str, Any]:
    known = metadata if isinstance(metadata, dict) else {}
    return {name: known[name] for name in ("name", "generateName") if name in known}


def _shown_text(value: str, name: str) -> str | bytes | Timestamp | Duration:
    try:
        if name == "date-time":
            return _timestamp(parse_datetime(value))
        if name == "date":
            midnight = datetime.datetime.combine(datetime.date.fromisoformat(value), datetime.time(), datetime.UTC)
            return _timestamp(midnight)
        if name == "duration":
            return _duration(parse_duration(value))
    except (ValueError, OverflowError):
        return value
    return value.encode() if name == "byte" else value


def _timestamp(moment: datetime.datetime) -> Timestamp:
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return Timestamp((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)


def _duration(length: datetime.timedelta) -> Duration:
    return Duration(length // datetime.timedelta(microseconds=1) * 1000)
