from __future__ import annotations

from typing import Any

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.api.node import Node
from actors.api.pod import Pod
from actors.reconcile.view import View


def stored(name: str, revision: int, resource: str = "pods", **fields: Any) -> Stored:
    namespace = "default" if resource == "pods" else ""
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}"} | fields.pop("metadata", {})
    body = encode({"metadata": metadata, **fields})
    return Stored(Key(resource, namespace, name), revision, 1, metadata["uid"], body)


def phase(view: View, name: str) -> str | None:
    pod = view.get(Pod, "default", name)
    return pod.status.phase if pod else None


def test_an_own_write_is_not_undone_by_older_news() -> None:
    view = View([Pod])
    view.relist([stored("p", 5)], 5, 0)
    assert view.put(stored("p", 9, status={"phase": "Running"}), 1)
    assert view.put(stored("p", 7, status={"phase": "Pending"}), 2) is None
    assert phase(view, "p") == "Running"
    assert view.put(stored("p", 9, status={"phase": "Running"}), 3) is None, "the echo of the own write is no news"
    assert view.seen_ms(Key("pods", "default", "p")) == 1


def test_an_own_removal_is_not_undone_by_older_news_but_a_namesake_lives() -> None:
    view = View([Pod])
    view.relist([stored("p", 5)], 5, 0)
    assert view.remove(stored("p", 9), 1)
    assert view.put(stored("p", 8), 2) is None
    assert phase(view, "p") is None
    assert view.put(stored("p", 10), 3)
    assert view.remove(stored("p", 9), 4) is None, "the old one's end is not the new one's"
    assert phase(view, "p") == "Pending"


def test_a_list_older_than_own_writes_undoes_none_of_them() -> None:
    view = View([Pod])
    view.relist([stored("old", 3), stored("gone", 4)], 5, 0)
    view.put(stored("mine", 8), 1)
    view.remove(stored("gone", 9), 1)
    view.relist([stored("gone", 4), stored("other", 6)], 6, 2)
    assert [pod.metadata.name for pod in view.all(Pod)] == ["mine", "other"]
    view.settle(9)
    assert view.put(stored("gone", 11), 3)


def test_indexes_follow_changes() -> None:
    view = View([Pod])
    owner = [{"kind": "Job", "name": "j", "uid": "J", "controller": True}]
    view.put(stored("p", 1), 0)
    assert [p.metadata.name for p in view.orphans(Pod, "default")] == ["p"]
    view.put(stored("p", 2, metadata={"ownerReferences": owner}, spec={"nodeName": "n"}, status={"phase": "Failed"}), 0)
    assert view.orphans(Pod, "default") == []
    assert view.dependents("J") == [Key("pods", "default", "p")]
    assert [p.metadata.name for p in view.on_node("n")] == ["p"]
    assert view.finished_count() == 1
    view.remove(stored("p", 3), 0)
    assert view.dependents("J") == [] and view.on_node("n") == [] and view.finished_count() == 0
    assert view.in_namespace("default") == [] and view.with_uid("uid-p") is None


def test_since_when_a_node_is_gone() -> None:
    view = View([Node])
    view.relist([stored("n", 1, "nodes")], 1, 1000)
    assert view.node_gone_ms("n") is None
    assert view.node_gone_ms("never") == 1000, "as far as we know since we began to look"
    view.remove(stored("n", 2, "nodes"), 5000)
    assert view.node_gone_ms("n") == 5000
    view.put(stored("n", 3, "nodes"), 6000)
    assert view.node_gone_ms("n") is None


def test_answers_are_sorted_whatever_the_order_of_arrival() -> None:
    view = View([Pod])
    for revision, name in enumerate(["c", "a", "b"], start=1):
        view.put(stored(name, revision), 0)
    assert [p.metadata.name for p in view.all(Pod)] == ["a", "b", "c"]


def test_a_clock_that_is_set_back_has_seen_nothing_later_than_now() -> None:
    view = View([Pod])
    view.tick(9_000)
    view.put(stored("p", 5), 9_000)
    view.tick(4_000)
    assert view.seen_ms(Key("pods", "default", "p")) == 4_000
    view.tick(8_000)
    assert view.seen_ms(Key("pods", "default", "p")) == 4_000
