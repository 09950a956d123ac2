"""CEL rules when their CRD is written: they compile against the schema, can be afforded, and say where and why not.

For the check a schema becomes protobuf messages, so that the compiler knows each field and its type; rules run on
plain values afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from actors.api.cel.ast import Call, Fold, ListNode, Tree
from actors.api.cel.environment import EXPRESSION_CHARS_MAX, CelError, Environment
from actors.api.cel.estimate import Estimator
from actors.api.cel.spans import MOST
from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.structural.messages import MessageTypes
from actors.api.structural.node import DEPTH_MAX
from actors.api.structural.sizes import items_most, size_at, times_most
from actors.api.structural.words import uses
from actors.api.validation.causes import forbidden, required, unsupported, wrong

REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_FIELD_PATH = re.compile(r"(\.[A-Za-z_][\w\-]*|\['[^']+'\])+")
#: Kubernetes' limits of what a rule, and all rules of a schema, may be estimated to cost.
RULE_COST_MAX, SCHEMA_COST_MAX = 10_000_000, 100_000_000
_ADVICE = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared"
)
_CONTRIBUTED = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"


class _Place(NamedTuple):
    """`times`: how often a value can be there in one object, None where only the request's size bounds it;
    `uncorrelatable`: the list below which no old value is known."""

    path: str
    root: bool = False
    times: int | None = 1
    uncorrelatable: str = ""


class _Costs:
    """Of all rules of a schema."""

    def __init__(self) -> None:
        self.total = 0
        self.dearest: list[tuple[int, str]] = []

    def add(self, cost: int, path: str) -> None:
        self.total = min(self.total + cost, MOST)
        self.dearest = sorted([*self.dearest, (cost, path)], reverse=True)[:4]


def check_schema_rules(schema: Object, path: str) -> Iterator[Cause]:
    """Of a structural schema; `path` names it."""
    costs = _Costs()
    yield from _walk(schema, _Place(path, root=True), DEPTH_MAX, costs)
    if costs.total > SCHEMA_COST_MAX:
        for _, where in costs.dearest:
            yield forbidden(where, _CONTRIBUTED)
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield forbidden(path, _too_dear(name, costs.total, SCHEMA_COST_MAX))


def _walk(schema: Object, place: _Place, depth: int, costs: _Costs) -> Iterator[Cause]:
    if rules := schema.get("x-kubernetes-validations") or ():
        yield from _check_all(rules, schema, place, costs)
    path = place.path
    for name, part in (schema.get("properties") or {}).items():
        yield from _walk(part, place._replace(path=f"{path}.properties[{name}]", root=False), depth - 1, costs)
    if isinstance(additional := schema.get("additionalProperties"), dict):
        inner = _Place(f"{path}.additionalProperties", False, _times(schema, place), place.uncorrelatable)
        yield from _walk(additional, inner, depth - 1, costs)
    if isinstance(items := schema.get("items"), dict):
        inside = place.uncorrelatable or ("" if schema.get("x-kubernetes-list-type") == "map" else path)
        yield from _walk(items, _Place(f"{path}.items", False, _times(schema, place), inside), depth - 1, costs)


def _times(schema: Object, place: _Place) -> int | None:
    bound = schema.get("maxItems" if schema.get("type") == "array" else "maxProperties")
    return None if bound is None or place.times is None else min(items_most(schema) * place.times, MOST)


def _check_all(rules: Any, schema: Object, place: _Place, costs: _Costs) -> Iterator[Cause]:
    types = MessageTypes()
    self_type = types.add(schema, place.root)
    plain = Environment({"self": self_type, "oldSelf": self_type}, types.pool)
    for index, rule in enumerate(rules):
        where = f"{place.path}.x-kubernetes-validations[{index}]"
        if not isinstance(rule, dict) or not all(
            isinstance(rule.get(name) or "", str) for name in rule if name != "optionalOldSelf"
        ):
            yield wrong(where, str(rule)[:80], "must be a validation rule of strings")
            continue
        yield from _check_words(rule, where, schema)
        yield from _check_expressions(rule, plain, schema, place, where, costs)


def _check_words(rule: Object, where: str, schema: Object) -> Iterator[Cause]:
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
    if field is not None and (not _FIELD_PATH.fullmatch(field) or not _leads_somewhere(field, schema)):
        yield wrong(f"{where}.fieldPath", field, "fieldPath must be a valid path")
    if (expression := rule.get("messageExpression")) is not None and not expression.strip():
        yield required(f"{where}.messageExpression", "messageExpression must be non-empty if specified")


def _leads_somewhere(path: str, schema: Any) -> bool:
    """Through properties and maps, as the schema has them."""
    for dotted, quoted in re.findall(r"\.([A-Za-z_][\w\-]*)|\['([^']+)'\]", path):
        if not isinstance(schema, dict):
            return False
        properties = schema.get("properties") or {}
        schema = properties.get(dotted or quoted, schema.get("additionalProperties"))
    return isinstance(schema, dict)


def _check_expressions(
    rule: Object, environment: Environment, schema: Object, place: _Place, where: str, costs: _Costs
) -> Iterator[Cause]:
    text, told = (rule.get("rule") or "").strip(), (rule.get("messageExpression") or "").strip()
    if text and uses(text, "oldSelf") and place.uncorrelatable:
        within = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelatable}"
        yield wrong(f"{where}.rule", text, within)
    for name, expression, expected in (("rule", text, "bool"), ("messageExpression", told, "string")):
        if not expression:
            continue
        at = f"{where}.{name}"
        if len(expression) > EXPRESSION_CHARS_MAX:
            yield Cause(at, f"Too long: may not be more than {EXPRESSION_CHARS_MAX} bytes", "FieldValueTooLong")
            continue
        try:
            check = _check_optional if rule.get("optionalOldSelf") else _check_plain
            tree = check(environment, expression)
        except CelError as error:
            yield wrong(at, expression, f"compilation failed: {error}")
            continue
        if str(tree.type_of(tree.root)) not in (expected, "dyn"):
            what = "cel expression" if name == "rule" else name
            yield wrong(at, expression, f"{what} must evaluate to a {expected}")
            continue
        yield from _check_cost(tree, schema, place, at, name, costs)


#: The compiler has no name for an optional of a schema's type: it is made, and what is around the expression taken off.
_BEFORE, _AFTER = "[optional.of(oldSelf)].map(oldSelf, (", "))"


def _check_plain(environment: Environment, expression: str) -> Tree:
    return environment.check(expression)[0]


def _check_optional(environment: Environment, expression: str) -> Tree:
    """With `oldSelf` as an optional. Raises CelError."""
    try:
        tree, _ = environment.check(f"{_BEFORE}{expression}{_AFTER}")
    except CelError as error:
        raise CelError(_unwrapped(str(error))) from error
    match tree.root:
        case Fold(step=Call(args=[_, ListNode(elements=[inner])])):
            return Tree(inner, tree.types, tree.overloads)
    raise CelError("unexpected expression")


def _unwrapped(text: str) -> str:
    """The compiler's words with the places of the expression itself."""
    text = re.sub(r"<input>:1:(\d+)", lambda found: f"<input>:1:{int(found[1]) - len(_BEFORE)}", text)
    text = text.replace(" | " + "." * len(_BEFORE), " | ").replace(" | " + _BEFORE, " | ")
    return re.sub(re.escape(_AFTER) + r"$", "", text, flags=re.M)


def _check_cost(tree: Tree, schema: Object, place: _Place, at: str, name: str, costs: _Costs) -> Iterator[Cause]:
    each = Estimator(tree, lambda path: size_at(schema, path)).cost().most
    cost = min(each * (times_most(schema) if place.times is None else place.times), MOST)
    costs.add(cost, at)
    if cost > RULE_COST_MAX:
        yield forbidden(at, _too_dear(f"estimated {name} cost", cost, RULE_COST_MAX))


def _too_dear(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    told = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{name} exceeds budget by factor of {told} ({_ADVICE})"
