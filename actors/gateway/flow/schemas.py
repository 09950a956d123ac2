"""FlowSchemas as rules: which schema, and so which priority level and flow, a request belongs to. Pure.

The matching schema of the lowest precedence counts, then the first by name; one whose level is not there is passed
over (apiserver/pkg/util/flowcontrol/rule.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from actors.api.meta import Condition, Lens, Resource
from actors.api.rbac import Attributes
from actors.gateway.auth.user import User, service_account_groups, service_account_name

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = f"flowschemas.{GROUP}", f"prioritylevelconfigurations.{GROUP}"
SCHEMA_HEADER, LEVEL_HEADER = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
_KNOWN_MAX = 10_000
ALL = "*"


class Named(Lens, frozen=True):
    name: str = ""
    namespace: str = ""


class Subject(Lens, frozen=True):
    kind: str
    user: Named | None = None
    group: Named | None = None
    service_account: Named | None = None

    def covers(self, user: User) -> bool:
        if self.kind == "Group" and self.group is not None:
            return self.group.name == ALL or self.group.name in user.groups
        if self.kind == "User" and self.user is not None:
            return self.user.name in (ALL, user.name)
        account = self.service_account
        if self.kind != "ServiceAccount" or account is None:
            return False
        if account.name == ALL:
            return service_account_groups(account.namespace)[1] in user.groups
        return service_account_name(account.namespace, account.name) == user.name


class ResourceRule(Lens, frozen=True):
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] | None = None
    cluster_scope: bool = False

    def covers(self, asked: Attributes) -> bool:
        placed = _has(self.namespaces or (), asked.namespace) if asked.namespace else self.cluster_scope
        if not placed or not _has(self.verbs, asked.verb) or not _has(self.api_groups, asked.group):
            return False
        return _has(self.resources, asked.full_resource)


class PathRule(Lens, frozen=True):
    verbs: tuple[str, ...] = ()
    paths: tuple[str, ...] = msgspec.field(name="nonResourceURLs", default=())

    def covers(self, asked: Attributes) -> bool:
        return _has(self.verbs, asked.verb) and any(_fits(path, asked.path) for path in self.paths)


class Rules(Lens, frozen=True):
    subjects: tuple[Subject, ...] = ()
    resource_rules: tuple[ResourceRule, ...] | None = None
    non_resource_rules: tuple[PathRule, ...] | None = None

    def covers(self, user: User, asked: Attributes) -> bool:
        rules: Sequence[ResourceRule | PathRule] = (
            self.resource_rules if asked.resource else self.non_resource_rules
        ) or ()
        return any(subject.covers(user) for subject in self.subjects) and any(rule.covers(asked) for rule in rules)


class Distinguisher(Lens, frozen=True):
    type: str = ""


class SchemaSpec(Lens, frozen=True):
    priority_level_configuration: Named = Named()
    matching_precedence: int = 1000
    distinguisher_method: Distinguisher | None = None
    rules: tuple[Rules, ...] | None = None


class SchemaStatus(Lens, frozen=True):
    conditions: tuple[Condition, ...] | None = None


class FlowSchema(Resource, frozen=True):
    spec: SchemaSpec = SchemaSpec()
    status: SchemaStatus = SchemaStatus()

    def flow_of(self, user: User, asked: Attributes) -> str:
        match self.spec.distinguisher_method:
            case Distinguisher(type="ByUser"):
                return user.name
            case Distinguisher(type="ByNamespace"):
                return asked.namespace
            case _:
                return ""


class Queuing(Lens, frozen=True):
    queues: int = 64
    hand_size: int = 8
    queue_length_limit: int = 50


class LimitResponse(Lens, frozen=True):
    type: str = "Reject"
    queuing: Queuing | None = None


class Limited(Lens, frozen=True):
    nominal_concurrency_shares: int = 30
    lendable_percent: int = 0
    borrowing_limit_percent: int | None = None
    limit_response: LimitResponse = LimitResponse()


class LevelSpec(Lens, frozen=True):
    type: str = "Limited"
    limited: Limited | None = None


class PriorityLevel(Resource, frozen=True):
    spec: LevelSpec = LevelSpec()

    @property
    def limited(self) -> Limited | None:
        """None: exempt from limits."""
        return None if self.spec.type == "Exempt" else self.spec.limited or Limited()


class Flow(NamedTuple):
    """A request's. `key` tells it from the others of its level; `headers` tell its schema's and its level's uid."""

    level: str
    key: str
    headers: Mapping[str, str]


#: Of what no schema covers: only before the objects have been read.
UNREAD = Flow("", "", {})


class Classifier:
    """The schemas and levels at one moment. What it has found for a user is kept with it."""

    def __init__(self, schemas: Iterable[FlowSchema], levels: Mapping[str, PriorityLevel]) -> None:
        ordered = sorted(schemas, key=lambda s: (s.spec.matching_precedence, s.metadata.name))
        self._schemas = [(s, level) for s in ordered if (level := levels.get(s.spec.priority_level_configuration.name))]
        self._known: dict[tuple[str, ...], Flow] = {}

    def classify(self, user: User, asked: Attributes) -> Flow:
        """Which objects are asked for by name makes no difference."""
        about = (asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace, asked.path)
        key = (user.name, *user.groups, "", *about)
        flow = self._known.get(key)
        if flow is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            flow = self._known[key] = self._classify(user, asked)
        return flow

    def _classify(self, user: User, asked: Attributes) -> Flow:
        for schema, level in self._schemas:
            if any(rules.covers(user, asked) for rules in schema.spec.rules or ()):
                key = f"{schema.metadata.name}/{schema.flow_of(user, asked)}"
                headers = {SCHEMA_HEADER: schema.metadata.uid, LEVEL_HEADER: level.metadata.uid}
                return Flow(level.metadata.name, key, headers)
        return UNREAD


def _has(listed: Sequence[str], value: str) -> bool:
    return ALL in listed or value in listed


def _fits(pattern: str, path: str) -> bool:
    """`*` at the end stands for whatever follows."""
    return path.startswith(pattern[:-1]) if pattern.endswith(ALL) else path == pattern
