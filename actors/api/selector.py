"""Label selectors, from text (`a in (b,c),!d`) and from `spec.selector` (apimachinery pkg/labels).

A matcher is a frozen value; an empty one matches everything. Unsupported or malformed text is a BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

from actors.api.errors import BadRequest
from actors.api.kept import kept_for_short
from actors.api.meta import LabelSelector

Labels = Mapping[str, str] | None

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_NAME = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_SELECTOR_CHARS_MAX = 64 * 1024
#: A watch keeps what it selects by as long as it lasts.
REQUIREMENTS_MAX = 1_000


class Requirement(msgspec.Struct, frozen=True):
    """`operator`: in, notin, exists, !, gt, lt (of integers)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key) if labels else None
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        return _compares(value, self.operator, self.values)


def _compares(value: str | None, operator: str, bounds: tuple[str, ...]) -> bool:
    try:
        left, right = int(value or ""), int(bounds[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "gt" else left < right


class LabelMatcher(msgspec.Struct, frozen=True):
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def is_empty(self) -> bool:
        return not self.requirements


# --- the grammar of label selectors (apimachinery pkg/labels/selector.go) ----------------------------------------

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+|$)")
_SIGNS = {"=": "in", "==": "in", "!=": "notin", "<": "lt", ">": "gt"}
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


class _Parser:
    """requirement {"," requirement}; requirement: key | !key | key sign value | key in (a,b) | key notin (a,b)."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text)]
        self._at = 0

    @property
    def _ahead(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._ahead
        self._at += 1
        return token

    def parse(self) -> Iterator[Requirement]:
        while self._ahead:
            yield _checked(self._requirement())
            if self._ahead and self._take() != ",":
                raise _unparsable(self._tokens[self._at - 1], "',' or 'end of string'")
            if not self._ahead and self._tokens[self._at - 1] == ",":
                raise _unparsable("", "identifier after ','")

    def _requirement(self) -> Requirement:
        negated = self._ahead == "!"
        if negated:
            self._take()
        key = self._word("identifier")
        if negated or self._ahead in ("", ","):
            return Requirement(key, "!" if negated else "exists")
        sign = self._take()
        if sign in _SIGNS:
            return Requirement(key, _SIGNS[sign], (self._value(),))
        if sign in ("in", "notin"):
            return Requirement(key, sign, tuple(self._values()))
        raise _unparsable(sign, "in, notin, =, ==, !=, gt, lt")

    def _word(self, expected: str) -> str:
        if _is_sign(self._ahead):
            raise _unparsable(self._ahead, expected)
        return self._take()

    def _value(self) -> str:
        return "" if self._ahead in ("", ",") else self._word("identifier")

    def _values(self) -> Iterator[str]:
        if self._take() != "(":
            raise _unparsable(self._tokens[self._at - 1] if self._at <= len(self._tokens) else "", "'('")
        while True:
            yield "" if self._ahead in (",", ")") else self._word("',', ')' or identifier")
            match self._take():
                case ")":
                    return
                case ",":
                    continue
                case token:
                    raise _unparsable(token, "',' or ')'")


def _is_sign(token: str) -> bool:
    return not token or token in "()<>,=!" or token in ("==", "!=")


def _unparsable(found: str, expected: str) -> BadRequest:
    return BadRequest(f"unable to parse requirement: found '{found[:100]}', expected: {expected}")


def _checked(requirement: Requirement) -> Requirement:
    if not _NAME.match(requirement.key):
        raise BadRequest(f'unable to parse requirement: key: Invalid value: "{requirement.key[:300]}": not a label key')
    for value in requirement.values:
        if requirement.operator in ("gt", "lt"):
            if not (value.removeprefix("-").isascii() and value.removeprefix("-").isdigit() and len(value) < 20):
                raise BadRequest(f'unable to parse requirement: values[0]: Invalid value: "{value[:100]}": an integer')
        elif not _VALUE.match(value):
            raise BadRequest(f'unable to parse requirement: values: Invalid value: "{value[:100]}": not a label value')
    return requirement


@kept_for_short(1024)
def parse_labels(text: str) -> LabelMatcher:
    """Of a `labelSelector` query parameter. Raises BadRequest."""
    if len(text) > _SELECTOR_CHARS_MAX:
        raise BadRequest(f"labelSelector is longer than {_SELECTOR_CHARS_MAX} characters")
    if not text.strip():
        return LabelMatcher()
    requirements = tuple(islice(_Parser(text).parse(), REQUIREMENTS_MAX + 1))
    if len(requirements) > REQUIREMENTS_MAX:
        raise BadRequest(f"labelSelector has more than {REQUIREMENTS_MAX} requirements")
    return LabelMatcher(requirements)


def from_selector(selector: LabelSelector | None) -> LabelMatcher:
    """Of `spec.selector`. Raises BadRequest for an operator that Kubernetes does not know."""
    if selector is None:
        return LabelMatcher()
    equal = [Requirement(key, "in", (value,)) for key, value in (selector.match_labels or {}).items()]
    for expression in selector.match_expressions or ():
        if expression.operator not in _OPERATORS:
            raise BadRequest(f"{expression.operator!r} is not a valid label selector operator")
        equal.append(Requirement(expression.key, _OPERATORS[expression.operator], expression.values or ()))
    return LabelMatcher(tuple(equal))


def format_labels(matcher: LabelMatcher) -> str:
    """The text that `parse_labels` reads back."""
    forms = {"exists": "{0}", "!": "!{0}", "in": "{0} in ({1})", "notin": "{0} notin ({1})", "=": "{0}={1}"}
    forms |= {"gt": "{0}>{1}", "lt": "{0}<{1}"}
    return ",".join(forms[_sign(r)].format(r.key, ",".join(r.values)) for r in matcher.requirements)


def _sign(requirement: Requirement) -> str:
    return "=" if requirement.operator == "in" and len(requirement.values) == 1 else requirement.operator
