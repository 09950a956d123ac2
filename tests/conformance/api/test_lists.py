"""Lists: resourceVersion and its match, pages that stay as they were, what an expired page offers, selectors."""

from __future__ import annotations

import threading

import pytest
from api_client import Api

LISTS = "configmaps"


def test_pages_show_the_collection_as_it_was_at_the_first_one(api: Api) -> None:
    for name in "abcdef":
        api.make(name, old=name)
    first = api.get(LISTS, limit=2)
    api.delete(f"{LISTS}/c").ok()
    api.patch("merge", f"{LISTS}/d", {"data": {"old": "changed"}}).ok()
    api.make("aa")
    api.make("z")
    second = api.get(LISTS, limit=3, **{"continue": first.json["metadata"]["continue"]})
    last = api.get(LISTS, **{"continue": second.json["metadata"]["continue"]})
    assert first.names + second.names + last.names == list("abcdef")
    assert second.json["items"][1]["data"] == {"old": "d"}
    assert {first.revision, second.revision, last.revision} == {first.revision}
    assert [page.json["metadata"].get("remainingItemCount") for page in (first, second, last)] == [4, 1, None]
    assert "continue" not in last.json["metadata"]


def test_remaining_items_are_not_counted_with_selectors(api: Api) -> None:
    for name in "abc":
        api.make(name, {"x": "y"})
    assert "remainingItemCount" not in api.get(LISTS, limit=1, labelSelector="x=y").json["metadata"]
    assert "remainingItemCount" not in api.get(LISTS, limit=1, fieldSelector="metadata.name!=q").json["metadata"]


def test_an_expired_page_offers_to_go_on_with_what_is_there_now(api: Api) -> None:
    for name in "abcd":
        api.make(name)
    token = api.get(LISTS, limit=2).json["metadata"]["continue"]
    api.delete(f"{LISTS}/c").ok()
    api.make("bb")
    api.forget()
    refusal = api.get(LISTS, limit=1, **{"continue": token}).refused(410, "Expired")
    assert "use the continue token in this response" in refusal["message"]
    rest = api.get(LISTS, limit=1, **{"continue": refusal["metadata"]["continue"]})
    assert rest.names == ["bb"]
    api.make("e")
    last = api.get(LISTS, **{"continue": rest.json["metadata"]["continue"]})
    assert (last.names, last.revision) == (["d"], rest.revision)


@pytest.mark.parametrize(
    "token", ["nope", "e30", "WzEsWyJhIiwiYiIsImMiXV0=x", "WzEsW119", "Wy01LFsiYSIsImIiLCJjIl1d", "%00"]
)
def test_continue_tokens_that_are_none(api: Api, token: str) -> None:
    refusal = api.get(LISTS, **{"continue": token}).refused(400, "BadRequest")
    assert refusal["message"].startswith("invalid continue token: ")


def test_a_continue_token_and_a_revision_exclude_each_other(api: Api) -> None:
    for name in "ab":
        api.make(name)
    first = api.get(LISTS, limit=1)
    token = {"continue": first.json["metadata"]["continue"]}
    api.get(LISTS, resourceVersion=first.revision, **token).refused(400, "BadRequest")
    api.get(LISTS, resourceVersion=0, **token).ok()
    refused = api.get(LISTS, resourceVersion=first.revision, resourceVersionMatch="Exact", **token)
    refused.refused(422, "Invalid")
    assert refused.causes["resourceVersionMatch"].endswith("is forbidden when continue is provided")


def test_every_meaning_of_a_revision(api: Api) -> None:
    api.make("a", value="1")
    then = api.get(LISTS).revision
    api.patch("merge", f"{LISTS}/a", {"data": {"value": "2"}}).ok()
    api.make("b")
    now = ["a", "b"]
    assert api.get(LISTS, resourceVersion=then, resourceVersionMatch="Exact").names == ["a"]
    exact = api.get(LISTS, resourceVersion=then, resourceVersionMatch="Exact")
    assert (exact.revision, exact.json["items"][0]["data"]) == (then, {"value": "1"})
    for query in (
        {},
        {"resourceVersion": ""},
        {"resourceVersion": "0"},
        {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": then},
        {"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": then, "resourceVersionMatch": "NotOlderThan", "limit": 5},
    ):
        listed = api.get(LISTS, **query)
        assert (listed.names, int(listed.revision) > int(then)) == (now, True), query
    assert api.get(LISTS, resourceVersion=then, limit=5).names == ["a"]


def test_a_revision_that_has_not_come_is_waited_for_by_the_client(api: Api) -> None:
    ahead = int(api.get(LISTS).revision) + 1000
    for query in ({"resourceVersionMatch": "NotOlderThan"}, {"resourceVersionMatch": "Exact"}):
        answer = api.get(LISTS, resourceVersion=ahead, **query)
        status = answer.refused(504, "Timeout")
        assert status["message"].startswith(f"Too large resource version: {ahead}, current: ")
        assert [cause["reason"] for cause in status["details"]["causes"]] == ["ResourceVersionTooLarge"]
        assert answer.headers["Retry-After"] == "1"
    api.make("a")
    api.get(f"{LISTS}/a", resourceVersion=ahead).refused(504, "Timeout")
    api.get(f"{LISTS}/a", resourceVersion=1).ok()
    api.get(f"{LISTS}/a", resourceVersion=api.get(LISTS).revision).ok()
    api.get(f"{LISTS}/a", resourceVersion="x").refused(400, "BadRequest")


def test_a_revision_that_is_about_to_come_is_waited_for(api: Api) -> None:
    api.make("a")
    for path in (LISTS, f"{LISTS}/a"):
        soon = int(api.get(LISTS).revision) + 1
        later = threading.Timer(0.5, api.patch, ("merge", f"{LISTS}/a", {"data": {"at": str(soon)}}))
        later.start()
        found = api.get(path, resourceVersion=soon).ok()
        later.join()
        told = found if path != LISTS else found["items"][0]
        assert told["data"]["at"] == str(soon)


def test_a_token_grows_old_before_its_revision_is_forgotten(api: Api) -> None:
    """Kubernetes' own test of chunking waits for that, for ten minutes at most."""
    for name in "abc":
        api.make(name)
    token = api.get(LISTS, limit=1).json["metadata"]["continue"]
    cursor, issued = token.split(".")
    assert api.get(LISTS, **{"continue": token}).names == ["b", "c"]
    old = f"{cursor}.{int(issued, 16) - 301:x}"
    refusal = api.get(LISTS, **{"continue": old}).refused(410, "Expired")
    api.make("bb")
    assert api.get(LISTS, **{"continue": refusal["metadata"]["continue"]}).names == ["b", "bb", "c"]
    api.get(LISTS, **{"continue": f"{cursor}.x"}).refused(400, "BadRequest")
    api.get(LISTS, **{"continue": f"nope.{issued}"}).refused(400, "BadRequest")


def test_a_revision_that_is_no_longer_kept(api: Api) -> None:
    then = api.get(LISTS).revision
    api.make("a")
    api.forget()
    api.get(LISTS, resourceVersion=then, resourceVersionMatch="Exact").refused(410, "Expired")
    assert api.get(LISTS, resourceVersion=then).names == ["a"]


@pytest.mark.parametrize(
    ("query", "causes"),
    [
        ({"resourceVersionMatch": "Exact"}, ["resourceVersionMatch is forbidden unless resourceVersion is provided"]),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            ['resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
        ),
        ({"resourceVersionMatch": "Nope", "resourceVersion": "1"}, ['supported values: "Exact", "NotOlderThan", ""']),
        (
            {"resourceVersionMatch": "Nope", "sendInitialEvents": "true"},
            ["unless resourceVersion is provided", "supported values", "sendInitialEvents is forbidden for list"],
        ),
        (
            {"watch": "1", "resourceVersionMatch": "Exact", "resourceVersion": "1"},
            ["is forbidden for watch unless sendInitialEvents is provided", 'supported values: "NotOlderThan"'],
        ),
        ({"watch": "1", "sendInitialEvents": "false"}, ["sendInitialEvents requires setting resourceVersionMatch"]),
    ],
)
def test_list_options_that_contradict_each_other_are_all_told(
    api: Api, query: dict[str, str], causes: list[str]
) -> None:
    answer = api.get(LISTS, **query)
    status = answer.refused(422, "Invalid")
    assert status["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')
    told = [cause["message"] for cause in status["details"]["causes"]]
    assert len(told) == len(causes)
    assert all(expected in message for expected, message in zip(causes, told, strict=True)), told


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=front", ["a"]),
        ("tier==front,app", ["a"]),
        ("tier!=front", ["b", "c"]),
        ("tier in (front, back)", ["a", "b"]),
        ("tier notin(front)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        (" ! tier , app ", ["c"]),
        ("n>2", ["b"]),
        ("n<3", ["a"]),
        ("app in (web),n", ["a", "b"]),
        ("empty=", ["c"]),
        ("empty in (,x)", ["c"]),
        ("in in (in)", []),
    ],
)
def test_label_selectors(api: Api, selector: str, names: list[str]) -> None:
    api.make("a", {"app": "web", "tier": "front", "n": "2"})
    api.make("b", {"app": "web", "tier": "back", "n": "10"})
    api.make("c", {"app": "web", "empty": ""})
    assert api.get(LISTS, labelSelector=selector).names == names


@pytest.mark.parametrize(
    "selector",
    [
        "a in",
        "a in (",
        "a in (b",
        "a in (b c)",
        "a=(b)",
        "=b",
        "a=b,",
        ",a",
        "a b",
        "a===b",
        "!a=b",
        "a>b",
        "-x",
        "a=" + "b" * 64,
        "a//b",
    ],
)
def test_label_selectors_that_cannot_be_read(api: Api, selector: str) -> None:
    refusal = api.get(LISTS, labelSelector=selector).refused(400, "BadRequest")
    assert refusal["message"].startswith("unable to parse requirement: ")


PODS = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"}
PODS |= {"status.phase", "status.podIP", "status.nominatedNodeName"}
FIELDS = {
    "pods": PODS,
    "nodes": {"spec.unschedulable"},
    "namespaces": {"status.phase", "name"},
    "secrets": {"type"},
    "services": {"spec.clusterIP", "spec.type"},
    "events": {"involvedObject.kind", "involvedObject.uid", "reason", "source", "type", "reportingComponent"},
    "configmaps": set(),
}


@pytest.mark.parametrize("plural", list(FIELDS))
def test_each_kind_is_selected_by_its_own_fields_and_no_others(api: Api, plural: str) -> None:
    path = f"/api/v1/{plural}"
    for field in {"metadata.name", *FIELDS[plural]}:
        api.get(path, fieldSelector=f"{field}=nothing").ok()
    for field in set().union(*FIELDS.values()) - FIELDS[plural] | {"metadata.uid", "spec.nope"}:
        refusal = api.get(path, fieldSelector=f"{field}=x").refused(400, "BadRequest")
        assert field in refusal["message"]
        api.get(path, fieldSelector=f"{field}=x", watch=1, timeoutSeconds=1).refused(400, "BadRequest")


def test_field_selectors_are_read_with_their_escapes(api: Api) -> None:
    for name in ("a", "b"):
        api.make(name)
    assert api.get(LISTS, fieldSelector="metadata.name=a").names == ["a"]
    assert api.get(LISTS, fieldSelector="metadata.name==a,metadata.namespace!=x").names == ["a"]
    assert api.get(LISTS, fieldSelector=r"metadata.name!=a\,b").names == ["a", "b"]
    assert api.get(LISTS, fieldSelector=",").names == ["a", "b"]
    for text in ("metadata.name", r"metadata.name=\x", "metadata.name=a=b", "metadata.name=a\\"):
        api.get(LISTS, fieldSelector=text).refused(400, "BadRequest")
