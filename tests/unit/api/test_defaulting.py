import pytest

from actors.api.defaulting import default, default_pull_policy, qos_class


def pod(spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def job(**spec):
    template = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "uid": "u1"},
        "spec": {"template": template, **spec},
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("127.0.0.1:5000/a", "Always"),
        ("127.0.0.1:5000/a:1", "IfNotPresent"),
        ("a@sha256:00", "IfNotPresent"),
        ("host", "IfNotPresent"),
    ],
)
def test_pull_policy_by_tag(image, policy):
    assert default_pull_policy(image) == policy


def test_a_minimal_pod():
    spec = default(pod({"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}]}))["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_requests_come_from_limits():
    resources = {"limits": {"cpu": "2", "nvidia.com/gpu": "1"}, "requests": {"cpu": "1"}}
    container = default(pod({"containers": [{"name": "c", "image": "i", "resources": resources}]}))["spec"][
        "containers"
    ][0]
    assert container["resources"]["requests"] == {"cpu": "1", "nvidia.com/gpu": "1"}
    assert resources["requests"] == {"cpu": "1"}


def test_a_job_gets_its_selector_from_its_uid():
    spec = default(job())["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}
    assert spec["template"]["metadata"]["labels"]["job-name"] == "j"


def test_a_work_queue_job_keeps_completions_unset():
    assert "completions" not in default(job(parallelism=3))["spec"]


def test_string_data_becomes_data():
    secret = default({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": {"a": "hi"}})
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "aGk="}, "Opaque", False)


def test_host_network_publishes_container_ports():
    spec = default(
        pod({"hostNetwork": True, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]})
    )["spec"]
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
    ],
)
def test_qos(resources, expected):
    assert qos_class({"containers": [{"resources": resources}]}) == expected


@pytest.mark.parametrize(
    "obj", [pod({"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v"}]}), job(), {"kind": "Foo"}]
)
def test_defaulting_twice_changes_nothing(obj):
    once = default(obj)
    assert default(once) == once


@pytest.mark.parametrize(
    "spec",
    [{"containers": 3}, {"containers": [1]}, {"volumes": "x"}, {"tolerations": {}}, {"containers": [{"resources": 1}]}],
)
def test_nonsense_is_left_for_validation(spec):
    default(pod(spec))


def test_a_template_leaves_some_defaults_to_its_pods():
    ports, limits = [{"containerPort": 80}], {"cpu": "1"}
    spec = {
        "hostNetwork": True,
        "containers": [{"name": "c", "image": "i", "ports": ports, "resources": {"limits": limits}}],
    }
    pod = default({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})["spec"]
    made = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}}
    deployment = default({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": made})
    template = deployment["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is True and "enableServiceLinks" not in template
    assert (pod["containers"][0]["resources"], template["containers"][0]["resources"]) == (
        {"limits": limits, "requests": limits},
        {"limits": limits},
    )
    assert (pod["containers"][0]["ports"][0]["hostPort"], "hostPort" in template["containers"][0]["ports"][0]) == (
        80,
        False,
    )


@pytest.mark.parametrize(
    ("api_version", "kind", "obj", "path"),
    [
        ("v1", "Service", {"spec": {}}, "status.loadBalancer"),
        ("networking.k8s.io/v1", "Ingress", {"spec": {}}, "status.loadBalancer"),
        ("batch/v1", "CronJob", {"spec": {}}, "spec.jobTemplate.metadata"),
        ("v1", "Event", {"involvedObject": {}}, "source"),
    ],
)
def test_sections_that_go_servers_always_send(api_version, kind, obj, path):
    """Clients read on in them (`service.status.load_balancer.ingress`) without asking whether they are there."""
    found = default({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **obj})
    for name in path.split("."):
        found = found[name]
    assert found == {}
