"""What every object has: finalizers and owners, in Kubernetes' words; and selectors against the labels they select."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.defaulting import default
from actors.api.validation import validate
from actors.api.validation.metadata import validate_metadata

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}


def told(kind: str = "ConfigMap", version: str = "v1", **metadata: Any) -> dict[str, str]:
    obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "a", **metadata}}
    return {cause.field: cause.message for cause in validate_metadata(obj)}


@pytest.mark.parametrize("finalizers", [["a.io/b"], ["orphan"], ["foregroundDeletion", "a.io/b"], [], None])
def test_finalizers_that_are_taken(finalizers: Any) -> None:
    assert told(finalizers=finalizers) == {}


def test_finalizers_that_nobody_could_own() -> None:
    refused = told(finalizers=["a.io/b", "word", "bad name"])
    assert "name part must consist of alphanumeric characters" in refused["metadata.finalizers"]
    assert refused["metadata.finalizers[1]"] == (
        'Invalid value: "word": name is neither a standard finalizer name nor is it fully qualified'
    )
    assert "cannot be both set" in told(finalizers=["orphan", "foregroundDeletion"])["metadata.finalizers"]


@pytest.mark.parametrize(
    ("kind", "version"),
    [("Foo", "example.com/v1"), ("CustomResourceDefinition", "apiextensions.k8s.io/v1")],
)
def test_beside_the_core_a_finalizer_may_be_a_word(kind: str, version: str) -> None:
    assert told(kind, version, finalizers=["word"]) == {}
    assert "metadata.finalizers" in told(kind, version, finalizers=["bad name"])


def test_owners() -> None:
    assert told(ownerReferences=[OWNER, {**OWNER, "uid": "2", "controller": True}]) == {}
    assert (
        "disallowed from being an owner"
        in told(ownerReferences=[{**OWNER, "kind": "Event"}])["metadata.ownerReferences[0]"]
    )
    two = [{**OWNER, "controller": True}, {**OWNER, "name": "p", "controller": True}]
    assert told(ownerReferences=two)["metadata.ownerReferences"].endswith('"true" in references for o and p')


def test_bad_values_are_shown_as_json_and_expressions_select_too() -> None:
    def deployment(selector: Any) -> Any:
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": selector, "template": template}
        return default({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})

    good = deployment({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]})
    assert validate(good) == []
    (refused,) = validate(deployment({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}))
    assert refused.field == "spec.template.metadata.labels"
    assert refused.message == 'Invalid value: {"a":"b"}: `selector` does not match template `labels`'
    changed = validate(deployment({"matchLabels": {"a": "b"}}), good)
    assert ('Invalid value: {"matchLabels":{"a":"b"}}: field is immutable') in [cause.message for cause in changed]
