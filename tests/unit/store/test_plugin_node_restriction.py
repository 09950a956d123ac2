"""NodeRestriction: what a node writes about itself and its pods is taken, everything else refused as Kubernetes does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.codec import Object
from actors.api.key import Key
from actors.nodelet.config import NodeletConfig
from actors.reconcile.actions import Reply

ME = "system:node:n1"
PODS, NODES, LEASES, CLAIMS = "pods", "nodes", "leases.coordination.k8s.io", "persistentvolumeclaims"


@pytest.fixture
def desk() -> Desk:
    """With two nodes, a pod on each, and one that is on none."""
    desk = Desk()
    for node in ("n1", "n2"):
        obj_of(desk.create(NODES, {"metadata": {"name": node, "labels": {"kubernetes.io/os": "linux"}}}, ""))
        obj_of(desk.create(PODS, new_pod(f"on-{node}")))
        obj_of(desk.bind(Key(PODS, "default", f"on-{node}"), node))
    obj_of(desk.create(PODS, new_pod("waiting")))
    return desk


def mirror(desk: Desk, **spec: Any) -> Object:
    uid = desk.read(Key(NODES, "", "n1"))["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    made = new_pod("static-n1", nodeName="n1", **spec)
    made["metadata"] |= {"annotations": {"kubernetes.io/config.mirror": "h"}, "ownerReferences": [owner]}
    return made


def refused(reply: Reply) -> str:
    error = error_of(reply)
    assert (error["code"], error["reason"]) == (403, "Forbidden"), error
    return str(error["message"])


def pod_key(name: str) -> Key:
    return Key(PODS, "default", name)


def test_status_of_its_own_pods_alone(desk: Desk) -> None:
    told = {"status": {"phase": "Running"}}
    obj_of(desk.patch(pod_key("on-n1"), told, subresource="status", user=ME))
    for name in ("on-n2", "waiting"):
        assert refused(desk.patch(pod_key(name), told, subresource="status", user=ME)) == (
            f'pods "{name}" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself'
        )
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert "cannot update labels through pod status" in refused(
        desk.patch(pod_key("on-n1"), labels, subresource="status", user=ME)
    )
    claims = {"status": {"resourceClaimStatuses": [{"name": "c", "resourceClaimName": "x"}]}}
    assert "cannot update resource claim statuses" in refused(
        desk.patch(pod_key("on-n1"), claims, subresource="status", user=ME)
    )


def test_deletes_its_own_pods_alone_and_changes_none(desk: Desk) -> None:
    assert "can only delete pods with spec.nodeName set to itself" in refused(desk.delete(pod_key("on-n2"), user=ME))
    assert "can only delete pods" in refused(desk.delete(pod_key("waiting"), user=ME))
    assert desk.delete(pod_key("on-n1"), grace_period_seconds=0, user=ME).error is None
    grown = {"metadata": {"labels": {"a": "b"}}}
    assert 'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods' in refused(
        desk.patch(pod_key("on-n2"), grown, user=ME)
    )
    bound = desk.bind(pod_key("waiting"), "n1", user=ME)
    assert "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed" in refused(bound)


def test_a_mirror_pod_is_taken_as_it_is(desk: Desk) -> None:
    spec = obj_of(desk.create(PODS, mirror(desk), user=ME))["spec"]
    assert spec["nodeName"] == "n1" and not spec.get("serviceAccountName") and not spec.get("volumes")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"serviceAccountName": "default"}, "can not create pods that reference a service account"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "can not create pods that reference secrets"),
        ({"imagePullSecrets": [{"name": "s"}]}, "can not create pods that reference secrets"),
        ({"volumes": [{"name": "v", "configMap": {"name": "s"}}]}, "can not create pods that reference configmaps"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]},
            "can not create pods that reference persistentvolumeclaims",
        ),
        ({"nodeName": "n2"}, "can only create pods with spec.nodeName set to itself"),
    ],
)
def test_a_mirror_pod_names_nothing_of_the_api(desk: Desk, change: Object, told: str) -> None:
    pod = mirror(desk)
    pod["spec"] |= change
    assert told in refused(desk.create(PODS, pod, user=ME))
    assert not desk.is_there(pod_key("static-n1"))


def test_a_mirror_pod_is_its_nodes(desk: Desk) -> None:
    pod = mirror(desk)
    owner = pod["metadata"]["ownerReferences"][0]
    for owners, told in (
        ([], "an owner reference set to itself"),
        ([owner, owner | {"uid": "x"}], "a single owner reference"),
        ([owner | {"name": "n2"}], "an owner reference set to itself"),
        ([owner | {"controller": False}], "a controller owner reference"),
        ([owner | {"blockOwnerDeletion": True}], "must not set blockOwnerDeletion"),
        ([owner | {"uid": "other"}], "UID mismatch: expected other got"),
    ):
        changed = {**pod, "metadata": {**pod["metadata"], "ownerReferences": owners}}
        assert told in refused(desk.create(PODS, changed, user=ME))
    bare = new_pod("mine", nodeName="n1")
    assert refused(desk.create(PODS, bare, user=ME)) == (
        'pods "mine" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, '
        'node "n1" can only create mirror pods'
    )


def test_its_own_node_but_for_taints_owners_and_labels_of_others(desk: Desk) -> None:
    mine, other = Key(NODES, "", "n1"), Key(NODES, "", "n2")
    obj_of(desk.patch(mine, {"metadata": {"labels": {"rack": "a", "node.kubernetes.io/x": "y"}}}, user=ME))
    obj_of(desk.patch(mine, {"status": {"phase": "Running"}}, subresource="status", user=ME))
    for key in (mine, other):
        same = desk.patch(key, {"metadata": {"labels": {"kubernetes.io/os": "linux"}}}, user=ME)
        assert (same.error is None) == (key is mine), "also what changes nothing is another's"
    assert refused(desk.patch(other, {"status": {"phase": "x"}}, subresource="status", user=ME)) == (
        'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    )
    taints = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    assert "is not allowed to modify taints" in refused(desk.patch(mine, taints, user=ME))
    owners = {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}]}}
    assert "is not allowed to modify ownerReferences" in refused(desk.patch(mine, owners, user=ME))
    labels = {"node-restriction.kubernetes.io/t": "1", "x.k8s.io/y": "2", "node-role.kubernetes.io/master": ""}
    assert refused(desk.patch(mine, {"metadata": {"labels": labels}}, user=ME)).endswith(
        "is not allowed to modify labels: node-restriction.kubernetes.io/t, node-role.kubernetes.io/master, x.k8s.io/y"
    )
    obj_of(desk.patch(mine, {"metadata": {"labels": labels}}, user="admin"))
    gone = {"metadata": {"labels": {"node-restriction.kubernetes.io/t": None}}}
    assert "is not allowed to modify labels" in refused(desk.patch(mine, gone, user=ME))


def test_registers_itself_alone() -> None:
    desk = Desk()
    node = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "h", "team": "a"}}}
    assert "not allowed to modify node" in refused(desk.create(NODES, {"metadata": {"name": "n2"}}, "", user=ME))
    bad = {"metadata": {"name": "n1", "labels": {"node-restriction.kubernetes.io/t": "1"}}}
    assert "is not allowed to set the following labels: node-restriction" in refused(
        desk.create(NODES, bad, "", user=ME)
    )
    obj_of(desk.create(NODES, node, "", user=ME))


def test_its_own_lease_and_csi_node(desk: Desk) -> None:
    def lease(name: str) -> Object:
        return {"metadata": {"name": name}, "spec": {"holderIdentity": name}}

    obj_of(desk.create(LEASES, lease("n1"), "kube-node-lease", user=ME))
    same_name = "can only access node lease with the same name as the requesting node"
    assert same_name in refused(desk.create(LEASES, lease("n2"), "kube-node-lease", user=ME))
    assert "can only access leases in the" in refused(desk.create(LEASES, lease("n1"), "default", user=ME))
    csi = "csinodes.storage.k8s.io"
    obj_of(desk.create(csi, {"metadata": {"name": "n1"}, "spec": {"drivers": []}}, "", user=ME))
    wrong = desk.create(csi, {"metadata": {"name": "n2"}, "spec": {"drivers": []}}, "", user=ME)
    assert "can only access CSINode with the same name" in refused(wrong)


def test_of_a_claim_only_how_it_has_grown(desk: Desk) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    obj_of(desk.create(CLAIMS, {"metadata": {"name": "c"}, "spec": spec}))
    key = Key(CLAIMS, "default", "c")
    assert "may only update PVC status" in refused(desk.patch(key, {"metadata": {"labels": {"a": "b"}}}, user=ME))
    grown = {"status": {"capacity": {"storage": "2Gi"}}}
    obj_of(desk.patch(key, grown, subresource="status", user=ME))
    bound = {"status": {"phase": "Bound"}}
    assert "fields other than status.capacity and status.conditions" in refused(
        desk.patch(key, bound, subresource="status", user=ME)
    )


def test_a_slice_of_its_own_and_a_node_without_a_name(desk: Desk) -> None:
    name = "resourceslices.resource.k8s.io"
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    slice_of = {"driver": "d.io", "pool": pool, "nodeName": "n2", "devices": []}
    told = refused(desk.create(name, {"metadata": {"name": "s"}, "spec": slice_of}, "", user=ME))
    assert "can only create ResourceSlice with the same NodeName as the requesting node" in told
    nameless = desk.patch(Key(NODES, "", "n1"), {"metadata": {"labels": {"a": "b"}}}, user="system:node:")
    assert 'could not determine node from user "system:node:"' in refused(nameless)


def test_labels_that_would_be_refused_are_refused_in_the_configuration() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"not give itself node-role\.kubernetes\.io/worker: "):
        msgspec.convert({"labels": {"node-role.kubernetes.io/worker": "", "rack": "a"}}, NodeletConfig)
