"""Which requests a rule is about."""

from __future__ import annotations

import pytest

from actors.admission.request import CREATE, UPDATE, Place
from actors.admission.rules import equivalents_of, find_match, is_exempt, matches, may_match
from actors.api.kinds import DEPLOYMENT, EVENT, NAMESPACE, POD, kind_for
from actors.api.policies.policy import Rule


def rule(
    *resources: str, groups: tuple[str, ...] = ("*",), versions: tuple[str, ...] = ("*",), scope: str = "*"
) -> Rule:
    return Rule(operations=("CREATE",), api_groups=groups, api_versions=versions, resources=resources, scope=scope)


@pytest.mark.parametrize(
    ("pattern", "kind", "subresource", "fits"),
    [
        ("pods", POD, "", True),
        ("pods", POD, "status", False),
        ("pods/*", POD, "", True),
        ("pods/*", POD, "exec", True),
        ("pods/exec", POD, "", False),
        ("*/exec", POD, "exec", True),
        ("*", POD, "", True),
        ("*", POD, "exec", False),
        ("*/*", POD, "exec", True),
        ("*/*", DEPLOYMENT, "", True),
        ("deployments", POD, "", False),
    ],
)
def test_a_resource_without_a_slash_is_not_its_subresources(pattern, kind, subresource, fits) -> None:
    assert matches(rule(pattern), Place(CREATE, kind, subresource)) is fits


def test_operation_group_version_and_scope_must_all_fit() -> None:
    assert not matches(rule("pods"), Place(UPDATE, POD))
    assert not matches(rule("pods", groups=("apps",)), Place(CREATE, POD))
    assert not matches(rule("pods", versions=("v2",)), Place(CREATE, POD))
    assert not matches(rule("*", scope="Cluster"), Place(CREATE, POD))
    assert matches(rule("*", scope="Cluster"), Place(CREATE, NAMESPACE)), "a namespace itself has no namespace"
    assert not matches(rule("*", scope="Namespaced"), Place(CREATE, NAMESPACE))


def test_equivalent_finds_the_other_version_of_the_same_object() -> None:
    newer = kind_for("events.k8s.io/v1", "Event")
    assert newer is not None
    assert equivalents_of(newer) == [EVENT]
    old_only = (rule("events", groups=("",)),)
    asked = Place(CREATE, newer)
    assert find_match(old_only, "Exact", asked) is None
    assert find_match(old_only, "Equivalent", asked) is EVENT
    assert may_match(old_only, "Equivalent", asked)
    assert not may_match(old_only, "Exact", asked)


def test_the_requests_own_version_comes_before_an_equivalent_one() -> None:
    newer = kind_for("events.k8s.io/v1", "Event")
    assert newer is not None
    both = (rule("events", groups=("",)), rule("events", groups=("events.k8s.io",)))
    assert find_match(both, "Equivalent", Place(CREATE, newer)) is newer


def test_who_configures_admission_is_not_held_up_by_it() -> None:
    for name in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy"):
        kind = kind_for("admissionregistration.k8s.io/v1", name)
        assert kind is not None
        assert is_exempt(kind)
    assert not is_exempt(POD)
