"""`authorizer.group("apps").resource("deployments").check("create").allowed()` (apiserver pkg/cel/library/authz.go).

Values only collect what is asked; the question is put to whoever gave the first of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from msgspec.structs import replace as changed

from actors.api.cel.functions.declare import BOOL, STRING, member, opaque
from actors.api.errors import BadRequest
from actors.api.field_selector import exact_fields, parse_fields
from actors.api.rbac import Attributes
from actors.api.validation.metadata import validate_name

AUTHORIZER = opaque("kubernetes.authorization.Authorizer")
PATH_CHECK = opaque("kubernetes.authorization.PathCheck")
GROUP_CHECK = opaque("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = opaque("kubernetes.authorization.ResourceCheck")
DECISION = opaque("kubernetes.authorization.Decision")
#: Two checks are all that one expression can afford.
_CHECK_COST = 350_000


class Answer(NamedTuple):
    allowed: bool
    reason: str = ""
    error: str = ""


#: Of a service account (namespace, name), or of who sent the request (None): may they do that?
Ask = Callable[[tuple[str, str] | None, Attributes], Answer]


@dataclass(slots=True, frozen=True, eq=False)
class Authorizer:
    ask: Ask
    account: tuple[str, str] | None = None
    type_name: ClassVar[str] = "kubernetes.authorization.Authorizer"


@dataclass(slots=True, frozen=True, eq=False)
class Check:
    """What is asked, so far; `type_name` tells what may be added."""

    by: Authorizer
    asked: Attributes
    type_name: str


@dataclass(slots=True, frozen=True, eq=False)
class Decision:
    answer: Answer
    type_name: ClassVar[str] = "kubernetes.authorization.Decision"


def resource_check(by: Authorizer, asked: Attributes) -> Check:
    """`authorizer.requestResource`."""
    return Check(by, asked, RESOURCE_CHECK.name())


def _path(by: Authorizer, path: str) -> Check:
    if not path.strip():
        raise ValueError("path must not be empty")
    return Check(by, Attributes(verb="", path=path), PATH_CHECK.name())


def _group(by: Authorizer, group: str) -> Check:
    return Check(by, Attributes(verb="", group=group), GROUP_CHECK.name())


def _account(by: Authorizer, namespace: str, name: str) -> Authorizer:
    for value, told, is_label in ((name, "name", False), (namespace, "namespace", True)):
        if any(True for _ in validate_name("", value, label=is_label)):
            raise ValueError(f"Invalid service account {told}")
    return replace(by, account=(namespace, name))


def _resource(check: Check, resource: str) -> Check:
    if not resource.strip():
        raise ValueError("resource must not be empty")
    return resource_check(check.by, changed(check.asked, resource=resource))


def _with(name: str) -> Callable[[Check, str], Check]:
    return lambda check, value: replace(check, asked=changed(check.asked, **{name: value}))


def _of_fields(check: Check, selector: str) -> Check:
    """What only some of the objects are asked of matters to nodes. A selector that cannot be read narrows nothing."""
    try:
        fields = exact_fields(parse_fields(selector))
    except BadRequest:
        fields = ()
    return replace(check, asked=changed(check.asked, fields=fields))


def _of_labels(check: Check, selector: str) -> Check:
    """Nobody who decides looks at labels: who may list some may list all."""
    return check


def _check(check: Check, verb: str) -> Decision:
    asked = changed(check.asked, verb=verb)
    return Decision(check.by.ask(check.by.account, asked))


def _costs(args: Any) -> int:
    return _CHECK_COST


FUNCTIONS = (
    member("path", (AUTHORIZER, STRING), PATH_CHECK, _path),
    member("group", (AUTHORIZER, STRING), GROUP_CHECK, _group),
    member("serviceAccount", (AUTHORIZER, STRING, STRING), AUTHORIZER, _account),
    member("resource", (GROUP_CHECK, STRING), RESOURCE_CHECK, _resource),
    member("subresource", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _with("subresource")),
    member("namespace", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _with("namespace")),
    member("name", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _with("name")),
    member("fieldSelector", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _of_fields),
    member("labelSelector", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _of_labels),
    member("check", (PATH_CHECK, STRING), DECISION, _check, _costs),
    member("check", (RESOURCE_CHECK, STRING), DECISION, _check, _costs),
    member("allowed", (DECISION,), BOOL, lambda decision: decision.answer.allowed),
    member("reason", (DECISION,), STRING, lambda decision: decision.answer.reason),
    member("errored", (DECISION,), BOOL, lambda decision: bool(decision.answer.error)),
    member("error", (DECISION,), STRING, lambda decision: decision.answer.error),
)
