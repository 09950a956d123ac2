"""Policies with their bindings as they are now, compiled once for each change of a policy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from actors.admission.policies.matching import Constraints, constraints_of
from actors.admission.request import Place
from actors.api.cel.environment import CelError
from actors.api.codec import lens
from actors.api.crd.kinds import CustomKind
from actors.api.errors import ApiError
from actors.api.key import Key, Stored
from actors.api.policies.compiled import Compiled, compile_policy
from actors.api.policies.policy import Binding, Policy

_PLACES_MAX = 10_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bound:
    """A binding, and the requests that it is about among those of its policy."""

    binding: Binding
    constraints: Constraints


@dataclass(frozen=True)
class Hook:
    """`broken` says why a policy cannot be asked, "" of all that were accepted."""

    policy: Policy
    compiled: Compiled
    constraints: Constraints
    bindings: tuple[Bound, ...]
    broken: str = ""

    def may_want(self, place: Place) -> bool:
        return bool(self.bindings) and self.constraints.may_fit(place)


_NOTHING = Compiled((), (), (), (), (), False)


class Hooks:
    """Of one kind of policy."""

    def __init__(self, policies: str, bindings: str) -> None:
        self.resources = (policies, bindings)
        self._read: dict[Key, tuple[int, Hook]] = {}
        self._all: tuple[Hook, ...] = ()
        self._wanting: dict[tuple[Any, ...], tuple[Hook, ...]] = {}

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        """Policies and bindings in the order of their names, as kube-apiserver asks them."""
        policies, bindings = self.resources
        bound: dict[str, list[Bound]] = {}
        for key in sorted(key for key in objects if key.resource == bindings):
            if (found := _bound(objects[key])) is not None:
                bound.setdefault(found.binding.spec.policy_name, []).append(found)
        read = {key: self._hook(objects[key]) for key in sorted(objects) if key.resource == policies}
        self._read = read
        self._wanting = {}
        self._all = tuple(_with_bindings(hook, bound) for _, hook in read.values())

    def wanting(self, place: Place) -> tuple[Hook, ...]:
        """Those that may want to see what is done there; found out once for each place."""
        kind = place.kind
        versions = tuple(kind.all_versions) if isinstance(kind, CustomKind) else ()
        at = (place.operation, place.subresource, kind.group, kind.version, kind.plural, kind.namespaced, versions)
        found = self._wanting.get(at)
        if found is None:
            if len(self._wanting) >= _PLACES_MAX:
                self._wanting.clear()
            found = self._wanting[at] = tuple(hook for hook in self._all if hook.may_want(place))
        return found

    def _hook(self, stored: Stored) -> tuple[int, Hook]:
        known = self._read.get(stored.key)
        if known is not None and known[0] == stored.revision:
            return known
        return stored.revision, _compiled(stored)


def _with_bindings(hook: Hook, bound: Mapping[str, list[Bound]]) -> Hook:
    return replace(hook, bindings=tuple(bound.get(hook.policy.name, ())))


def _compiled(stored: Stored) -> Hook:
    policy = Policy()
    try:
        policy = lens(stored, Policy)
        return Hook(policy, compile_policy(policy.spec), constraints_of(policy.spec.match_constraints), ())
    except (msgspec.ValidationError, ApiError, CelError) as error:
        _LOG.warning("the policy %s cannot be asked: %s", stored.key.name, error)
        return Hook(policy, _NOTHING, Constraints(), (), str(error))


def _bound(stored: Stored) -> Bound | None:
    try:
        binding = lens(stored, Binding)
        return Bound(binding, constraints_of(binding.spec.match_resources))
    except (msgspec.ValidationError, ApiError) as error:
        _LOG.warning("the binding %s binds nothing: %s", stored.key.name, error)
        return None
