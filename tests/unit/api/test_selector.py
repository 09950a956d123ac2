import pytest

from actors.api.errors import BadRequest
from actors.api.field_selector import matches_fields, parse_fields
from actors.api.meta import LabelSelector, LabelSelectorRequirement
from actors.api.selector import format_labels, from_selector, parse_labels

LABELS = {"app": "web", "tier": "front", "raypod.io/run": "train"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app in (db, web)", True),
        ("app notin (db,web)", False),
        ("app in (a,b),tier", False),
        ("raypod.io/run", True),
        ("!app", False),
        ("!absent", True),
        ("app=", False),
    ],
)
def test_label_selectors(text, matches):
    assert parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["app in web", "a b", "app=(x)y=z", "(", "-bad=1", "a=b=c,", "x" * 70_000])
def test_malformed_label_selectors_are_bad_requests(text):
    with pytest.raises(BadRequest):
        parse_labels(text)


def test_no_labels_at_all():
    assert not parse_labels("app=web").matches(None)
    assert parse_labels("!app").matches(None)


def test_from_a_spec_selector_and_back_to_text():
    selector = LabelSelector(
        match_labels={"app": "web"},
        match_expressions=(
            LabelSelectorRequirement("tier", "In", ("front", "back")),
            LabelSelectorRequirement("x", "DoesNotExist"),
        ),
    )
    matcher = from_selector(selector)
    assert matcher.matches(LABELS)
    assert parse_labels(format_labels(matcher)) == matcher


def test_an_unknown_operator_is_refused():
    with pytest.raises(BadRequest, match="Near"):
        from_selector(LabelSelector(match_expressions=(LabelSelectorRequirement("a", "Near", ()),)))


POD = {
    "metadata": {"name": "p", "namespace": "d"},
    "spec": {"nodeName": "n1", "hostNetwork": True},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=p", True),
        ("spec.nodeName=n1,status.phase!=Failed", True),
        ("spec.nodeName!=n1", False),
        ("spec.hostNetwork=true", True),
        ("status.podIP=", True),
    ],
)
def test_field_selectors(text, matches):
    assert matches_fields(parse_fields(text), "pods", POD) is matches


def test_a_field_that_cannot_be_selected_by():
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.foo"):
        matches_fields(parse_fields("spec.foo=1"), "pods", POD)
