import copy

import pytest

from actors.api.defaulting import default
from actors.api.errors import Invalid
from actors.api.validation import CAUSES_MAX, check, validate


def pod(name="p", metadata=None, **spec):
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return default({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})}, "spec": spec})


def container(**fields):
    return pod(containers=[{"name": "c", "image": "i", **fields}])


def deployment(**spec):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return default({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})


def fields(obj, old=None):
    return [cause.field for cause in validate(obj, old)]


@pytest.mark.parametrize(
    "obj", [pod(), container(resources={"limits": {"cpu": "1"}}), deployment(), pod(name="a.b-c.0")]
)
def test_good_objects_pass(obj):
    assert validate(obj) == []


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        (pod(name=""), "metadata.name"),
        (pod(name="Upper"), "metadata.name"),
        (pod(name="a/../b"), "metadata.name"),
        (pod(name="x" * 254), "metadata.name"),
        (pod(metadata={"labels": {"a b": "c"}}), "metadata.labels"),
        (pod(metadata={"labels": {"a": "x" * 64}}), "metadata.labels"),
        (pod(metadata={"annotations": {"a": "x" * 300_000}}), "metadata.annotations"),
        (pod(containers=[]), "spec.containers"),
        (container(resources={"requests": {"gpus": "1"}}), "spec.containers[0].resources.requests[gpus]"),
        (
            pod(tolerations=[{"key": "a", "tolerationSeconds": 1, "effect": "NoSchedule"}]),
            "spec.tolerations[0].effect",
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "n"},
                "spec": {"taints": [{"key": "_", "effect": "NoSchedule"}]},
            },
            "spec.taints[0].key",
        ),
        (container(name="Bad_Name"), "spec.containers[0].name"),
        (container(image=""), "spec.containers[0].image"),
        (container(imagePullPolicy="Sometimes"), "spec.containers[0].imagePullPolicy"),
        (container(resources={"requests": {"cpu": "-1"}}), "spec.containers[0].resources.requests[cpu]"),
        (container(resources={"requests": {"memory": "lots"}}), "spec.containers[0].resources.requests[memory]"),
        (
            container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            "spec.containers[0].resources.requests",
        ),
        (
            container(resources={"limits": {"example.com/a": "0.5"}, "requests": {"example.com/a": "0.5"}}),
            "spec.containers[0].resources.limits[example.com/a]",
        ),
        (container(ports=[{"containerPort": 0}]), "spec.containers[0].ports[0].containerPort"),
        (container(env=[{"name": "A=B"}]), "spec.containers[0].env[0].name"),
        (container(volumeMounts=[{"name": "v", "mountPath": "/x"}]), "spec.containers[0].volumeMounts[0].name"),
        (pod(restartPolicy="Maybe"), "spec.restartPolicy"),
        (pod(nodeName="nope/nope"), "spec.nodeName"),
        (pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds"),
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/a/../b"}}]), "spec.volumes[0].hostPath.path"),
        (pod(tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]), "spec.tolerations[0].operator"),
        (deployment(replicas=-1), "spec.replicas"),
        (deployment(selector={"matchLabels": {"a": "c"}}), "spec.template.metadata.labels"),
        (
            deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
    ],
)
def test_each_bad_field_is_named(obj, field):
    assert fields(obj)[:1] == [field]
    assert len(fields(obj)) == 1 or "example.com" in field


def test_two_containers_of_one_name():
    twice = pod(containers=[{"name": "c", "image": "i"}, {"name": "c", "image": "i"}])
    assert fields(twice) == ["spec.containers[1].name"]


def test_a_host_port_claimed_twice():
    ports = [{"containerPort": 80, "hostPort": 80}]
    twice = pod(containers=[{"name": "a", "image": "i", "ports": ports}, {"name": "b", "image": "i", "ports": ports}])
    assert fields(twice) == ["spec.containers[1].ports[0].hostPort"]


def test_every_bad_field_at_once_in_kubernetes_words():
    with pytest.raises(Invalid) as caught:
        check(pod(name="X", containers=[{"name": "c"}]))
    assert caught.value.message.startswith(
        'Pod "X" is invalid: [metadata.name: Invalid value: "X": a lowercase RFC 1123'
    )
    assert "spec.containers[0].image: Required value" in caught.value.message
    assert len(caught.value.causes) == 2


def test_a_pod_may_change_its_image_and_little_else():
    old = pod()
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "j"
    new["spec"]["tolerations"] = [{"key": "k", "operator": "Exists"}]
    assert validate(new, old) == []
    new["spec"]["containers"][0]["command"] = ["x"]
    assert fields(new, old) == ["spec"]


def test_a_selector_is_immutable():
    old, new = deployment(), deployment()
    new["spec"]["selector"] = {"matchLabels": {"x": "y"}}
    new["spec"]["template"]["metadata"]["labels"]["x"] = "y"
    assert fields(new, old) == ["spec.selector"]


def test_a_job_runs_never_or_on_failure():
    job = default(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
        }
    )
    assert fields(job) == ["spec.template.spec.restartPolicy"]


def test_an_indexed_job_has_a_bound():
    job = default(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j"},
            "spec": {
                "completionMode": "Indexed",
                "completions": 100_000,
                "parallelism": 100_000,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}},
            },
        }
    )
    assert fields(job) == []
    job["spec"]["parallelism"] += 1
    assert fields(job) == ["spec.parallelism"]


def test_config_map_keys():
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a/b": "", "..": "", "ok": ""}}
    assert fields(bad) == ["data[a/b]", "data[..]"]


def test_more_problems_than_anybody_reads_are_not_all_looked_for():
    bad = pod(containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 0}] * 2 * CAUSES_MAX}])
    with pytest.raises(Invalid) as refused:
        check(bad)
    *told, more = refused.value.causes
    assert len(told) == CAUSES_MAX and told[-1].field.startswith("spec.containers[0].ports[")
    assert (more.field, more.message) == ("", "there are more: only the first 1000 are told")
    assert refused.value.message.endswith(", there are more: only the first 1000 are told]")
