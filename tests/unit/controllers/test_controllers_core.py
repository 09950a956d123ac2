from __future__ import annotations

from collections.abc import Iterable

from corerig import Rig

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.kinds import CONFIG_MAP
from actors.api.meta import Resource
from actors.controllers.core import ControllersCore
from actors.reconcile.actions import Action, Create, Patch, RequeueAfter
from actors.reconcile.controller import controller
from actors.reconcile.view import View


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@controller(Resource, name="fussy")
def fussy(obj: Resource, view: View, now: Millis) -> Iterable[Action]:
    """Raises over `bad`, marks everything else."""
    if obj.metadata.name == "bad":
        raise ValueError("cannot stand it")
    if obj.metadata.name == "good" and not obj.metadata.label("seen"):
        key = Key(CONFIG_MAP.resource, obj.metadata.namespace, obj.metadata.name)
        yield Patch(key=key, patch={"metadata": {"labels": {"seen": "yes"}}})


def test_one_failing_key_stops_no_other_backs_off_and_is_told() -> None:
    core = ControllersCore([fussy])
    rig = Rig(core)
    rig.create(config_map("bad"))
    rig.create(config_map("good"))
    rig.settle()
    assert rig.get("configmaps", "good")["metadata"]["labels"] == {"seen": "yes"}
    (event,) = rig.list("events")
    assert (event["reason"], event["type"]) == ("ReconcileFailed", "Warning")
    assert "ValueError: cannot stand it" in event["message"]
    rig.advance(60_000)
    (event,) = rig.list("events")
    assert 5 <= event["count"] <= 20


@controller(Resource, name="stubborn")
def stubborn(obj: Resource, view: View, now: Millis) -> Iterable[Action]:
    if obj.metadata.name == "owner":
        yield Create(resource="configmaps", namespace="nowhere", object=config_map("x"))


def test_a_refused_write_is_told_in_the_stores_words_and_backs_off() -> None:
    rig = Rig(ControllersCore([stubborn]))
    rig.create(config_map("owner"))
    rig.advance(10_000)
    (event,) = rig.list("events")
    assert event["reason"] == "FailedCreate"
    assert 'namespaces "nowhere" not found' in event["message"]
    assert sum(isinstance(write, Create) and write.namespace == "nowhere" for write in rig.writes) < 15


@controller(Resource, name="timed")
def timed(obj: Resource, view: View, now: Millis) -> Iterable[Action]:
    if obj.metadata.name == "timed":
        due = view.seen_ms(Key("configmaps", "default", "timed")) + 5000
        if now < due:
            yield RequeueAfter(due - now)
        elif view.at(Key("configmaps", "default", "late")) is None:
            yield Create(resource="configmaps", namespace="default", object=config_map("late"))


def test_requeue_after_looks_again_when_nothing_changes() -> None:
    rig = Rig(ControllersCore([timed]))
    rig.create(config_map("timed"))
    rig.advance(4_900)
    assert rig.get("configmaps", "late") is None
    rig.advance(200)
    assert rig.get("configmaps", "late") is not None


def test_an_object_of_the_wrong_shape_harms_nobody() -> None:
    """What validation lets through and a lens cannot read is metadata to the view."""
    from actors.api.key import Stored
    from actors.api.pod import Pod

    view = View([Pod])
    body = b'{"metadata":{"name":"p","namespace":"default","uid":"u"},"spec":{"containers":"none"}}'
    view.put(Stored(Key("pods", "default", "p"), 5, 5, "u", body), 0)
    assert view.all(Pod) == []
    assert view.at(Key("pods", "default", "p")).metadata.uid == "u"
