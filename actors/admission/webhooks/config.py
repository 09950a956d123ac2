"""Webhook configurations as we read them (admissionregistration.k8s.io/v1): every webhook of all of them, in order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import cached_property

import msgspec

from actors.admission.request import Place
from actors.admission.rules import may_match
from actors.api.cel.environment import Program
from actors.api.codec import lens
from actors.api.errors import BadRequest
from actors.api.key import Stored
from actors.api.meta import LabelSelector, Lens, ObjectMeta
from actors.api.policies.environment import Scope
from actors.api.policies.policy import Rule
from actors.api.selector import LabelMatcher, from_selector
from actors.remote.target import ClientConfig

_LOG = logging.getLogger(__name__)
DRY_RUN_SAFE = ("None", "NoneOnDryRun")


class MatchCondition(Lens, frozen=True):
    name: str = ""
    expression: str = ""


class Webhook(Lens, frozen=True):
    """One of a MutatingWebhookConfiguration or a ValidatingWebhookConfiguration, with its defaults."""

    name: str = ""
    client_config: ClientConfig = ClientConfig()
    rules: tuple[Rule, ...] | None = None
    failure_policy: str = "Fail"
    match_policy: str = "Equivalent"
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    side_effects: str = ""
    timeout_seconds: int = 10
    admission_review_versions: tuple[str, ...] | None = None
    reinvocation_policy: str = "Never"
    match_conditions: tuple[MatchCondition, ...] | None = None


class Hook(msgspec.Struct, frozen=True, dict=True):
    """A webhook where it stands. `uid` is the same as long as it is called that. `index`: its place among all."""

    webhook: Webhook
    configuration: str
    uid: str
    index: int

    @property
    def name(self) -> str:
        return self.webhook.name

    @property
    def fails_open(self) -> bool:
        return self.webhook.failure_policy == "Ignore"

    @cached_property
    def namespaces(self) -> LabelMatcher:
        """Raises BadRequest for a selector that is none."""
        return from_selector(self.webhook.namespace_selector)

    @cached_property
    def objects(self) -> LabelMatcher:
        """Raises BadRequest for a selector that is none."""
        return from_selector(self.webhook.object_selector)

    @cached_property
    def conditions(self) -> tuple[tuple[str, Program], ...]:
        """By name. Raises CelError."""
        scope = Scope(has_params=False)
        return tuple((row.name, scope.compile(row.expression)) for row in self.webhook.match_conditions or ())

    def may_match(self, place: Place) -> bool:
        return may_match(self.webhook.rules or (), self.webhook.match_policy, place)


class _Configuration(Lens, frozen=True):
    metadata: ObjectMeta
    webhooks: tuple[Webhook, ...] | None = None


def read_hooks(configurations: Iterable[Stored]) -> tuple[Hook, ...]:
    """By the name of their configuration, then as they stand in it."""
    return tuple(
        Hook(webhook, name, uid, index)
        for index, (webhook, name, uid) in enumerate(_all(sorted(configurations, key=lambda stored: stored.key.name)))
    )


def _all(configurations: Iterable[Stored]) -> Iterator[tuple[Webhook, str, str]]:
    for stored in configurations:
        try:
            found = lens(stored, _Configuration)
        except (msgspec.ValidationError, BadRequest) as error:
            _LOG.error("%s is not asked: %s", stored.key, error)
            continue
        seen: dict[str, int] = {}
        for webhook in found.webhooks or ():
            position = seen[webhook.name] = seen.get(webhook.name, -1) + 1
            yield webhook, stored.key.name, f"{stored.key.name}/{webhook.name}/{position}"


class Hooks:
    """All of one kind of configuration. Whether any is about a place is worked out once."""

    def __init__(self, configurations: Iterable[Stored] = ()) -> None:
        self.all = read_hooks(configurations)
        self._wanted: dict[tuple[str, str, str, str, str], bool] = {}

    def may_want(self, place: Place) -> bool:
        if not self.all:
            return False
        kind = place.kind
        key = (place.operation, kind.group, kind.version, kind.plural, place.subresource)
        known = self._wanted.get(key)
        if known is None:
            known = self._wanted[key] = any(hook.may_match(place) for hook in self.all)
        return known
