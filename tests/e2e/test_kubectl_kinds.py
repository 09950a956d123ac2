"""Every kind through real clients: kubectl creates, shows, explains and deletes it; the generators send protobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from gateway_server import RunningGateway, served
from kubernetes import client, config

from actors.api.kinds import KINDS, SERVED

__all__ = ["served"]

MANIFESTS = Path(__file__).parents[1] / "manifests/every_kind.yaml"


@pytest.fixture(scope="module")
def filled(served: RunningGateway) -> Iterator[RunningGateway]:
    """With one object of every kind."""
    served.kubectl("create", "-f", str(MANIFESTS))
    yield served
    served.kubectl("delete", "-f", str(MANIFESTS), "--wait=false")


def test_api_resources_are_those_of_the_table(served: RunningGateway) -> None:
    names = {line.split()[0] for line in served.kubectl("api-resources", "-o", "name").out.splitlines()}
    assert {kind.resource for kind in SERVED} <= names
    wide = served.kubectl("api-resources", "--api-group=apps", "--no-headers", "-o", "wide").rows
    verbs = "create,delete,deletecollection,get,list,patch,update,watch"
    assert ["statefulsets", "sts", "apps/v1", "true", "StatefulSet", verbs, "all"] in wide
    assert (
        served.kubectl("get", "sts,ds,cj,hpa,pdb,ing,netpol,pvc,quota,limits,sc,pv,csr", "--ignore-not-found").code == 0
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource)
def test_kubectl_shows_every_kind(filled: RunningGateway, kind: object) -> None:
    table = filled.kubectl("get", kind.resource, "-o", "wide", "--ignore-not-found").rows  # type: ignore[attr-defined]
    assert not table or table[0][0] in ("NAME", "LAST")
    listed = filled.kubectl("get", kind.resource, "-o", "json").json  # type: ignore[attr-defined]
    assert all(item["kind"] == kind.kind for item in listed["items"])  # type: ignore[attr-defined]


def test_kubectl_explains_fields_of_every_group(served: RunningGateway) -> None:
    for path in ("statefulset.spec.updateStrategy", "cronjob.spec", "pdb.spec", "ingress.spec.rules", "hpa.spec.metrics",
                 "storageclass", "resourceclaim.spec.devices", "flowschema.spec", "apiservice.spec", "csr.spec",
                 "validatingadmissionpolicy.spec", "clusterrole.rules", "endpointslice.endpoints"):  # fmt: skip
        assert "FIELDS:" in served.kubectl("explain", path).out
    old = served.kubectl("explain", "hpa.spec", "--api-version=autoscaling/v1").out
    assert "targetCPUUtilizationPercentage" in old
    assert 'field "nope" does not exist' in served.kubectl("explain", "pdb.spec.nope", fails=True).err


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (["cronjob", "gen", "--image=i", "--schedule=*/5 * * * *"], "cronjob.batch/gen"),
        (["role", "gen", "--verb=get,list", "--resource=pods,deployments.apps"], "role.rbac.authorization.k8s.io/gen"),
        (["rolebinding", "gen", "--role=gen", "--user=ann", "--serviceaccount=default:x"], "rolebinding.rbac.authorization.k8s.io/gen"),
        (["clusterrole", "gen", "--verb=get", "--non-resource-url=/metrics"], "clusterrole.rbac.authorization.k8s.io/gen"),
        (["clusterrolebinding", "gen", "--clusterrole=gen", "--group=dev"], "clusterrolebinding.rbac.authorization.k8s.io/gen"),
        (["quota", "gen", "--hard=cpu=1,pods=2", "--scopes=NotBestEffort"], "resourcequota/gen"),
        (["pdb", "gen", "--selector=app=x", "--min-available=1"], "poddisruptionbudget.policy/gen"),
        (["ingress", "gen", "--rule=foo.com/bar*=svc:8080,tls=cert", "--class=c"], "ingress.networking.k8s.io/gen"),
        (["service", "nodeport", "gen-np", "--tcp=80:8080"], "service/gen-np"),
        (["service", "loadbalancer", "gen-lb", "--tcp=80:8080"], "service/gen-lb"),
        (["service", "externalname", "gen-en", "--external-name=example.com"], "service/gen-en"),
        (["service", "clusterip", "gen-hl", "--clusterip=None"], "service/gen-hl"),
    ],
)  # fmt: skip
def test_create_generators(served: RunningGateway, args: list[str], shown: str) -> None:
    assert served.kubectl("create", *args).out == f"{shown} created\n"


def test_autoscale_expose_and_scale(served: RunningGateway) -> None:
    served.kubectl("create", "deployment", "front", "--image=i", "--replicas=0")
    assert "autoscaled" in served.kubectl("autoscale", "deployment", "front", "--max=3", "--cpu=70%").out
    metric = served.kubectl("get", "hpa", "front", "-o", "json").json["spec"]["metrics"][0]["resource"]
    assert metric == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert "exposed" in served.kubectl("expose", "deployment", "front", "--port=80").out
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    for kind, version, selector in (
        ("StatefulSet", "apps/v1", {"matchLabels": {"a": "b"}}),
        ("ReplicationController", "v1", {"a": "b"}),
    ):
        spec = {"replicas": 0, "selector": selector, "template": template}
        obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "scaled"}, "spec": spec}
        served.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        served.kubectl("scale", kind, "scaled", "--replicas=2", "--current-replicas=0")
        assert served.kubectl("get", kind, "scaled", "-o", "jsonpath={.spec.replicas}").out == "2"


def test_one_autoscaler_in_two_versions(filled: RunningGateway) -> None:
    old = filled.kubectl("get", "--raw", "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/sample").json
    assert old["apiVersion"] == "autoscaling/v1" and old["spec"]["maxReplicas"] == 4
    assert "metrics" not in old["spec"]
    patch = '{"spec":{"targetCPUUtilizationPercentage":33}}'
    filled.kubectl("patch", "horizontalpodautoscalers.v1.autoscaling", "sample", "--type=merge", "-p", patch)
    new = filled.kubectl("get", "horizontalpodautoscalers.v2.autoscaling", "sample", "-o", "json").json
    assert [metric["resource"]["name"] for metric in new["spec"]["metrics"]] == ["cpu", "memory"]
    assert "33%" in filled.kubectl("get", "horizontalpodautoscalers.v1.autoscaling", "sample").out


def test_one_event_in_two_groups(filled: RunningGateway) -> None:
    core = filled.kubectl("get", "--raw", "/api/v1/namespaces/default/events/sample").json
    assert (core["message"], core["involvedObject"]["kind"]) == ("an event by its new names", "ConfigMap")
    told = filled.kubectl("get", "events.events.k8s.io", "--field-selector", "regarding.name=sample", "-o", "json").json
    assert [item["note"] for item in told["items"]] == ["an event by its new names"]
    assert "Sampled" in filled.kubectl("get", "events.events.k8s.io").out
    assert "Sampled" in filled.kubectl("events", "--for", "configmap/sample").out


def test_apply_on_both_sides_of_every_kind(filled: RunningGateway) -> None:
    args = ("apply", "--server-side", "--force-conflicts", "--field-manager=me", "-f", str(MANIFESTS))
    rows = filled.kubectl(*args, timeout_seconds=90).rows
    assert len(rows) == len(list(yaml.safe_load_all(MANIFESTS.read_text())))
    unknown = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: z}\nspec: {minAvailabel: 1}\n"
    assert 'unknown field "spec.minAvailabel"' in filled.kubectl("create", "-f", "-", stdin=unknown, fails=True).err
    loose = filled.kubectl("create", "--validate=warn", "-f", "-", stdin=unknown)
    assert 'unknown field "spec.minAvailabel"' in loose.err


def test_bad_fields_are_told_by_name(served: RunningGateway) -> None:
    bad = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "bad"},
        "spec": {"schedule": "61 * * * *", "concurrencyPolicy": "Never", "jobTemplate": {"spec": {"template": {}}}},
    }
    told = served.kubectl("create", "-f", "-", stdin=json.dumps(bad), fails=True).err
    for field in ("spec.schedule", "spec.concurrencyPolicy", "spec.jobTemplate.spec.template.spec.containers"):
        assert f"* {field}: " in told


def test_the_python_client_reads_typed_models(filled: RunningGateway) -> None:
    with config.new_client_from_config(str(filled.gateway.kubeconfig)) as api:
        assert client.AppsV1Api(api).read_namespaced_stateful_set("sample", "default").spec.pod_management_policy
        assert client.BatchV1Api(api).list_namespaced_cron_job("default").items[0].spec.job_template.spec
        assert client.EventsV1Api(api).read_namespaced_event("sample", "default").regarding.name == "sample"
        assert client.AutoscalingV1Api(api).read_namespaced_horizontal_pod_autoscaler("sample", "default").spec
        hook = client.AdmissionregistrationV1Api(api).read_validating_webhook_configuration("sample").webhooks[0]
        assert (hook.timeout_seconds, hook.match_policy) == (10, "Equivalent")
        claim = client.ResourceV1Api(api).read_namespaced_resource_claim("sample", "default")
        assert claim.spec.devices.requests[0].exactly.count == 1
        scale = client.AppsV1Api(api).read_namespaced_stateful_set_scale("sample", "default")
        assert (scale.spec.replicas, scale.status.selector) == (0, "app=db")
        binding = client.V1Binding(metadata=client.V1ObjectMeta(name="gone"), target=client.V1ObjectReference(name="n"))
        with pytest.raises(client.ApiException) as refused:
            client.CoreV1Api(api).create_namespaced_binding("default", binding)
        assert refused.value.status == 404
