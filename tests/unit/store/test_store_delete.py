"""The end of objects: grace, finalizers, propagation, namespaces, preconditions."""

from __future__ import annotations

import pytest
from store_support import NOW, Desk, error_of, new_pod, obj_of

from actors.api.clock import format_time
from actors.api.key import Key
from actors.reconcile.actions import Propagation

POD = Key("pods", "default", "p")
MAP = Key("configmaps", "default", "m")
DEV = Key("namespaces", "", "dev")


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    obj_of(desk.create("pods", new_pod("p")))
    obj_of(desk.create("configmaps", {"metadata": {"name": "m"}}))
    obj_of(desk.create("namespaces", {"metadata": {"name": "dev"}}, ""))
    return desk


def test_an_unbound_pod_goes_at_once(desk: Desk) -> None:
    assert desk.delete(POD).removed
    assert not desk.is_there(POD)


def test_a_finished_pod_goes_at_once(desk: Desk) -> None:
    desk.bind(POD)
    desk.patch(POD, {"status": {"phase": "Succeeded"}}, subresource="status")
    assert desk.delete(POD).removed


def test_a_bound_pod_ends_when_its_node_confirms(desk: Desk) -> None:
    desk.bind(POD)
    reply = desk.delete(POD)
    pod = obj_of(reply)
    assert not reply.removed
    assert pod["metadata"]["deletionTimestamp"] == format_time(NOW + 30_000)
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    assert desk.delete(POD, grace_period_seconds=0).removed
    assert not desk.is_there(POD)


def test_a_grace_period_only_shrinks(desk: Desk) -> None:
    desk.bind(POD)
    obj_of(desk.delete(POD, grace_period_seconds=20))
    desk.now += 5_000
    assert not desk.delete(POD, grace_period_seconds=25).changed
    assert not desk.delete(POD).changed
    shorter = obj_of(desk.delete(POD, grace_period_seconds=10))["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 10
    assert shorter["deletionTimestamp"] == format_time(NOW + 10_000)


def test_negative_grace_is_one_second(desk: Desk) -> None:
    desk.bind(POD)
    assert obj_of(desk.delete(POD, grace_period_seconds=-5))["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_dying_pod_is_bound_to_no_node(desk: Desk) -> None:
    desk.patch(POD, {"metadata": {"finalizers": ["me/x"]}})
    assert not desk.delete(POD).removed
    assert "pod p is being deleted, cannot be assigned to a host" in error_of(desk.bind(POD))["message"]


def test_finalizers_hold_an_object_until_the_last_is_gone(desk: Desk) -> None:
    desk.patch(MAP, {"metadata": {"finalizers": ["me/x", "me/y"]}})
    reply = desk.delete(MAP)
    assert not reply.removed and obj_of(reply)["metadata"]["deletionTimestamp"] == format_time(NOW)
    assert not desk.delete(MAP).changed
    obj_of(desk.patch(MAP, {"data": {"still": "writable"}, "metadata": {"finalizers": ["me/y"]}}))
    last = desk.patch(MAP, {"metadata": {"finalizers": None}})
    assert last.removed and not desk.is_there(MAP)


def test_a_dying_object_gets_no_new_finalizers(desk: Desk) -> None:
    desk.patch(MAP, {"metadata": {"finalizers": ["me/x"]}})
    desk.delete(MAP)
    error = error_of(desk.patch(MAP, {"metadata": {"finalizers": ["me/x", "me/z"]}}))
    assert error["code"] == 422
    assert (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"me/z"}'
    ) in error["message"]


def test_finalizers_of_a_bound_pod_and_its_grace_both_hold_it(desk: Desk) -> None:
    desk.patch(POD, {"metadata": {"finalizers": ["me/x"]}})
    desk.bind(POD)
    desk.delete(POD)
    assert not desk.delete(POD, grace_period_seconds=0).removed
    assert desk.patch(POD, {"metadata": {"finalizers": []}}).removed


def test_a_pod_whose_finalizers_go_first_waits_for_its_node(desk: Desk) -> None:
    desk.patch(POD, {"metadata": {"finalizers": ["me/x"]}})
    desk.bind(POD)
    desk.delete(POD)
    assert not desk.patch(POD, {"metadata": {"finalizers": []}}).removed
    assert desk.delete(POD, grace_period_seconds=0).removed


@pytest.mark.parametrize(
    ("propagation", "finalizer"),
    [(Propagation.FOREGROUND, "foregroundDeletion"), (Propagation.ORPHAN, "orphan")],
)
def test_propagation_is_told_to_the_garbage_collector(desk: Desk, propagation: Propagation, finalizer: str) -> None:
    reply = desk.delete(MAP, propagation=propagation)
    assert obj_of(reply)["metadata"]["finalizers"] == [finalizer] and not reply.removed
    assert desk.delete(MAP, propagation=Propagation.BACKGROUND).removed


def test_preconditions_of_a_delete(desk: Desk) -> None:
    stored = desk.engine.get(MAP)
    error = error_of(desk.delete(MAP, uid="other"))
    assert error["message"] == (
        'Operation cannot be fulfilled on configmaps "m": the UID in the precondition (other) does not match the UID '
        f"in record ({stored.uid}). The object might have been deleted and then recreated"
    )
    error = error_of(desk.delete(MAP, revision=stored.revision + 1))
    assert (error["code"], "ResourceVersion in the precondition" in error["message"]) == (409, True)
    assert desk.delete(MAP, uid=stored.uid, revision=stored.revision).removed


def test_a_namespace_ends_when_it_is_empty(desk: Desk) -> None:
    reply = desk.delete(DEV)
    namespace = obj_of(reply)
    assert not reply.removed
    assert namespace["status"]["phase"] == "Terminating" and "deletionTimestamp" in namespace["metadata"]
    assert not desk.delete(DEV).changed
    obj_of(desk.patch(DEV, {"metadata": {"labels": {"a": "b"}}}))
    assert desk.patch(DEV, {"spec": {"finalizers": []}}).stored is not None and desk.is_there(DEV)
    assert desk.patch(DEV, {"spec": {"finalizers": []}}, subresource="finalize").removed


def test_finalizing_a_living_namespace_does_not_end_it(desk: Desk) -> None:
    assert not desk.patch(DEV, {"spec": {"finalizers": []}}, subresource="finalize").removed
    assert desk.delete(DEV).removed


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_may_not_be_deleted(desk: Desk, name: str) -> None:
    error = error_of(desk.delete(Key("namespaces", "", name)))
    assert error["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_a_dry_run_deletes_nothing(desk: Desk) -> None:
    assert desk.delete(MAP, dry_run=True).removed
    assert desk.is_there(MAP)


def test_a_new_object_of_the_same_name_has_another_uid(desk: Desk) -> None:
    uid = desk.read(MAP)["metadata"]["uid"]
    desk.delete(MAP)
    assert obj_of(desk.create("configmaps", {"metadata": {"name": "m"}}))["metadata"]["uid"] != uid
