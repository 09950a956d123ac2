"""Who changed what: fields by their paths, the user and the manager of every write, pieces of a long history."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from store_support import NOW, Desk, new_pod, obj_of

from actors.api.errors import BadRequest, Expired, Timeout
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch
from actors.reconcile.watch import EventType, Selection
from actors.store import history
from actors.store.engine import Request
from actors.store.history import derive_fields, select_history

POD = Key("pods", "default", "p")
PODS = Selection(("pods",), "default", fields="metadata.name=p")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def fields(desk: Desk) -> list[dict[str, Any]]:
    """Of the last change."""
    change = select_history(desk.engine.log, PODS, 0, 0).changes[-1]
    assert change.previous is not None
    return [msgspec.to_builtins(field) for field in derive_fields(change.previous, change.stored)]


def test_fields_are_named_by_the_keys_of_their_lists(desk: Desk) -> None:
    desk.create("pods", new_pod("p"))
    desk.patch(POD, {"metadata": {"labels": {"tier": "web"}}})
    assert fields(desk) == [{"field": "metadata.labels.tier", "to": "web"}]
    desk.patch(POD, {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}, kind=_strategic())
    assert fields(desk) == [{"field": 'spec.containers[name="c"].image', "from": "i:1", "to": "i:2"}]
    desk.patch(POD, {"metadata": {"labels": {"tier": None}}})
    assert fields(desk) == [{"field": "metadata.labels.tier", "from": "web"}]


def _strategic() -> Any:
    from actors.reconcile.actions import PatchType

    return PatchType.STRATEGIC


def test_a_deletion_that_is_asked_for_and_done(desk: Desk) -> None:
    desk.create("pods", new_pod("p"))
    desk.bind(POD)
    desk.delete(POD)
    assert [field["field"] for field in fields(desk)] == ["metadata.deletionTimestamp"]
    desk.delete(POD, grace_period_seconds=0)
    again = obj_of(desk.create("pods", new_pod("p")))
    told = select_history(desk.engine.log, PODS, 0, 0).changes
    assert [change.type.value for change in told] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED", "ADDED"]
    assert told[-1].stored.uid == again["metadata"]["uid"] != told[0].stored.uid
    assert told[-1].previous is None


def test_who(desk: Desk) -> None:
    """The write's own user; else that of the commit. A write without either is nobody's."""
    create = Create(resource="pods", namespace="default", object=new_pod("p"), manager="kubectl", user="ada")
    requests = [Request((create, Patch(key=POD, patch={"metadata": {"labels": {"a": "b"}}})), "", "scheduler")]
    plan = desk.engine.plan(requests, NOW)
    desk.engine.write(plan)
    desk.engine.show(plan)
    desk.delete(POD)
    told = select_history(desk.engine.log, PODS, 0, 0).changes
    assert [(change.user, change.manager) for change in told] == [("ada", "kubectl"), ("scheduler", ""), ("", "")]


def test_a_dry_run_is_no_history(desk: Desk) -> None:
    desk.create("pods", new_pod("p"), dry_run=True)
    assert select_history(desk.engine.log, PODS, 0, 0).changes == ()


def test_in_pieces_nothing_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.create("pods", new_pod("p"))
    for n in range(20):
        desk.patch(POD, {"metadata": {"labels": {"n": str(n)}}})
        desk.create("configmaps", {"metadata": {"name": f"m{n}"}})
    whole = select_history(desk.engine.log, Selection(), 0, 0)
    monkeypatch.setattr(history, "_SCANNED_MAX", 3)
    pieces, since = [], 0
    while since < desk.engine.revision:
        part = select_history(desk.engine.log, Selection(), since, 0)
        assert len(part.changes) <= 3
        pieces += part.changes
        since = part.revision
    assert tuple(pieces) == whole.changes


def test_a_range(desk: Desk) -> None:
    revisions = [desk.create("configmaps", {"metadata": {"name": f"m{n}"}}).stored.revision for n in range(5)]  # type: ignore[union-attr]
    told = select_history(desk.engine.log, Selection(("configmaps",)), revisions[0], revisions[3])
    assert [change.stored.revision for change in told.changes] == revisions[1:4]
    assert (told.revision, told.until) == (revisions[3], revisions[3])
    with pytest.raises(Timeout):
        select_history(desk.engine.log, Selection(), 0, desk.engine.revision + 1)


@pytest.mark.parametrize(
    "selection", [Selection(("pods",), labels="a=b"), Selection(("pods",), fields="spec.nodeName=n")]
)
def test_what_would_need_the_bodies_is_refused(desk: Desk, selection: Selection) -> None:
    with pytest.raises(BadRequest, match="by resource, namespace and name"):
        select_history(desk.engine.log, selection, 0, 0)


def test_what_is_forgotten_is_told_with_the_oldest_that_is_left(desk: Desk) -> None:
    desk.create("pods", new_pod("p"))
    revision = desk.engine.revision
    desk.now += 3 * 3_600_000
    desk.write(Delete(key=POD))
    desk.engine.compact(desk.now)
    assert desk.engine.log.horizon == revision
    oldest = f"the oldest retained revision is {revision}, of 2023-11-14T22:13:20Z"
    with pytest.raises(Expired, match=oldest):
        select_history(desk.engine.log, PODS, revision - 1, 0)
    with pytest.raises(Expired, match=oldest):
        desk.engine.changes(PODS, revision - 1)
    with pytest.raises(Expired, match=oldest):
        desk.engine.log.revision_at(NOW - 1)
    assert desk.engine.log.revision_at(NOW) == revision
    told = select_history(desk.engine.log, PODS, 0, 0)
    assert [change.type for change in told.changes] == [EventType.DELETED]
    assert (told.horizon, told.horizon_at) == (revision, NOW)
