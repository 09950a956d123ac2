"""Which requests a webhook or policy is about (apiserver pkg/admission/plugin/webhook/predicates/rules). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.admission.request import Place
from actors.api.crd.kinds import CustomKind
from actors.api.kinds import SERVED, Kind
from actors.api.policies.policy import GROUP, Rule

#: Never shown to anyone: who breaks admission must be able to mend it.
EXEMPT = frozenset(
    {
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    }
)


def matches(rule: Rule, place: Place) -> bool:
    """Whatever the object is called: names are looked at later."""
    kind = place.kind
    return (
        _has(rule.operations, place.operation)
        and _has(rule.api_groups, kind.group)
        and _has(rule.api_versions, kind.version)
        and _fits_scope(rule.scope or "*", place)
        and any(_fits_resource(pattern, kind.plural, place.subresource) for pattern in rule.resources or ())
    )


def _names(rule: Rule, name: str) -> bool:
    return not rule.resource_names or name in rule.resource_names


def _has(values: tuple[str, ...] | None, wanted: str) -> bool:
    return any(value in ("*", wanted) for value in values or ())


def _fits_scope(scope: str, place: Place) -> bool:
    """API namespaces themselves are cluster-scoped."""
    return scope == "*" or (scope == "Namespaced") == place.kind.namespaced


def _fits_resource(pattern: str, plural: str, subresource: str) -> bool:
    """`pods` is not pods/log; `pods/*` is pods and all below; `*/scale`; `*` every resource, `*/*` really all."""
    wanted, slash, below = pattern.partition("/")
    if wanted not in ("*", plural):
        return False
    return below == "*" or below == subresource if slash else not subresource


def is_exempt(kind: Kind) -> bool:
    return kind.group == GROUP and kind.plural in EXEMPT


def find_match(rules: Sequence[Rule], policy: str, place: Place, name: str = "") -> Kind | None:
    """The kind in whose terms a rule is about this: the request's own, or by the policy Equivalent another version."""
    if any(matches(rule, place) and _names(rule, name) for rule in rules):
        return place.kind
    if policy != "Equivalent":
        return None
    others = [Place(place.operation, kind, place.subresource) for kind in equivalents_of(place.kind)]
    for rule in rules:
        for other in others:
            if matches(rule, other) and _names(rule, name):
                return other.kind
    return None


def may_match(rules: Iterable[Rule], policy: str, place: Place) -> bool:
    """Before the name is looked at."""
    places = [place]
    if policy == "Equivalent":
        places += [Place(place.operation, kind, place.subresource) for kind in equivalents_of(place.kind)]
    return any(matches(rule, at) for rule in rules for at in places)


def equivalents_of(kind: Kind) -> list[Kind]:
    """Every other view of what is stored as this."""
    if isinstance(kind, CustomKind):
        return [other for other in kind.all_versions.values() if other is not kind and other.served]
    if not kind.stored:
        return []
    return [other for other in SERVED if other.stored and other.storage is kind.storage and other is not kind]
