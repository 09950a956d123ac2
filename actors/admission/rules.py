"""Which requests a webhook or policy is about (apiserver pkg/admission/plugin/webhook/predicates/rules). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.admission.request import Place
from actors.api.crd.kinds import CustomKind
from actors.api.kinds import SERVED, Kind
from actors.api.meta import Lens

GROUP = "admissionregistration.k8s.io"
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


class Rule(Lens, frozen=True):
    """RuleWithOperations; NamedRuleWithOperations where `resource_names` is given."""

    operations: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    api_versions: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    scope: str | None = None
    resource_names: tuple[str, ...] | None = None

    def matches(self, place: Place) -> bool:
        """Whatever the object is called: names are looked at later."""
        kind = place.kind
        return (
            _has(self.operations, place.operation)
            and _has(self.api_groups, kind.group)
            and _has(self.api_versions, kind.version)
            and _fits_scope(self.scope or "*", place)
            and any(_fits_resource(pattern, kind.plural, place.subresource) for pattern in self.resources or ())
        )

    def names(self, name: str) -> bool:
        return not self.resource_names or name in self.resource_names


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
    if any(rule.matches(place) and rule.names(name) for rule in rules):
        return place.kind
    if policy != "Equivalent":
        return None
    others = [Place(place.operation, kind, place.subresource) for kind in equivalents_of(place.kind)]
    for rule in rules:
        for other in others:
            if rule.matches(other) and rule.names(name):
                return other.kind
    return None


def may_match(rules: Iterable[Rule], policy: str, place: Place) -> bool:
    """Before the name is looked at."""
    places = [place]
    if policy == "Equivalent":
        places += [Place(place.operation, kind, place.subresource) for kind in equivalents_of(place.kind)]
    return any(rule.matches(at) for rule in rules for at in places)


def equivalents_of(kind: Kind) -> list[Kind]:
    """Every other view of what is stored as this."""
    if isinstance(kind, CustomKind):
        return [other for other in kind.all_versions.values() if other is not kind and other.served]
    if not kind.stored:
        return []
    return [other for other in SERVED if other.stored and other.storage is kind.storage and other is not kind]
