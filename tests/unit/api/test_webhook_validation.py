"""Webhook configurations: every bad field, at once, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.validation import validate

_RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}
_CLIENT = {"service": {"namespace": "n", "name": "s", "port": 443, "path": "/a/b"}}


def configuration(**fields: Any) -> dict[str, Any]:
    hook = {"name": "a.example.com", "clientConfig": _CLIENT, "rules": [_RULE], "sideEffects": "None"}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "x"},
        "webhooks": [{**hook, "admissionReviewVersions": ["v1"], **fields}],
    }


def told(**fields: Any) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in validate(configuration(**fields))]


def with_rule(**fields: Any) -> dict[str, Any]:
    return {"rules": [{**_RULE, **fields}]}


def test_what_is_right_is_accepted() -> None:
    assert told() == []
    assert told(**with_rule(resources=["pods/*", "*/scale", "configmaps"])) == []
    assert told(clientConfig={"url": "https://127.0.0.1:8443/hook"}) == []
    assert (
        told(matchConditions=[{"name": "a", "expression": "authorizer.group('x').resource('y').check('z').allowed()"}])
        == []
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (with_rule(operations=["*", "CREATE"]), "if '*' is present, must not specify other operations"),
        (with_rule(operations=["PATCH"]), "Unsupported value"),
        (with_rule(operations=[]), "rules[0].operations: Required value"),
        (with_rule(apiGroups=["*", "apps"]), "if '*' is present, must not specify other API groups"),
        (with_rule(apiVersions=["*", "v1"]), "if '*' is present, must not specify other API versions"),
        (with_rule(apiVersions=[""]), "rules[0].apiVersions[0]: Required value"),
        (with_rule(resources=["*/*", "pods"]), "if '*/*' is present, must not specify other resources"),
        (with_rule(resources=["*", "pods"]), "must not specify other resources without subresources"),
        (with_rule(resources=["pods/*", "pods/exec"]), "if 'pods/*' is present, must not specify pods/exec"),
        (with_rule(resources=["*/scale", "a/scale"]), "if '*/scale' is present, must not specify a/scale"),
        (with_rule(scope="Some"), "rules[0].scope: Unsupported value"),
        ({"admissionReviewVersions": ["v9"]}, "must include at least one of v1, v1beta1"),
        ({"admissionReviewVersions": ["v1", "v1"]}, "admissionReviewVersions[1]: Invalid value: \"v1\": duplicate version"),
        ({"admissionReviewVersions": ["v1", "V!"]}, "a DNS-1035 label"),
        ({"clientConfig": {"url": "http://x.example.com"}}, "'https' is the only allowed URL scheme"),
        ({"clientConfig": {"url": "https:///path"}}, "host must be specified"),
        ({"clientConfig": {"url": "https://me@x.example.com"}}, "user information is not permitted in the URL"),
        ({"clientConfig": {"url": "https://x.example.com/?a=b"}}, "query parameters are not permitted in the URL"),
        ({"clientConfig": {"url": "https://x.example.com/#a"}}, "fragments are not permitted in the URL"),
        ({"clientConfig": {}}, "exactly one of url or service is required"),
        ({"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/a//b"}}}, "segment[1] may not be empty"),
        ({"matchConditions": [{"name": "a", "expression": "object."}]}, "compilation failed"),
        ({"matchConditions": [{"name": "a", "expression": "'text'"}]}, "must evaluate to bool but got string"),
        ({"matchConditions": [{"name": "a", "expression": "request.nothing"}]}, "compilation failed"),
        ({"matchConditions": [{"name": "a", "expression": "true"}] * 2}, "Duplicate value"),
        ({"matchConditions": [{"name": f"a{n}", "expression": "true"} for n in range(65)]}, "must have at most 64 items"),
        ({"name": "short.name"}, "should be a domain with at least three segments separated by dots"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(fields: dict[str, Any], why: str) -> None:
    found = told(**fields)
    assert any(why in text for text in found), found


def test_names_are_unique() -> None:
    obj = configuration()
    obj["webhooks"] *= 2
    assert [cause.field for cause in validate(obj)] == ["webhooks[1].name"]


def test_what_was_accepted_is_not_compiled_again() -> None:
    old = configuration(matchConditions=[{"name": "a", "expression": "from(another, time)"}])
    assert [cause.message for cause in validate(old)] != []
    assert list(validate(old, old)) == []
