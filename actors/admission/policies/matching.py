"""Which requests a policy or a binding is about: rules, exceptions, labels of the object and of its API namespace."""

from __future__ import annotations

from dataclasses import dataclass

from actors.admission.request import DELETE, Place, Request, labels_of
from actors.admission.rules import find_match, may_match
from actors.api.codec import Object
from actors.api.kinds import NAMESPACE, Kind
from actors.api.policies.policy import MatchResources, Rule
from actors.api.selector import LabelMatcher, from_selector

_ALL = LabelMatcher()


@dataclass(frozen=True)
class Constraints:
    """No `rules`: of every resource."""

    rules: tuple[Rule, ...] = ()
    exceptions: tuple[Rule, ...] = ()
    policy: str = "Equivalent"
    of_namespace: LabelMatcher = _ALL
    of_object: LabelMatcher = _ALL

    def may_fit(self, place: Place) -> bool:
        return not self.rules or may_match(self.rules, self.policy, place)

    def find_kind(self, request: Request) -> Kind | None:
        """The kind in whose terms the request is asked about; None for one that the rules leave out."""
        place, name = request.place, request.name
        if self.exceptions and find_match(self.exceptions, self.policy, place, name) is not None:
            return None
        return find_match(self.rules, self.policy, place, name) if self.rules else request.kind

    def fits_labels(self, request: Request, namespace: Object | None) -> bool:
        """`namespace`: the request's API namespace, None at the scope of the cluster."""
        if not self.of_namespace.is_empty and not self._fits_namespace(request, namespace):
            return False
        if self.of_object.is_empty:
            return True
        found = (labels_of(request.object), labels_of(request.old_object))
        return any(labels is not None and self.of_object.matches(labels) for labels in found)

    def _fits_namespace(self, request: Request, namespace: Object | None) -> bool:
        """API namespaces by their own labels; what is in none always fits."""
        if request.kind.storage is NAMESPACE:
            own = request.old_object if request.operation == DELETE else request.object
            return self.of_namespace.matches(labels_of(own))
        return namespace is None or self.of_namespace.matches(labels_of(namespace))


EVERYTHING = Constraints()


def constraints_of(written: MatchResources | None) -> Constraints:
    """Raises BadRequest for a selector that cannot be read."""
    if written is None:
        return EVERYTHING
    return Constraints(
        tuple(written.resource_rules or ()),
        tuple(written.exclude_resource_rules or ()),
        written.match_policy or "Equivalent",
        from_selector(written.namespace_selector),
        from_selector(written.object_selector),
    )
