"""Whatever a user's server answers, it is read or refused: no other error, and never more than was asked."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.admission.webhooks.mutating import patched
from actors.admission.webhooks.review import BadReview, read_patch, read_review, refusal
from actors.api.codec import encode
from actors.api.crd.kinds import read_custom
from actors.api.errors import InternalError, from_status
from actors.api.kinds import POD
from actors.remote.client import refusal_text
from actors.remote.conversion import BadConversion, read_answer, restored

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10)
JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
_WORDS = st.sampled_from(["uid", "allowed", "status", "patch", "patchType", "warnings", "auditAnnotations", "result"])
_RESPONSE = st.dictionaries(_WORDS | st.just("convertedObjects"), JSON, max_size=8)
_REVIEW = st.fixed_dictionaries({}, optional={"apiVersion": JSON, "kind": JSON, "response": _RESPONSE | JSON})
_BODIES = st.binary(max_size=40) | (_REVIEW | JSON).map(lambda value: json.dumps(value).encode())


@given(_BODIES, st.booleans(), st.sampled_from(["v1", "v1beta1"]))
def test_an_admission_answer_is_read_or_refused(body: bytes, mutating: bool, version: str) -> None:
    with contextlib.suppress(BadReview):
        answer = read_review(body, "u", version, mutating)
        read_patch(answer)
        refusal("w", answer.status)


@given(JSON | st.dictionaries(st.sampled_from(["code", "reason", "message", "details", "status"]), JSON))
def test_a_refusal_is_always_a_failure_that_can_be_sent(status: Any) -> None:
    error = refusal("w.example.com", status)
    assert 400 <= error.code < 600
    sent = json.loads(json.dumps(error.to_status()))
    assert (sent["code"], sent["status"]) == (error.code, "Failure")
    assert from_status(sent).to_status() == error.to_status(), "and come through the store's answer unchanged"


_POINTERS = st.lists(
    st.sampled_from(["metadata", "spec", "labels", "0", "-", "containers", "name", "~1", ""]), max_size=4
)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "copy", "move", "test", "?"])},
    optional={
        "path": _POINTERS.map(lambda parts: "".join(f"/{part}" for part in parts)) | JSON,
        "value": JSON,
        "from": JSON,
    },
)
_OBJECT = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}


@given(st.lists(_OPERATIONS | JSON, max_size=4))
def test_a_patch_makes_an_object_or_an_internal_error(operations: list[Any]) -> None:
    before = json.dumps(_OBJECT)
    with contextlib.suppress(InternalError):
        found = patched(_OBJECT, operations, POD, "")
        assert (found["apiVersion"], found["kind"]) == ("v1", "Pod"), "it stays what it was"
        encode(found)
    assert json.dumps(_OBJECT) == before, "what the webhook was shown is not changed in place"


@given(st.binary(max_size=60) | JSON.map(lambda value: base64.b64encode(json.dumps(value).encode())))
def test_a_patch_of_any_bytes_is_read_or_refused(patch: bytes) -> None:
    text = json.dumps({"response": {"allowed": True, "patch": patch.decode("latin-1")}}).encode()
    with contextlib.suppress(BadReview):
        assert isinstance(read_patch(read_review(text, "u", "v1beta1", True)), list)


_DEFINITION = {
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": name, "served": True, "storage": name == "v1"} for name in ("v1", "v2")],
    },
}
_KIND = read_custom(encode(_DEFINITION)).versions["v2"]
_OLD = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "finalizers": ["x/y"], "labels": {"a": "b"}},
}
_METADATA = st.fixed_dictionaries(
    {"name": st.just("a"), "namespace": st.just("n"), "uid": st.just("u")},
    optional={"labels": JSON, "annotations": JSON, "finalizers": JSON, "deletionTimestamp": JSON},
)
_CONVERTED = st.fixed_dictionaries(
    {"apiVersion": st.just("example.com/v2"), "kind": st.just("Thing")},
    optional={"metadata": _METADATA | JSON, "spec": JSON},
)


@given(_BODIES, st.sampled_from(["v1", "v1beta1"]))
def test_a_conversion_answer_is_read_or_refused(body: bytes, version: str) -> None:
    with contextlib.suppress(BadConversion):
        assert isinstance(read_answer(body, "u", version), list)


@given(_CONVERTED | JSON)
def test_a_conversion_never_changes_who_an_object_is(converted: Any) -> None:
    with contextlib.suppress(BadConversion):
        found = restored(_OLD, converted, _KIND, 0)
        kept = {name: value for name, value in found["metadata"].items() if name not in ("labels", "annotations")}
        assert kept == {"name": "a", "namespace": "n", "uid": "u", "finalizers": ["x/y"]}
        assert found["apiVersion"] == "example.com/v2"
        encode(found)


@given(st.integers(300, 599), _BODIES)
def test_every_failure_of_a_server_has_words(code: int, body: bytes) -> None:
    assert refusal_text(code, body)
