"""What is refused when a policy is written: expressions that do not compile, or not to what they are for, and the
fields that depend on others (pkg/apis/admissionregistration/validation). Fields alone: validation/rules.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from actors.api.cel.environment import CelError
from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.policies.environment import Scope
from actors.api.structural.words import RESERVED
from actors.api.validation.causes import Causes, dicts_of, duplicate, required, unsupported, wrong

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_CONDITIONS_MAX, _ANNOTATIONS_MAX = 64, 20
_BOOL, _STRING, _TEXT_OR_NULL = ("bool",), ("string",), ("string", "null_type")


def validate_policy(policy: Object, old: Object | None) -> Causes:
    """Of both kinds. What stays as it was is not compiled again."""
    spec = policy.get("spec") or {}
    if old is not None and spec == (old.get("spec") or {}):
        return
    constraints = spec.get("matchConstraints")
    if constraints and not constraints.get("resourceRules"):
        yield required("spec.matchConstraints.resourceRules")
    yield from _Checker(spec).run()


class _Checker:
    def __init__(self, spec: Object) -> None:
        self._spec = spec
        self._scope = Scope(isinstance(spec.get("paramKind"), dict), patches=bool(spec.get("mutations")))

    def run(self) -> Causes:
        yield from self._conditions()
        yield from self._variables()
        yield from self._validations()
        yield from self._annotations()
        yield from self._mutations()

    def _conditions(self) -> Causes:
        conditions = dicts_of(self._spec.get("matchConditions"))
        if len(conditions) > _CONDITIONS_MAX:
            yield _too_many("spec.matchConditions", len(conditions), _CONDITIONS_MAX)
        for at, condition in enumerate(conditions):
            where = f"spec.matchConditions[{at}]"
            if condition.get("name") in [other.get("name") for other in conditions[:at]]:
                yield duplicate(f"{where}.name", condition.get("name"))
            yield from self._compiles(condition.get("expression"), f"{where}.expression", _BOOL)

    def _variables(self) -> Causes:
        seen: set[str] = set()
        for at, variable in enumerate(dicts_of(self._spec.get("variables"))):
            name, text, where = str(variable.get("name") or ""), variable.get("expression"), f"spec.variables[{at}]"
            if name and (not _IDENTIFIER.fullmatch(name) or name in RESERVED):
                yield wrong(f"{where}.name", name, "name is not a valid CEL identifier")
                continue
            if name in seen:
                yield duplicate(f"{where}.name", name)
                continue
            seen.add(name)
            if not _is_blank(text):
                try:
                    self._scope.declare(name, str(text))
                except CelError as error:
                    self._scope.declare_any(name)
                    yield wrong(f"{where}.expression", text, f"compilation failed: {error}")

    def _validations(self) -> Causes:
        for at, validation in enumerate(dicts_of(self._spec.get("validations"))):
            where = f"spec.validations[{at}]"
            text, told = validation.get("expression"), validation.get("messageExpression")
            yield from self._compiles(text, f"{where}.expression", _BOOL)
            if told is not None and not str(told).strip():
                yield wrong(f"{where}.messageExpression", told, "must be non-empty if specified")
            elif told:
                yield from self._compiles(told, f"{where}.messageExpression", _STRING, authorizer=False)
            yield from _message(validation, where)

    def _annotations(self) -> Causes:
        annotations = dicts_of(self._spec.get("auditAnnotations"))
        if len(annotations) > _ANNOTATIONS_MAX:
            yield _too_many("spec.auditAnnotations", len(annotations), _ANNOTATIONS_MAX)
        for at, annotation in enumerate(annotations):
            where = f"spec.auditAnnotations[{at}]"
            if annotation.get("key") in [other.get("key") for other in annotations[:at]]:
                yield duplicate(f"{where}.key", annotation.get("key"))
            text = annotation.get("valueExpression")
            yield from self._compiles(text, f"{where}.valueExpression", _TEXT_OR_NULL, authorizer=False)

    def _mutations(self) -> Causes:
        for at, mutation in enumerate(dicts_of(self._spec.get("mutations"))):
            where, kind = f"spec.mutations[{at}]", mutation.get("patchType")
            for name, patch_type in (("applyConfiguration", "ApplyConfiguration"), ("jsonPatch", "JSONPatch")):
                given = mutation.get(name)
                if kind == patch_type:
                    if not isinstance(given, dict):
                        yield required(f"{where}.{name}", f"must be specified when patchType is {patch_type}")
                    elif _is_blank(given.get("expression")):
                        yield required(f"{where}.{name}.expression", "expression is not specified")
                    else:
                        expected = "Object" if name == "applyConfiguration" else "list(JSONPatch)"
                        yield from self._compiles(given["expression"], f"{where}.{name}.expression", (expected,))
                elif given is not None:
                    yield wrong(f"{where}.{name}", "{...}", f"must not be specified when patchType is {kind}")

    def _compiles(self, text: Any, where: str, expected: Sequence[str], authorizer: bool = True) -> Iterator[Cause]:
        """A blank one is told of as missing, by the rules of its field or here."""
        if _is_blank(text):
            if text:
                yield required(where, f"{where.rpartition('.')[2]} is not specified")
            return
        try:
            returns = str(self._scope.compile(str(text), authorizer).returns)
        except CelError as error:
            yield wrong(where, text, f"compilation failed: {error}")
            return
        if returns not in expected:
            what = expected[0] if len(expected) == 1 else f"one of [{' '.join(expected)}]"
            yield wrong(where, text, f"must evaluate to {what} but got {returns}")


def _message(validation: Object, where: str) -> Causes:
    message, reason = validation.get("message"), validation.get("reason")
    if message is not None and not str(message).strip():
        yield wrong(f"{where}.message", message, "message must be non-empty if specified")
    elif message and "\n" in str(message).strip():
        yield wrong(f"{where}.message", message, "message must not contain line breaks")
    elif "\n" in str(validation.get("expression") or "").strip() and not message:
        yield required(f"{where}.message", "message must be specified if expression contains line breaks")
    if reason and reason not in _REASONS:
        yield unsupported(f"{where}.reason", reason, _REASONS)


def _is_blank(text: Any) -> bool:
    return not isinstance(text, str) or not text.strip()


def _too_many(path: str, count: int, most: int) -> Cause:
    return Cause(path, f"Too many: {count}: must have at most {most} items", "FieldValueTooMany")


def validate_binding(binding: Object, old: Object | None) -> Causes:
    """Of both kinds."""
    ref = (binding.get("spec") or {}).get("paramRef")
    if not isinstance(ref, dict):
        return
    if ref.get("name") and ref.get("selector") is not None:
        yield _forbidden_pair("spec.paramRef.name")
        yield _forbidden_pair("spec.paramRef.selector")
    elif not ref.get("name") and ref.get("selector") is None:
        yield required("spec.paramRef", "one of name or selector must be specified")
    action = ref.get("parameterNotFoundAction")
    if not action:
        yield required("spec.paramRef.parameterNotFoundAction")
    elif action not in ("Allow", "Deny"):
        yield unsupported("spec.paramRef.parameterNotFoundAction", action, ("Allow", "Deny"))


def _forbidden_pair(path: str) -> Cause:
    return Cause(path, "Forbidden: name and selector are mutually exclusive", "FieldValueForbidden")
