"""AdmissionReview made and read; the webhooks of many configurations in their order."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from actors.admission.request import CREATE, Origin, Place, Request
from actors.admission.webhooks.config import Hooks, read_hooks
from actors.admission.webhooks.review import BadReview, make_review, read_patch, read_review, refusal, review_version
from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.api.kinds import CONFIG_MAP, EVENT, POD, kind_for
from actors.gateway.call import few_warnings

_EVENT = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}}


def request(kind: Any = CONFIG_MAP, subresource: str = "", **fields: Any) -> Request:
    given: dict[str, Any] = {"object": {"metadata": {}}, "old_object": None, "dry_run": False, **fields}
    return Request(CREATE, kind, subresource, "default", "x", origin=Origin({"username": "ann"}), **given)


def answer(response: Any, kind: str = "AdmissionReview", version: str = "admission.k8s.io/v1") -> bytes:
    return json.dumps({"apiVersion": version, "kind": kind, "response": response}).encode()


def test_the_request_is_told_in_both_terms() -> None:
    newer = kind_for("events.k8s.io/v1", "Event")
    review = make_review(request(newer), EVENT, _EVENT, None, "u")["request"]
    assert review["kind"]["group"] == review["resource"]["group"] == ""
    assert review["requestKind"]["group"] == review["requestResource"]["group"] == "events.k8s.io"
    assert review["oldObject"] is None
    assert "subResource" not in review


def test_a_subresource_is_named_and_its_object_has_its_own_kind() -> None:
    review = make_review(request(POD, "eviction"), POD, {}, None, "u")["request"]
    assert review["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert review["resource"]["resource"] == "pods"
    assert review["subResource"] == review["requestSubResource"] == "eviction"


@pytest.mark.parametrize(
    ("body", "mutating", "why"),
    [
        (b"null", True, "couldn't get version/kind"),
        (answer(None), True, "webhook response was absent"),
        (answer({"uid": "other", "allowed": True}), True, 'expected response.uid="u", got "other"'),
        (answer({"uid": "u", "allowed": "yes"}), True, "couldn't get version/kind"),
        (answer({"uid": "u", "allowed": True}, kind="Review"), True, "got admission.k8s.io/v1, Kind=Review"),
        (answer({"uid": "u", "patch": "W10="}), True, "response.patch but not response.patchType"),
        (answer({"uid": "u", "patchType": "JSONPatch"}), True, "response.patchType but not response.patch"),
        (answer({"uid": "u", "patch": "W10=", "patchType": ""}), True, 'invalid response.patchType of ""'),
        (answer({"uid": "u", "patch": "W10=", "patchType": "JSONPatch"}), False, "may not return response.patch"),
    ],
)
def test_what_is_no_answer(body: bytes, mutating: bool, why: str) -> None:
    with pytest.raises(BadReview, match=why.replace("(", r"\(")):
        read_review(body, "u", "v1", mutating)


def test_an_old_review_is_taken_as_it_was_then() -> None:
    operations = base64.b64encode(b'[{"op":"remove","path":"/a"}]').decode()
    read = read_review(json.dumps({"response": {"allowed": True, "patch": operations}}).encode(), "u", "v1beta1", True)
    assert read_patch(read) == [{"op": "remove", "path": "/a"}]
    assert review_version(("v2", "v1beta1", "v1")) == "v1beta1"
    with pytest.raises(BadReview):
        review_version(("v2",))


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, "denied the request without explanation"),
        ({"code": 200, "message": "fine?"}, 400, "denied the request: fine?"),
        ({"reason": "Forbidden", "code": 403}, 403, "denied the request: Forbidden"),
        ({"code": "x", "message": 5, "details": "?", "reason": []}, 400, "denied the request without explanation"),
        ({"code": 429, "details": {"retryAfterSeconds": 7, "causes": [{"field": "a"}, 5]}}, 429, "without explanation"),
    ],
)
def test_a_refusal_never_passes_for_success(status: Any, code: int, message: str) -> None:
    error = refusal("w.example.com", status)
    assert error.code == error.to_status()["code"] == code
    assert message in error.message
    assert error.message.startswith('admission webhook "w.example.com" ')


def _configuration(name: str, *hooks: dict[str, Any]) -> Stored:
    body = encode({"metadata": {"name": name}, "webhooks": list(hooks)})
    return Stored(Key("validatingwebhookconfigurations.admissionregistration.k8s.io", "", name), 1, 1, "u", body)


def test_webhooks_stand_in_the_order_of_their_configurations_names() -> None:
    hooks = read_hooks([_configuration("b", {"name": "one"}, {"name": "one"}), _configuration("a", {"name": "two"})])
    assert [(hook.configuration, hook.name, hook.uid) for hook in hooks] == [
        ("a", "two", "a/two/0"),
        ("b", "one", "b/one/0"),
        ("b", "one", "b/one/1"),
    ]


def test_what_no_rule_is_about_is_known_at_once() -> None:
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    hooks = Hooks([_configuration("a", {"name": "w", "rules": [rule]})])
    assert hooks.may_want(Place(CREATE, POD))
    assert not hooks.may_want(Place(CREATE, POD, "exec"))
    assert not hooks.may_want(Place(CREATE, CONFIG_MAP))
    assert not Hooks().may_want(Place(CREATE, POD))


def test_warnings_that_are_too_many_are_cut_short() -> None:
    few = ["one", "two", "one"]
    assert list(few_warnings(few)) == ["one", "two"]
    many = [f"{n}" + "x" * 1000 for n in range(1000)]
    kept = list(few_warnings(many))
    assert {len(text) for text in kept} == {256}
    assert len(kept) == 16
