"""The audit trail: which requests are written down, at which level, as audit.k8s.io/v1 Events, one JSON line each.

Pure but for the sink. Levels and rules are Kubernetes': the first rule that fits decides, none means None. At Metadata
no content of any object is kept, so no secret either; the levels above keep what an operator's rule asks for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from actors.api.clock import Millis, format_micro_time
from actors.api.errors import ApiError
from actors.api.rbac import Attributes
from actors.gateway.auth.user import User
from actors.gateway.body import parse_value
from actors.gateway.media import OBJECT_BODIES, PATCH_BODIES, Body
from actors.gateway.target import Target

Sink = Callable[[bytes], None]
_URI_CHARS_MAX = 4096
_FORBIDDEN = 403
_PATCHES = "patch.webhook.admission.k8s.io/"


class AuditPolicyError(Exception):
    """The audit policy cannot be used. The message names the file and the field."""


class Level(IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


_LEVELS = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
RECEIVED, STARTED, COMPLETE = "RequestReceived", "ResponseStarted", "ResponseComplete"


class GroupResources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()

    def fits(self, asked: Attributes) -> bool:
        if asked.group != self.group or (self.resource_names and asked.name not in self.resource_names):
            return False
        return not self.resources or any(_resource_fits(pattern, asked) for pattern in self.resources)


def _resource_fits(pattern: str, asked: Attributes) -> bool:
    """`pods` is not pods/log; `pods/*` is both; `*/log` the log of everything; `*` all."""
    plural, found, below = pattern.partition("/")
    if plural not in ("*", asked.resource):
        return False
    return below in ("*", asked.subresource) if found else plural == "*" or not asked.subresource


_RENAMED = {
    "user_groups": "userGroups",
    "urls": "nonResourceURLs",
    "omit_stages": "omitStages",
    "omit_managed_fields": "omitManagedFields",
}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_RENAMED):
    """What is left out fits everything. `omit_managed_fields` None: as the policy has it."""

    level: str
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise ValueError(f"level {self.level!r}: one of {', '.join(_LEVELS)}")

    def fits(self, user: User, asked: Attributes) -> bool:
        if (self.users and user.name not in self.users) or (self.verbs and asked.verb not in self.verbs):
            return False
        if self.user_groups and not set(self.user_groups) & set(user.groups):
            return False
        if not asked.resource:
            about_paths = not (self.resources or self.namespaces)
            return about_paths and (not self.urls or any(map(_url_fits(asked.path), self.urls)))
        if self.urls or (self.namespaces and asked.namespace not in self.namespaces):
            return False
        return not self.resources or any(group.fits(asked) for group in self.resources)


def _url_fits(path: str) -> Callable[[str], bool]:
    return lambda pattern: path == pattern or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class Policy(msgspec.Struct, frozen=True, rename=_RENAMED):
    rules: tuple[Rule, ...]
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False

    def rule_for(self, user: User, asked: Attributes) -> Rule | None:
        return next((rule for rule in self.rules if rule.fits(user, asked)), None)


#: Everything but questions for health, version and discovery; contents of nothing.
DEFAULT = Policy(
    rules=(
        Rule("None", urls=("/healthz*", "/livez*", "/readyz*", "/version", "/api*", "/apis*", "/openapi*")),
        Rule("Metadata"),
    ),
    omit_stages=(RECEIVED,),
)


def read_policy(path: Path) -> Policy:
    """A file of kind Policy, audit.k8s.io/v1. Raises AuditPolicyError."""
    try:
        tree: Any = yaml.safe_load(path.read_text())
        if not isinstance(tree, dict) or (tree.get("apiVersion"), tree.get("kind")) != ("audit.k8s.io/v1", "Policy"):
            raise AuditPolicyError(f"{path} is not a Policy of audit.k8s.io/v1")
        return msgspec.convert(tree, Policy)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise AuditPolicyError(f"the audit policy {path} cannot be used: {error}") from error


class Facts(msgspec.Struct, frozen=True):
    """What is known of a request before anything is decided. Times in ms."""

    uri: str
    received_ms: Millis
    source_ips: tuple[str, ...] = ()
    user_agent: str = ""
    content_type: str = ""


class Entry:
    """One request on its way through. `body` is set by whoever reads it, `annotations` by whoever judges it."""

    def __init__(self, trail: Trail, facts: Facts, audit_id: str) -> None:
        self._trail, self._facts, self.id = trail, facts, audit_id
        self._rule: Rule | None = None
        self._target: Target | None = None
        self._asking = self._user = User("")
        self.body = b""
        self._named: dict[str, str] = {}
        self.annotations: dict[str, str] = {}

    @property
    def level(self) -> Level:
        return _LEVELS[self._rule.level] if self._rule is not None else Level.NONE

    def identify(self, asking: User, user: User, target: Target, asked: Attributes) -> None:
        """Who asks what: decides the level."""
        self._asking, self._user, self._target = asking, user, target
        self._rule = self._trail.policy.rule_for(asking, asked)
        self._write(RECEIVED)

    def about(self, obj: Mapping[str, Any]) -> None:
        """The object that the body is: who it says that it is completes what the path tells (apiserver pkg/audit:
        LogRequestObject)."""
        metadata = obj.get("metadata") or {}
        self._named = {
            name: metadata[name]
            for name in ("namespace", "name", "uid", "resourceVersion")
            if isinstance(metadata.get(name), str) and metadata[name]
        }

    def within(self, target: Target, asked: Attributes) -> Entry:
        """Of one request that came inside this one."""
        found = Entry(self._trail, msgspec.structs.replace(self._facts, uri=target.path), self.id)
        found.identify(self._asking, self._user, target, asked)
        return found

    def started(self, code: int = 200) -> None:
        """A reply of unknown length begins."""
        self._write(STARTED, code)

    def completed(self, code: int, answer: bytes = b"", message: str = "", reason: str = "") -> None:
        self._write(COMPLETE, code, answer, message, reason)

    def _write(self, stage: str, code: int = 0, answer: bytes = b"", message: str = "", reason: str = "") -> None:
        rule, trail = self._rule, self._trail
        if rule is None or self.level is Level.NONE or stage in (*rule.omit_stages, *trail.policy.omit_stages):
            return
        event: dict[str, Any] = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": rule.level}
        event |= {"auditID": self.id, "stage": stage, **self._who_and_what()}
        if code:
            event["responseStatus"] = _status(code, message, reason)
            decision = "forbid" if code == _FORBIDDEN and not self.annotations else "allow"
            event["annotations"] = {"authorization.k8s.io/decision": decision, **self._annotations()}
        event |= self._contents(stage, answer)
        event["requestReceivedTimestamp"] = format_micro_time(self._facts.received_ms)
        event["stageTimestamp"] = format_micro_time(trail.clock())
        trail.sink(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def _annotations(self) -> dict[str, str]:
        """What webhooks patch is contents: told from the level Request on."""
        return {
            name: text
            for name, text in self.annotations.items()
            if self.level >= Level.REQUEST or not name.startswith(_PATCHES)
        }

    def _who_and_what(self) -> dict[str, Any]:
        facts, target = self._facts, self._target
        found: dict[str, Any] = {"requestURI": facts.uri[:_URI_CHARS_MAX], "verb": target.verb if target else ""}
        found["user"] = self._asking.to_info()
        if self._user != self._asking:
            found["impersonatedUser"] = self._user.to_info()
        found |= {"sourceIPs": list(facts.source_ips), "userAgent": facts.user_agent[:_URI_CHARS_MAX]}
        if target is None or not target.plural:
            return found
        return {**found, "objectRef": {**self._named, **_object_ref(target)}}

    def _contents(self, stage: str, answer: bytes) -> dict[str, Any]:
        if self._target is None or not self._target.plural:
            return {}
        found: dict[str, Any] = {}
        if self.level >= Level.REQUEST and self.body and stage != RECEIVED:
            found["requestObject"] = _value(self.body, self._facts.content_type)
        if self.level >= Level.REQUEST_RESPONSE and answer and stage == COMPLETE:
            found["responseObject"] = _value(answer, "application/json")
        said = self._rule.omit_managed_fields if self._rule is not None else None
        omits = self._trail.policy.omit_managed_fields if said is None else said
        return _without_managers(found) if omits else found


def _status(code: int, message: str, reason: str) -> dict[str, Any]:
    status: dict[str, Any] = {"metadata": {}, "code": code}
    return {**status, "status": "Failure", "message": message, "reason": reason} if reason else status


def _object_ref(target: Target) -> dict[str, str]:
    named = {"resource": target.plural, "namespace": target.namespace, "name": target.name or target.selected}
    named |= {"apiGroup": target.group, "apiVersion": target.version, "subresource": target.subresource}
    return {name: value for name, value in named.items() if value}


def _value(text: bytes, content_type: str) -> Any:
    """The JSON value of a body; of one that is none, that it was not."""
    media = content_type.partition(";")[0].strip().lower() or Body.JSON.value
    body = next((body for body in (*OBJECT_BODIES, *PATCH_BODIES) if body.value == media), Body.JSON)
    try:
        return parse_value(text, body)
    except ApiError:
        return {"unreadable": len(text)}


def _without_managers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_managers(item) for name, item in value.items() if name != "managedFields"}
    return [_without_managers(item) for item in value] if isinstance(value, list) else value


class Trail:
    """`clock` is its only time; `sink` takes whole lines."""

    def __init__(self, policy: Policy, sink: Sink, clock: Callable[[], Millis]) -> None:
        self.policy, self.sink, self.clock = policy, sink, clock

    def begin(self, id: str, uri: str, headers: Mapping[str, str], remote: str) -> Entry:
        agent, media = headers.get("User-Agent", ""), headers.get("Content-Type", "")
        facts = Facts(uri, self.clock(), (remote,) if remote else (), agent, media)
        return Entry(self, facts, id)
