"""CEL rules when their CRD is written: they compile against the schema, and say where and why they do not.

For the check a schema becomes protobuf messages, so that the compiler knows each field and its type; rules run on
plain values afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cel_expr_python import cel

from actors.api.cel.environment import CelError, compile_expression, typed_environment
from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.structural.messages import MessageTypes
from actors.api.structural.node import DEPTH_MAX
from actors.api.structural.rules import VARIABLES
from actors.api.structural.words import uses
from actors.api.validation.causes import required, unsupported, wrong

REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_FIELD_PATH = re.compile(r"(\.[A-Za-z_][\w\-]*|\['[^']+'\])+")
_RULE_CHARS_MAX = 20_000


def check_schema_rules(schema: Object, path: str) -> Iterator[Cause]:
    """Of a structural schema; `path` names it."""
    yield from _walk(schema, path, True, "", DEPTH_MAX)


def _walk(schema: Object, path: str, root: bool, uncorrelatable: str, depth: int) -> Iterator[Cause]:
    rules = schema.get("x-kubernetes-validations") or ()
    if rules:
        yield from _check_all(rules, schema, f"{path}.x-kubernetes-validations", root, uncorrelatable)
    for name, part in (schema.get("properties") or {}).items():
        yield from _walk(part, f"{path}.properties[{name}]", False, uncorrelatable, depth - 1)
    if isinstance(additional := schema.get("additionalProperties"), dict):
        yield from _walk(additional, f"{path}.additionalProperties", False, uncorrelatable, depth - 1)
    if isinstance(items := schema.get("items"), dict):
        inside = uncorrelatable or ("" if schema.get("x-kubernetes-list-type") == "map" else path)
        yield from _walk(items, f"{path}.items", False, inside, depth - 1)


def _check_all(rules: Any, schema: Object, path: str, root: bool, uncorrelatable: str) -> Iterator[Cause]:
    types = MessageTypes(schema, root)
    for index, rule in enumerate(rules):
        where = f"{path}[{index}]"
        if not isinstance(rule, dict) or not all(
            isinstance(rule.get(name) or "", str) for name in rule if name != "optionalOldSelf"
        ):
            yield wrong(where, str(rule)[:80], "must be a validation rule of strings")
            continue
        yield from _check_words(rule, where)
        yield from _check_expressions(rule, types, where, uncorrelatable)


def _check_words(rule: Object, where: str) -> Iterator[Cause]:
    text, message, reason, field = (rule.get(name) for name in ("rule", "message", "reason", "fieldPath"))
    if not (text or "").strip():
        yield required(f"{where}.rule", "rule is not specified")
    if message is not None and not message.strip():
        yield wrong(f"{where}.message", message, "message must be non-empty if specified")
    elif message and "\n" in message.strip():
        yield wrong(f"{where}.message", message, "message must not contain line breaks")
    elif "\n" in (text or "").strip() and not message and not rule.get("messageExpression"):
        yield required(f"{where}.message", "message must be specified if rule contains line breaks")
    if reason and reason not in REASONS:
        yield unsupported(f"{where}.reason", reason, REASONS)
    if field is not None and not _FIELD_PATH.fullmatch(field):
        yield wrong(f"{where}.fieldPath", field, "fieldPath must be a valid path")
    if (expression := rule.get("messageExpression")) is not None and not expression.strip():
        yield required(f"{where}.messageExpression", "messageExpression must be non-empty if specified")


def _check_expressions(rule: Object, types: MessageTypes, where: str, uncorrelatable: str) -> Iterator[Cause]:
    text, told = (rule.get("rule") or "").strip(), (rule.get("messageExpression") or "").strip()
    if text and uses(text, "oldSelf") and uncorrelatable:
        yield wrong(
            f"{where}.rule",
            text,
            f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}",
        )
    for name, expression, expected in (("rule", text, "BOOL"), ("messageExpression", told, "STRING")):
        if not expression:
            continue
        if len(expression) > _RULE_CHARS_MAX:
            yield Cause(
                f"{where}.{name}", f"Too long: may not be more than {_RULE_CHARS_MAX} bytes", "FieldValueTooLong"
            )
            continue
        try:
            returns = _compiled_type(expression, types, bool(rule.get("optionalOldSelf")))
        except CelError as error:
            yield wrong(f"{where}.{name}", expression, f"compilation failed: {error}")
            continue
        if returns not in (expected, "DYN"):
            words = "must evaluate to a bool" if expected == "BOOL" else "must evaluate to a string"
            yield wrong(f"{where}.{name}", expression, f"{name if name != 'rule' else 'cel expression'} {words}")


def _compiled_type(expression: str, types: MessageTypes, optional: bool) -> str:
    """Raises CelError when it cannot be compiled, be it with the types or without."""
    run = f"cel.bind(oldSelf, optional.of(oldSelf), ({expression}))" if optional else expression
    if types.pool is None:
        return compile_expression(run, VARIABLES).returns
    variables = {"self": cel.Type(types.root), "oldSelf": cel.Type(types.root)}
    return typed_environment(types.pool, variables)(run)
