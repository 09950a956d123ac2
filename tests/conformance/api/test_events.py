"""Events by both of their groups: one object, two shapes, and what each group wants of a new one."""

from __future__ import annotations

from api_client import Api, Json

CORE = "events"
NEW = "/apis/events.k8s.io/v1/namespaces/{}/events"
AT = "2026-11-23T10:00:00.000001Z"


def _core(api: Api, **fields: object) -> Json:
    about = {"kind": "Pod", "name": "p", "namespace": api.namespace}
    return {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Test", "message": "told", **fields}


def _new(api: Api, **fields: object) -> Json:
    about = {"kind": "Pod", "name": "p", "namespace": api.namespace}
    told = {"reason": "Test", "action": "Do", "note": "told", "type": "Normal", "eventTime": AT}
    who = {"reportingController": "example.com/me", "reportingInstance": "me-1"}
    return {"metadata": {"name": "e"}, "regarding": about, **told, **who, **fields}


def test_one_event_has_two_shapes(api: Api) -> None:
    path = NEW.format(api.namespace)
    api.post(path, _new(api, series={"count": 2, "lastObservedTime": AT})).ok()
    core = api.get(f"{CORE}/e").json
    assert (core["message"], core["involvedObject"]["name"], core["reportingComponent"]) == (
        "told",
        "p",
        "example.com/me",
    )
    assert core["series"] == {"count": 2, "lastObservedTime": AT}
    changed = api.patch("strategic", f"{path}/e", {"series": None}).ok()
    assert "series" not in changed and changed["note"] == "told"
    assert api.get("/apis/events.k8s.io/v1/events", fieldSelector="reason=Test").names == ["e"]
    assert api.delete(path).ok()["items"][0]["apiVersion"] == "events.k8s.io/v1"
    assert api.get(CORE).names == []


def test_what_is_wrong_is_told_all_at_once(api: Api) -> None:
    path = NEW.format(api.namespace)
    bare = api.post(path, {"metadata": {"name": "e"}, "regarding": {"namespace": api.namespace}})
    bare.refused(422, "Invalid")
    assert set(bare.causes) == {"eventTime", "type"}
    old = _new(api, deprecatedCount=1, deprecatedSource={"component": "c"})
    assert set(api.post(path, old).causes) == {"count", "source"}
    assert set(api.post(path, _new(api, series={"count": 1})).causes) == {"series.count", "series.lastObservedTime"}
    long = _new(api, note="x" * 1025, action="", reportingController="no name", reportingInstance="y" * 129)
    answer = api.post(path, long)
    assert answer.refused(422, "Invalid")
    assert set(answer.causes) == {"message", "action", "reportingController", "reportingInstance"}


def test_an_event_is_where_what_it_is_about_is(api: Api) -> None:
    api.post(CORE, _core(api)).ok()
    for about in ({"namespace": "default"}, {}):
        refused = api.post(CORE, _core(api, metadata={"name": "f"}, involvedObject=about))
        assert refused.refused(422, "Invalid")
        assert refused.causes["involvedObject.namespace"].endswith("does not match event.namespace")
    node = _core(api, metadata={"name": f"node-{api.namespace}"}, involvedObject={"kind": "Node", "name": "n1"})
    api.post("/api/v1/namespaces/default/events", node).ok()


def test_by_the_new_group_only_the_series_of_an_event_grows(api: Api) -> None:
    path = NEW.format(api.namespace)
    made = api.post(path, _new(api)).ok()
    made["eventTime"] = AT.replace("001Z", "001000Z")  # as some clients write the same time
    made["deprecatedSource"] = {}
    again = api.put(f"{path}/e", {**made, "series": {"count": 2, "lastObservedTime": AT}}).ok()
    refused = api.put(f"{path}/e", {**again, "note": "other", "type": "Warning", "reportingInstance": "me-2"})
    assert refused.refused(422, "Invalid") and set(refused.causes) == {"message", "type", "reportingInstance"}
    assert all(told.endswith("field is immutable") for told in refused.causes.values())
    assert set(api.patch("merge", f"{path}/e", {"regarding": {"name": "q"}}).causes) == {"involvedObject"}
    applied = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "applied"}
    assert set(api.patch("apply", f"{path}/e", applied, fieldManager="me", force=True).causes) == {"message"}
    assert api.patch("merge", f"{CORE}/e", {"message": "the old group lets it change"}).ok()


def test_events_are_told_in_the_order_in_which_they_came(api: Api) -> None:
    """Where all are told at once: kubectl sorts them by whole seconds, and a container starts in less."""
    for name in ("c", "a", "b"):
        api.post(CORE, _core(api, metadata={"name": name})).ok()
    assert api.get(CORE).names == api.get(NEW.format(api.namespace)).names == ["c", "a", "b"]
    first = api.get(CORE, limit=2)
    assert first.names == ["a", "b"]
    assert api.get(CORE, limit=2, **{"continue": first.json["metadata"]["continue"]}).names == ["c"]
