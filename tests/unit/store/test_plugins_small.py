"""Admission plugins of a few lines: each at its place, in dry runs too, and gone when it is disabled."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from store_support import Desk, error_of, new_pod, obj_of

from actors.api.codec import Object
from actors.api.key import Key
from actors.store.admission.profile import ALL, DEFAULTS, NAMES, AdmissionConfig
from actors.store.config import StoreConfig

PODS, CLAIMS = "pods", "persistentvolumeclaims"
CLASSES, PRIORITIES = "storageclasses.storage.k8s.io", "priorityclasses.scheduling.k8s.io"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def desk_with(**admission: Any) -> Desk:
    return Desk(StoreConfig(admission=msgspec.convert(admission, AdmissionConfig)))


def spec_of(desk: Desk, **spec: Any) -> Object:
    return obj_of(desk.create(PODS, new_pod("p", **spec)))["spec"]


def refusal(desk: Desk, obj: Object, resource: str = PODS, namespace: str = "default") -> str:
    error = error_of(desk.create(resource, obj, namespace))
    assert (error["code"], error["reason"]) == (403, "Forbidden")
    return str(error["message"])


# --- the frame --------------------------------------------------------------------------------------------------


def test_names_are_kubernetes_and_each_can_be_disabled() -> None:
    assert len(set(NAMES)) == len(ALL)
    assert "PodNodeSelector" not in DEFAULTS
    without = desk_with(disable=["Priority", "DefaultTolerationSeconds"])
    assert not {"priority", "tolerations"} & spec_of(without).keys()


def test_a_wrong_name_is_an_error_that_lists_the_right_ones() -> None:
    with pytest.raises(msgspec.ValidationError, match="'Prioritty' is no admission plugin: there are Namespace"):
        msgspec.convert({"disable": ["Prioritty"]}, AdmissionConfig)


def test_what_a_plugin_changes_shows_in_a_dry_run_and_is_not_kept(desk: Desk) -> None:
    shown = obj_of(desk.create(PODS, new_pod("p"), dry_run=True))
    assert shown["spec"]["priority"] == 0 and len(shown["spec"]["tolerations"]) == 2
    assert not desk.is_there(Key(PODS, "default", "p"))


# --- pods -------------------------------------------------------------------------------------------------------


def test_default_tolerations_are_added_once_and_own_ones_win() -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    assert [t["tolerationSeconds"] for t in spec_of(Desk(), tolerations=[own])["tolerations"]] == [5, 300]
    everything = {"operator": "Exists"}
    assert spec_of(Desk(), tolerations=[everything])["tolerations"] == [everything]
    quick = desk_with(plugins=[{"plugin": "DefaultTolerationSeconds", "not_ready_seconds": 7}])
    assert [t["tolerationSeconds"] for t in spec_of(quick)["tolerations"]] == [7, 300]


def test_a_pod_is_worth_what_its_class_says(desk: Desk) -> None:
    high = {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"}
    obj_of(desk.create(PRIORITIES, high, ""))
    spec = spec_of(desk, priorityClassName="high")
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    assert (spec_of(Desk())["priority"], spec_of(Desk())["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    system = spec_of(Desk(), priorityClassName="system-node-critical")
    assert system["priority"] == 2_000_001_000
    assert spec_of(Desk(), priorityClassName="system-node-critical", priority=2_000_001_000) == system


def test_a_priority_of_ones_own_and_an_unknown_class_are_refused(desk: Desk) -> None:
    assert refusal(desk, new_pod("p", priorityClassName="none")) == (
        'pods "p" is forbidden: no PriorityClass with name none was found'
    )
    assert refusal(desk, new_pod("p", priority=7)) == (
        'pods "p" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission '
        "controller computed 0 from the given PriorityClass name"
    )
    assert "the string value of PreemptionPolicy (Never)" in refusal(desk, new_pod("p", preemptionPolicy="Never"))


def test_the_default_class_is_everybodys_and_there_is_one(desk: Desk) -> None:
    desk.create(PRIORITIES, {"metadata": {"name": "usual"}, "value": 10, "globalDefault": True}, "")
    spec = spec_of(desk)
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 10)
    second = {"metadata": {"name": "second"}, "value": 20, "globalDefault": True}
    assert refusal(desk, second, PRIORITIES, "").endswith(
        "PriorityClass usual is already marked as default. Only one default can exist"
    )
    assert desk.patch(Key(PRIORITIES, "", "usual"), {"description": "x"}).error is None
    desk.create(PRIORITIES, {"metadata": {"name": "second"}, "value": 20}, "")
    assert error_of(desk.patch(Key(PRIORITIES, "", "second"), {"globalDefault": True}))["code"] == 403


def runtime_class(desk: Desk, **fields: Any) -> None:
    obj_of(desk.create("runtimeclasses.node.k8s.io", {"metadata": {"name": "vm"}, "handler": "vm", **fields}, ""))


def test_a_runtime_class_brings_overhead_and_scheduling(desk: Desk) -> None:
    toleration = {"key": "vm", "operator": "Exists"}
    scheduling = {"nodeSelector": {"vm": "yes"}, "tolerations": [toleration, toleration]}
    runtime_class(desk, overhead={"podFixed": {"cpu": "250m"}}, scheduling=scheduling)
    spec = spec_of(desk, runtimeClassName="vm", nodeSelector={"a": "b"})
    assert (spec["overhead"], spec["nodeSelector"]) == ({"cpu": "250m"}, {"a": "b", "vm": "yes"})
    assert spec["tolerations"].count(toleration) == 1 and len(spec["tolerations"]) == 3
    assert "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no" in refusal(
        desk, new_pod("q", runtimeClassName="vm", nodeSelector={"vm": "no"})
    )


def test_overhead_comes_from_a_runtime_class_only(desk: Desk) -> None:
    runtime_class(desk, overhead={"podFixed": {"cpu": "250m"}})
    assert spec_of(desk, runtimeClassName="vm", overhead={"cpu": "0.25"})["overhead"] == {"cpu": "0.25"}
    assert 'RuntimeClass "x" not found' in refusal(desk, new_pod("q", runtimeClassName="x"))
    assert "doesn't match RuntimeClass's" in refusal(desk, new_pod("q", runtimeClassName="vm", overhead={"cpu": "1"}))
    assert "without corresponding RuntimeClass" in refusal(desk, new_pod("q", overhead={"cpu": "1"}))


def test_a_namespace_selects_the_nodes_of_its_pods() -> None:
    desk = desk_with(
        enable=["PodNodeSelector"], plugins=[{"plugin": "PodNodeSelector", "allowed": {"kube-system": "a=b"}}]
    )
    selector = {"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "rack=a, gpu=yes"}}}
    desk.patch(Key("namespaces", "", "default"), selector)
    assert spec_of(desk, nodeSelector={"rack": "a"})["nodeSelector"] == {"rack": "a", "gpu": "yes"}
    assert "conflicts with its namespace node label selector" in refusal(desk, new_pod("q", nodeSelector={"rack": "b"}))
    assert "labels conflict with its namespace whitelist" in refusal(
        desk, new_pod("q", nodeSelector={"c": "d"}), namespace="kube-system"
    )


def test_images_are_always_pulled_where_that_is_asked_for() -> None:
    desk = desk_with(enable=["AlwaysPullImages"])
    containers = [{"name": "a", "image": "i:1"}, {"name": "b", "image": "host"}]
    found = spec_of(desk, containers=containers)["containers"]
    assert [container["imagePullPolicy"] for container in found] == ["Always", "IfNotPresent"]
    assert spec_of(Desk(), containers=containers)["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_who_asks_for_gpus_tolerates_their_taint() -> None:
    desk = desk_with(enable=["ExtendedResourceToleration"], disable=["DefaultTolerationSeconds"])
    limits = {"nvidia.com/gpu": "1", "cpu": "1", "hugepages-2Mi": "2Mi"}
    found = spec_of(desk, containers=[{"name": "c", "image": "i:1", "resources": {"limits": limits}}])["tolerations"]
    assert found == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_services_name_no_addresses_where_that_is_denied() -> None:
    desk = desk_with(enable=["DenyServiceExternalIPs"])
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}], "externalIPs": ["192.0.2.1"]}}
    assert refusal(desk, service, "services").endswith("Use of external IPs is denied by admission control.")
    assert Desk().create("services", service).error is None


def test_a_bound_pod_knows_where_its_node_is(desk: Desk) -> None:
    labels = {"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r", "rack": "7"}
    desk.create("nodes", {"metadata": {"name": "n1", "labels": labels}}, "")
    desk.create("nodes", {"metadata": {"name": "n2"}}, "")
    for name, node in (("p", "n1"), ("q", "n2"), ("r", "n3")):
        obj_of(desk.create(PODS, {**new_pod(name), "metadata": {"name": name, "labels": {"app": "x"}}}))
        desk.bind(Key(PODS, "default", name), node)
    found = [desk.read(Key(PODS, "default", name))["metadata"]["labels"] for name in "pqr"]
    assert found[0] == {"app": "x", "topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r"}
    assert found[1] == found[2] == {"app": "x"}


# --- nodes, namespaces, storage ---------------------------------------------------------------------------------


def test_a_new_node_takes_no_pods_yet(desk: Desk) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert obj_of(desk.create("nodes", {"metadata": {"name": "n"}}, ""))["spec"]["taints"] == [taint]
    repeated = {"metadata": {"name": "m"}, "spec": {"taints": [taint]}}
    assert obj_of(desk.create("nodes", repeated, ""))["spec"]["taints"] == [taint]


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
def test_the_namespaces_of_the_control_plane_stay(desk: Desk, name: str) -> None:
    error = error_of(desk.delete(Key("namespaces", "", name)))
    assert (error["code"], error["message"]) == (
        403,
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


def claim(name: str, size: str = "1Gi", **spec: Any) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name}, "spec": spec}


def storage_class(desk: Desk, name: str, default: str = "true", **fields: Any) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": default}
    obj = {"metadata": {"name": name, "annotations": annotations}, "provisioner": "x", **fields}
    obj_of(desk.create(CLASSES, obj, ""))


def test_the_newest_default_storage_class_is_taken(desk: Desk) -> None:
    assert "storageClassName" not in obj_of(desk.create(CLAIMS, claim("before")))["spec"]
    storage_class(desk, "old")
    storage_class(desk, "off", default="false")
    desk.now += 60_000
    storage_class(desk, "new")
    assert obj_of(desk.create(CLAIMS, claim("c")))["spec"]["storageClassName"] == "new"
    assert obj_of(desk.create(CLAIMS, claim("none", storageClassName="")))["spec"]["storageClassName"] == ""


@pytest.mark.parametrize("resource", ["persistentvolumeclaims", "ingresses.networking.k8s.io", "resourcequotas"])
def test_what_has_no_spec_is_for_validation_to_tell(desk: Desk, resource: str) -> None:
    error = desk.create(resource, {"metadata": {"name": "x"}}).error
    assert error is None or error["reason"] == "Invalid"


def test_the_default_ingress_class_is_taken(desk: Desk) -> None:
    ingress = {"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1}}}}}
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "front", "annotations": annotations}
    obj_of(desk.create("ingressclasses.networking.k8s.io", {"metadata": meta, "spec": {"controller": "a/b"}}, ""))
    spec = obj_of(desk.create("ingresses.networking.k8s.io", ingress))["spec"]
    assert spec["ingressClassName"] == "front"


def test_claims_and_volumes_are_protected(desk: Desk) -> None:
    assert obj_of(desk.create(CLAIMS, claim("c")))["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    desk.delete(Key(CLAIMS, "default", "c"))
    assert desk.read(Key(CLAIMS, "default", "c"))["metadata"]["deletionTimestamp"]
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    volume = obj_of(desk.create("persistentvolumes", {"metadata": {"name": "v"}, "spec": spec}, ""))
    assert volume["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]


def test_a_claim_grows_where_its_class_allows_it(desk: Desk) -> None:
    storage_class(desk, "fixed", allowVolumeExpansion=False)
    storage_class(desk, "elastic", allowVolumeExpansion=True)
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    for name in ("fixed", "elastic"):
        key = Key(CLAIMS, "default", name)
        obj_of(desk.create(CLAIMS, claim(name, storageClassName=name, volumeName="v")))
        assert (
            "spec is immutable after creation except resources.requests" in error_of(desk.patch(key, more))["message"]
        )
        desk.patch(key, {"status": {"phase": "Bound"}}, subresource="status")
    message = error_of(desk.patch(Key(CLAIMS, "default", "fixed"), more))["message"]
    assert "the storageclass that provisions the pvc must support resize" in message
    assert obj_of(desk.patch(Key(CLAIMS, "default", "elastic"), more))["spec"]["resources"] == more["spec"]["resources"]
