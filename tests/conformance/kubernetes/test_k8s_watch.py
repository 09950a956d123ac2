"""watch.go, watchlist.go and chunking.go: what watches tell in which order, and lists in pieces."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from api_client import Api, Json, Watch, config_map
from eventually import told

_LABEL = "watch-this-configmap"


def _make(api: Api, name: str, value: str) -> Json:
    return api.post("configmaps", config_map(name, {_LABEL: value})).ok()


def _mutate(api: Api, name: str, value: str) -> Json:
    """By reading and replacing, as the Go test does."""
    found = api.get(f"configmaps/{name}").ok()
    found["data"] = {"mutation": value}
    return api.put(f"configmaps/{name}", found).ok()


def _next(watch: Watch, kind: str, name: str) -> Json:
    event = watch.next()
    assert (event["type"], event["object"]["metadata"]["name"]) == (kind, name)
    return dict(event["object"])


def test_every_watcher_observes_what_its_selector_matches(api: Api) -> None:
    queries = {"a": f"{_LABEL}=multiple-watchers-A", "b": f"{_LABEL}=multiple-watchers-B"}
    both = f"{_LABEL} in (multiple-watchers-A,multiple-watchers-B)"
    a, b, ab = (api.watch("configmaps", 20, labelSelector=text) for text in (queries["a"], queries["b"], both))
    _make(api, "e2e-a", "multiple-watchers-A")
    for value in ("1", "2"):
        _mutate(api, "e2e-a", value)
    api.delete("configmaps/e2e-a").ok()
    _make(api, "e2e-b", "multiple-watchers-B")
    api.delete("configmaps/e2e-b").ok()
    for watch in (a, ab):
        _next(watch, "ADDED", "e2e-a")
        assert _next(watch, "MODIFIED", "e2e-a")["data"]["mutation"] == "1"
        assert _next(watch, "MODIFIED", "e2e-a")["data"]["mutation"] == "2"
        _next(watch, "DELETED", "e2e-a")
    for watch in (b, ab):
        _next(watch, "ADDED", "e2e-b")
        _next(watch, "DELETED", "e2e-b")


def test_a_watch_starts_at_a_revision(api: Api) -> None:
    _make(api, "e2e", "from-resource-version")
    first = _mutate(api, "e2e", "1")
    _mutate(api, "e2e", "2")
    api.delete("configmaps/e2e").ok()
    revision = first["metadata"]["resourceVersion"]
    watch = api.watch("configmaps", 20, labelSelector=f"{_LABEL}=from-resource-version", resourceVersion=revision)
    assert _next(watch, "MODIFIED", "e2e")["data"]["mutation"] == "2"
    _next(watch, "DELETED", "e2e")


def test_a_watch_is_opened_again_where_the_last_one_was(api: Api) -> None:
    query = {"labelSelector": f"{_LABEL}=watch-closed-and-restarted"}
    watch = api.watch("configmaps", 20, **query)
    _make(api, "e2e", "watch-closed-and-restarted")
    _next(watch, "ADDED", "e2e")
    _mutate(api, "e2e", "1")
    seen = _next(watch, "MODIFIED", "e2e")["metadata"]["resourceVersion"]
    watch.response.close()
    _mutate(api, "e2e", "2")
    again = api.watch("configmaps", 20, resourceVersion=seen, **query)
    api.delete("configmaps/e2e").ok()
    assert _next(again, "MODIFIED", "e2e")["data"]["mutation"] == "2"
    _next(again, "DELETED", "e2e")


def test_an_object_that_is_no_longer_selected_is_deleted_and_comes_back(api: Api) -> None:
    watch = api.watch("configmaps", 20, labelSelector=f"{_LABEL}=label-changed-and-restored")

    def relabel(value: str) -> None:
        found = api.get("configmaps/e2e").ok()
        found["metadata"]["labels"] = {_LABEL: value}
        api.put("configmaps/e2e", found).ok()

    _make(api, "e2e", "label-changed-and-restored")
    _mutate(api, "e2e", "1")
    relabel("wrong-value")
    _next(watch, "ADDED", "e2e")
    _next(watch, "MODIFIED", "e2e")
    _next(watch, "DELETED", "e2e")
    _mutate(api, "e2e", "2")
    relabel("label-changed-and-restored")
    _mutate(api, "e2e", "3")
    api.delete("configmaps/e2e").ok()
    assert _next(watch, "ADDED", "e2e")["data"]["mutation"] == "2"
    assert _next(watch, "MODIFIED", "e2e")["data"]["mutation"] == "3"
    _next(watch, "DELETED", "e2e")


def test_concurrent_watches_tell_the_same_in_the_same_order(api: Api) -> None:
    """A new watch from each event that the first one has told: all of them see the same revisions after it."""
    start = api.get("configmaps").revision
    rounds = 30
    stop = threading.Event()

    def write() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            name = f"cm-{number % 5}"
            if number % 15 < 5:
                api.post("configmaps", config_map(name))
            elif number % 15 < 10:
                api.patch("merge", f"configmaps/{name}", {"data": {"n": str(number)}})
            else:
                api.delete(f"configmaps/{name}")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        watches = [api.watch("configmaps", 30, resourceVersion=start)]
        try:
            for _ in range(rounds):
                revisions = [watch.next()["object"]["metadata"]["resourceVersion"] for watch in watches]
                assert len(set(revisions)) == 1
                watches.append(api.watch("configmaps", 30, resourceVersion=revisions[0]))
        finally:
            stop.set()
            writing.result(20)
            for watch in watches:
                watch.response.close()


def test_a_watch_list_tells_what_there_is_then_a_bookmark_then_changes(api: Api) -> None:
    for number in range(5):
        api.make(f"watchlist-{number}", {"watchlist": "yes"})
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    watch = api.watch("configmaps", 20, labelSelector="watchlist=yes", **query)
    names = {watch.next()["object"]["metadata"]["name"] for _ in range(5)}
    assert names == {f"watchlist-{number}" for number in range(5)}
    told(
        watch, "BOOKMARK", lambda obj: obj["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true", "BOOKMARK"
    )
    api.make("watchlist-new", {"watchlist": "yes"})
    _next(watch, "ADDED", "watchlist-new")


def test_a_list_comes_in_chunks(api: Api) -> None:
    total = 40
    _templates(api, total)
    for limit in (10, 13, 39):
        seen, token, first = 0, "", ""
        while True:
            page = api.get("podtemplates", limit=limit, **({"continue": token} if token else {})).ok()
            first = first or page["metadata"]["resourceVersion"]
            assert len(page["items"]) <= limit and page["metadata"]["resourceVersion"] == first
            for item in page["items"]:
                assert item["metadata"]["name"] == f"template-{seen:04}"
                seen += 1
            token = page["metadata"].get("continue", "")
            if not token:
                assert not page["metadata"].get("remainingItemCount")
                break
            assert page["metadata"]["remainingItemCount"] == total - seen
        assert seen == total
    whole = api.get("podtemplates", limit=total + 1).ok()
    assert len(whole["items"]) == total and "continue" not in whole["metadata"]


def test_a_list_goes_on_from_the_last_key_when_its_revision_is_compacted_away(api: Api) -> None:
    total, limit = 40, 10
    _templates(api, total)
    first = api.get("podtemplates", limit=limit).ok()
    assert len(first["items"]) == limit and first["metadata"]["remainingItemCount"] == total - limit
    api.make("another-revision")
    api.forget()
    refused = api.get("podtemplates", limit=limit, **{"continue": first["metadata"]["continue"]}).refused(
        410, "Expired"
    )
    token, seen = refused["metadata"]["continue"], limit
    page = api.get("podtemplates", limit=limit, **{"continue": token}).ok()
    revision = page["metadata"]["resourceVersion"]
    assert revision != first["metadata"]["resourceVersion"]
    while True:
        assert page["metadata"]["resourceVersion"] == revision
        names = [item["metadata"]["name"] for item in page["items"]]
        assert names == [f"template-{number:04}" for number in range(seen, seen + len(names))]
        seen += len(names)
        token = page["metadata"].get("continue", "")
        if not token:
            break
        assert page["metadata"]["remainingItemCount"] == total - seen
        page = api.get("podtemplates", limit=limit, **{"continue": token}).ok()
    assert seen == total


def test_tables_come_in_chunks(api: Api) -> None:
    """table_conversion.go."""
    _templates(api, 20)
    accept = {"Accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}
    page = api.get("podtemplates", accept, limit=2).ok()
    assert page["kind"] == "Table" and page["metadata"]["resourceVersion"]
    assert [row["cells"][0] for row in page["rows"]] == ["template-0000", "template-0001"]
    page = api.get("podtemplates", accept, **{"continue": page["metadata"]["continue"]}).ok()
    assert page["rows"][0]["cells"][0] == "template-0002"
    api.post("pods", {"metadata": {"name": "pod-1"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}).ok()
    table = api.get("pods/pod-1", accept).ok()
    assert len(table["columnDefinitions"]) > 2 and table["columnDefinitions"][0]["name"] == "Name"
    assert len(table["rows"]) == 1 and len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    assert table["rows"][0]["cells"][0] == "pod-1"


def test_what_has_no_metadata_is_no_table(api: Api) -> None:
    """table_conversion.go: a review that is asked for as a table is a 406."""
    review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    api.ask("POST", path, review, accept).refused(406, "NotAcceptable")


def _templates(api: Api, count: int) -> None:
    def make(number: int) -> None:
        spec = {"containers": [{"name": "test", "image": "test2"}]}
        api.post("podtemplates", {"metadata": {"name": f"template-{number:04}"}, "template": {"spec": spec}}).ok()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(make, range(count)))
