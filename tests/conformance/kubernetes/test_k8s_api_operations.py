"""`should support ... API operations` of flowcontrol.go, validating- and mutatingadmissionpolicy.go, runtimeclass.go,
ingress.go, ingressclass.go, endpointslice.go, ip_address.go, volume_attachment.go and their like."""

from __future__ import annotations

import pytest
from api_client import Api, Json
from operations import Operations, walk

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
_RULE = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
_MATCH = {"resourceRules": [_RULE]}
_EXPRESSION = 'Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}'
_VALIDATION = {"expression": "object.spec.replicas <= 100"}
_MUTATION = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _EXPRESSION}}
_BINDING = {"policyName": "replicalimit-policy.example.com"}
_SUBJECT = {"kind": "User", "user": {"name": "example-e2e-non-existent-user"}}
_FLOW_RULE = {"subjects": [_SUBJECT], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}
_LIMITED = {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}, "lendablePercent": 0}
_PREFIX = {
    "path": "/",
    "pathType": "Prefix",
    "backend": {"service": {"name": "defaultbackend", "port": {"number": 80}}},
}


_REQUESTS = [{"name": "req-0", "exactly": {"deviceClassName": "e2e"}}]


def _kind(group_version: str, kind: str, **fields: object) -> Json:
    return {"apiVersion": group_version, "kind": kind, **fields}


ROWS = {
    "FlowSchema": Operations(
        path=f"{_FLOW}/flowschemas",
        template=_kind(
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            spec={
                "matchingPrecedence": 10000,
                "priorityLevelConfiguration": {"name": "global-default"},
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [_FLOW_RULE],
            },
        ),
        field="spec.matchingPrecedence",
        patched=9999,
        updated=9998,
        subresources=("status",),
        condition="conditions",
    ),
    "PriorityLevelConfiguration": Operations(
        path=f"{_FLOW}/prioritylevelconfigurations",
        template=_kind(
            "flowcontrol.apiserver.k8s.io/v1",
            "PriorityLevelConfiguration",
            spec={"type": "Limited", "limited": _LIMITED},
        ),
        field="spec.limited.nominalConcurrencyShares",
        patched=4,
        updated=6,
        subresources=("status",),
        condition="conditions",
    ),
    "ValidatingAdmissionPolicy": Operations(
        path=f"{_ADMISSION}/validatingadmissionpolicies",
        template=_kind(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            spec={"validations": [_VALIDATION], "matchConstraints": _MATCH},
        ),
        field="spec.failurePolicy",
        patched="Ignore",
        updated="Fail",
        subresources=("status",),
        condition="conditions",
    ),
    "ValidatingAdmissionPolicyBinding": Operations(
        path=f"{_ADMISSION}/validatingadmissionpolicybindings",
        template=_kind(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicyBinding",
            spec={**_BINDING, "validationActions": ["Deny"]},
        ),
        field="spec.validationActions",
        patched=["Warn"],
        updated=["Deny"],
    ),
    "MutatingAdmissionPolicy": Operations(
        path=f"{_ADMISSION}/mutatingadmissionpolicies",
        template=_kind(
            "admissionregistration.k8s.io/v1",
            "MutatingAdmissionPolicy",
            spec={"reinvocationPolicy": "Never", "mutations": [_MUTATION], "matchConstraints": _MATCH},
        ),
        field="spec.failurePolicy",
        patched="Ignore",
        updated="Fail",
    ),
    "MutatingAdmissionPolicyBinding": Operations(
        path=f"{_ADMISSION}/mutatingadmissionpolicybindings",
        template=_kind("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", spec=_BINDING),
    ),
    "RuntimeClass": Operations(
        path="/apis/node.k8s.io/v1/runtimeclasses",
        template=_kind("node.k8s.io/v1", "RuntimeClass", handler="e2e-handler"),
    ),
    "Ingress": Operations(
        path="/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
        template=_kind(
            "networking.k8s.io/v1",
            "Ingress",
            spec={"defaultBackend": {"service": {"name": "defaultbackend", "port": {"number": 80}}},
                  "rules": [{"host": "foo.bar.com", "http": {"paths": [_PREFIX]}}]},
            status={"loadBalancer": {}},
        ),
        subresources=("status",),
        field="spec.ingressClassName",
        patched="one",
        updated="two",
    ),
    "IngressClass": Operations(
        path="/apis/networking.k8s.io/v1/ingressclasses",
        template=_kind("networking.k8s.io/v1", "IngressClass", spec={"controller": "example.com/controller"}),
    ),
    "EndpointSlice": Operations(
        path="/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
        template=_kind(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            addressType="IPv4",
            endpoints=[{"addresses": ["1.2.3.4", "5.6.7.8"]}],
        ),
        field="endpoints",
        patched=[{"addresses": ["1.2.3.4"], "conditions": {"ready": True}}],
        updated=[{"addresses": ["5.6.7.8"], "conditions": {}}],
    ),
    "CSIStorageCapacity": Operations(
        path="/apis/storage.k8s.io/v1/namespaces/{}/csistoragecapacities",
        template=_kind("storage.k8s.io/v1", "CSIStorageCapacity", storageClassName="e2e"),
        field="capacity",
        patched="1Gi",
        updated="2Gi",
    ),
    "StorageClass": Operations(
        path="/apis/storage.k8s.io/v1/storageclasses",
        template=_kind("storage.k8s.io/v1", "StorageClass", provisioner="e2e-fake-provisioner"),
    ),
    "VolumeAttributesClass": Operations(
        path="/apis/storage.k8s.io/v1/volumeattributesclasses",
        template=_kind("storage.k8s.io/v1", "VolumeAttributesClass", driverName="e2e-fake", parameters={"a": "b"}),
    ),
    "CSIDriver": Operations(
        path="/apis/storage.k8s.io/v1/csidrivers",
        template=_kind("storage.k8s.io/v1", "CSIDriver", spec={"attachRequired": False}),
    ),
    "CSINode": Operations(
        path="/apis/storage.k8s.io/v1/csinodes",
        template=_kind("storage.k8s.io/v1", "CSINode", spec={"drivers": []}),
    ),
    "VolumeAttachment": Operations(
        path="/apis/storage.k8s.io/v1/volumeattachments",
        template=_kind(
            "storage.k8s.io/v1",
            "VolumeAttachment",
            spec={"attacher": "e2e-test.storage.example.com", "nodeName": "n", "source": {"persistentVolumeName": "pv"}},
        ),
        subresources=("status",),
        field="status.attached",
        patched=False,
        updated=False,
    ),
    "PodTemplate": Operations(
        path="/api/v1/namespaces/{}/podtemplates",
        template=_kind("v1", "PodTemplate", template={"spec": {"containers": [{"name": "nginx", "image": "nginx"}]}}),
    ),
    "LimitRange": Operations(
        path="/api/v1/namespaces/{}/limitranges",
        template=_kind("v1", "LimitRange", spec={"limits": [{"type": "Container", "min": {"cpu": "50m"}}]}),
    ),
    "NetworkPolicy": Operations(
        path="/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
        template=_kind(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={"podSelector": {"matchLabels": {"pod-name": "test-pod"}}, "ingress": [{"ports": [{"port": 80}]}]},
        ),
        field="spec.podSelector.matchLabels",
        patched={"pod-name": "other"},
        updated={"pod-name": "third"},
    ),
    "ServiceCIDR": Operations(
        path="/apis/networking.k8s.io/v1/servicecidrs",
        template=_kind("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.198.0.0/24"]}),
        subresources=("status",),
        condition="conditions",
    ),
    "PriorityClass": Operations(
        path="/apis/scheduling.k8s.io/v1/priorityclasses",
        template=_kind("scheduling.k8s.io/v1", "PriorityClass", value=1),
        field="description",
        patched="one",
        updated="two",
    ),
    "DeviceClass": Operations(
        path="/apis/resource.k8s.io/v1/deviceclasses",
        template=_kind(
            "resource.k8s.io/v1",
            "DeviceClass",
            spec={"selectors": [{"cel": {"expression": "device.driver == 'e2e.example.com'"}}]},
        ),
    ),
    "ResourceClaim": Operations(
        path="/apis/resource.k8s.io/v1/namespaces/{}/resourceclaims",
        template=_kind("resource.k8s.io/v1", "ResourceClaim", spec={"devices": {"requests": _REQUESTS}}),
        subresources=("status",),
    ),
    "ResourceClaimTemplate": Operations(
        path="/apis/resource.k8s.io/v1/namespaces/{}/resourceclaimtemplates",
        template=_kind("resource.k8s.io/v1", "ResourceClaimTemplate", spec={"spec": {"devices": {"requests": _REQUESTS}}}),
    ),
    "ResourceSlice": Operations(
        path="/apis/resource.k8s.io/v1/resourceslices",
        template=_kind(
            "resource.k8s.io/v1",
            "ResourceSlice",
            spec={"nodeName": "n", "driver": "e2e.example.com", "devices": [{"name": "d0"}],
                  "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}},
        ),
    ),
    "PersistentVolume": Operations(
        path="/api/v1/persistentvolumes",
        template=_kind(
            "v1",
            "PersistentVolume",
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/data"},
                  "storageClassName": "e2e", "persistentVolumeReclaimPolicy": "Retain"},
        ),
        field="spec.persistentVolumeReclaimPolicy",
        patched="Delete",
        updated="Retain",
        subresources=("status",),
    ),
    "PersistentVolumeClaim": Operations(
        path="/api/v1/namespaces/{}/persistentvolumeclaims",
        template=_kind(
            "v1",
            "PersistentVolumeClaim",
            spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "e2e",
                  "resources": {"requests": {"storage": "1Gi"}}},
        ),
        subresources=("status",),
        condition="conditions",
    ),
    "Lease": Operations(
        path="/apis/coordination.k8s.io/v1/namespaces/{}/leases",
        template=_kind(
            "coordination.k8s.io/v1",
            "Lease",
            spec={"holderIdentity": "holder", "leaseDurationSeconds": 30, "acquireTime": "2026-11-23T10:00:00.000000Z",
                  "renewTime": "2026-11-23T10:00:05.000000Z", "leaseTransitions": 0},
        ),
        field="spec.leaseDurationSeconds",
        patched=60,
        updated=50,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROWS)
def test_a_kind_supports_its_api_operations(api: Api, kind: str) -> None:
    walk(api, ROWS[kind])


def test_the_value_of_a_priority_class_stays(api: Api) -> None:
    """preemption.go: verify PriorityClass endpoints can be operated with different HTTP methods."""
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    made = api.post(path, {"metadata": {"name": f"p1-{api.namespace}"}, "value": 1}).ok()
    one = f"{path}/{made['metadata']['name']}"
    refused = api.patch("json", one, [{"op": "replace", "path": "/value", "value": 10}]).refused(422, "Invalid")
    assert "may not be changed in an update" in refused["message"]
    refused = api.put(one, {**made, "value": 10}).refused(422, "Invalid")
    assert "may not be changed in an update" in refused["message"]
    assert api.put(one, {**made, "description": "updated"}).ok()["description"] == "updated"
    api.delete(one).ok()


def test_addresses_are_written_and_deleted(api: Api) -> None:
    """service_cidrs.go: should support IPAddress API operations."""
    path, query = "/apis/networking.k8s.io/v1/ipaddresses", {"labelSelector": f"e2e={api.namespace}"}
    parent = {"resource": "services", "namespace": api.namespace, "name": "svc"}
    for number in range(3):
        metadata = {"name": f"10.199.7.{number}", "labels": {"e2e": api.namespace}}
        api.post(path, {"metadata": metadata, "spec": {"parentRef": parent}}).ok()
    one = f"{path}/10.199.7.0"
    found = api.patch("merge", one, {"metadata": {"annotations": {"patched": "true"}}}).ok()
    found["metadata"]["annotations"]["updated"] = "true"
    assert api.put(one, found).ok()["metadata"]["annotations"]["updated"] == "true"
    api.delete(one).ok()
    assert len(api.get(path, **query).names) == 2
    api.delete(path, **query).ok()
    assert api.get(path, **query).names == []


_CHANGED = {"metadata": {"annotations": {"patchedstatus": "true"}}}


@pytest.mark.parametrize("kept", [True, False])
def test_a_write_of_status_may_change_metadata_where_kubernetes_lets_it(api: Api, kept: bool) -> None:
    """ingress.go patches both; what flow schemas say of themselves is apart from their metadata."""
    row = ROWS["Ingress" if kept else "FlowSchema"]
    path = row.path.format(api.namespace)
    made = api.post(path, {**row.template, "metadata": {"name": f"status-{api.namespace}"}}).ok()
    one = f"{path}/{made['metadata']['name']}/status"
    balancer = {"status": {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}} if kept else {}
    patched = api.patch("merge", one, {**_CHANGED, **balancer}).ok()
    assert ("patchedstatus" in patched["metadata"].get("annotations", {})) == kept
    if kept:
        assert patched["status"]["loadBalancer"]["ingress"] == [{"ip": "169.1.1.1"}]
        patched["status"]["loadBalancer"]["ingress"] = [{"ip": "169.1.1.2"}]
        assert api.put(one, patched).ok()["status"] == patched["status"]
