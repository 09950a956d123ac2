"""Kubernetes' own end-to-end list of kubectl, where it needs no node: what the other files here do not ask already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_server import RunningGateway, deployment, pod, served

__all__ = ["served"]
TEMPLATE = {"metadata": {"labels": {"app": "agnhost"}}, "spec": {"containers": [{"name": "main", "image": "i"}]}}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "agnhost", "labels": {"app": "agnhost"}},
    "spec": {"replicas": 1, "selector": {"app": "agnhost"}, "template": TEMPLATE},
}


def _text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(map(json.dumps, objects))


def _map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


def test_apply_takes_over_what_was_created_and_tells_what_it_last_applied(served: RunningGateway) -> None:
    served.kubectl("create", "-f", "-", stdin=_text(CONTROLLER))
    said = served.kubectl("apply", "-f", "-", stdin=_text(CONTROLLER))
    assert "is missing the kubectl.kubernetes.io/last-applied-configuration annotation" in said.err
    two = {**CONTROLLER, "spec": {**CONTROLLER["spec"], "replicas": 2}}
    served.kubectl("apply", "set-last-applied", "-f", "-", stdin=_text(two))
    shown = served.kubectl("apply", "view-last-applied", "rc/agnhost", "-o", "json").json
    assert (shown["spec"]["replicas"], served.kubectl("get", "rc", "--no-headers").rows[0][1]) == (2, "1")
    assert "agnhost" in served.kubectl("describe", "rc", "agnhost").out


def test_a_service_keeps_its_port_when_it_is_applied_again(served: RunningGateway) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 6379}], "selector": {"app": "agnhost"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kept"}, "spec": spec}

    def port() -> str:
        return served.kubectl("get", "svc", "kept", "-o", "jsonpath={.spec.ports[0].nodePort}").out

    served.kubectl("apply", "-f", "-", stdin=_text(service))
    given = port()
    served.kubectl("apply", "-f", "-", stdin=_text({**service, "metadata": {"name": "kept", "labels": {"a": "b"}}}))
    assert int(given) >= 30000 and port() == given


def test_diff_shows_what_apply_would_change_and_changes_nothing(served: RunningGateway) -> None:
    served.kubectl("apply", "-f", "-", stdin=_text(deployment("diffed", replicas=2)))
    same = served.kubectl("diff", "-f", "-", stdin=_text(deployment("diffed", replicas=2)))
    assert same.out == ""
    found = served.kubectl("diff", "-f", "-", stdin=_text(deployment("diffed", replicas=3)), fails=True)
    assert found.code == 1 and "-  replicas: 2\n+  replicas: 3\n" in found.out
    found = served.kubectl(
        "diff",
        "--server-side",
        "--force-conflicts",
        "-f",
        "-",
        stdin=_text(deployment("diffed", image="j:2")),
        fails=True,
    )
    assert "+      - image: j:2" in found.out
    assert served.kubectl("get", "deploy", "diffed", "-o", "jsonpath={.spec.replicas}").out == "2"


def test_prune_and_apply_sets_delete_what_is_no_longer_applied(served: RunningGateway) -> None:
    served.kubectl("apply", "-f", "-", stdin=_text(_map("p1", prune="x")))
    said = served.kubectl(
        "apply", "-f", "-", "--prune", "-l", "prune=x", "-n", "default", stdin=_text(_map("p2", prune="x"))
    )
    assert "configmap/p1 pruned" in said.out
    args = ("apply", "-n", "default", "--prune", "--applyset=set", "-f", "-")
    command = {"KUBECTL_APPLYSET": "true"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(*next(iter(command.items())))
        served.kubectl(*args, stdin=_text(_map("s1"), _map("s2")))
        assert "configmap/s1 pruned" in served.kubectl(*args, stdin=_text(_map("s2"))).out
    labels = served.kubectl("get", "secret", "set", "-o", "jsonpath={.metadata.labels}").json
    assert labels["applyset.kubernetes.io/id"].startswith("applyset-")


def test_expose_run_label_patch_replace(served: RunningGateway) -> None:
    served.kubectl("apply", "-f", "-", stdin=_text(CONTROLLER))
    served.kubectl("expose", "rc", "agnhost", "--name=rm2", "--port=1234", "--target-port=6379")
    served.kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    ports = served.kubectl("get", "svc", "rm3", "-o", "jsonpath={.spec.ports}").json
    assert [(port["port"], port["targetPort"]) for port in ports] == [(2345, 6379)]
    served.kubectl("run", "pause", "--image=pause:1", "--labels=run=pause")
    served.kubectl("label", "pods", "pause", "testing-label=value")
    assert served.kubectl("get", "pod", "pause", "-L", "testing-label").rows[1][-1] == "value"
    served.kubectl("label", "pods", "pause", "testing-label-")
    assert "value" not in served.kubectl("get", "pod", "pause", "-L", "testing-label").out
    served.kubectl("patch", "pod", "pause", "--dry-run=server", "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    shown = served.kubectl("get", "pod", "pause", "-o", "json").json
    assert "x" not in shown["metadata"].get("annotations", {})
    shown["spec"]["containers"][0]["image"] = "pause:2"
    served.kubectl("replace", "-f", "-", stdin=json.dumps(shown))
    image = "jsonpath={.spec.containers[0].image}"
    assert served.kubectl("get", "pod", "pause", "-o", image).out == "pause:2"
    served.kubectl("replace", "--force", "-f", "-", stdin=_text(pod("pause")))
    assert served.kubectl("get", "pod", "pause", "-o", image).out == "busybox"


def test_quotas(served: RunningGateway) -> None:
    hard = "cpu=1,memory=1G,pods=2,services=3,replicationcontrollers=2,resourcequotas=1,secrets=5"
    served.kubectl("create", "namespace", "quotas")
    served.kubectl("create", "quota", "million", f"--hard={hard}", "-n", "quotas")
    shown = served.kubectl("get", "quota", "million", "-n", "quotas", "-o", "jsonpath={.spec.hard}").json
    assert shown == dict(pair.split("=") for pair in hard.split(","))
    served.kubectl("delete", "quota", "million", "-n", "quotas")
    served.kubectl("create", "quota", "scopes", "--hard=pods=10", "--scopes=BestEffort,NotTerminating", "-n", "quotas")
    refused = served.kubectl("create", "quota", "no", "--hard=pods=10", "--scopes=Foo", "-n", "quotas", fails=True).err
    assert 'spec.scopes[0]: Unsupported value: "Foo"' in refused


def test_roles_are_reconciled(served: RunningGateway) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
    role = {**kind, "metadata": {"name": "r", "namespace": "default"}, "rules": rules}
    served.kubectl("auth", "reconcile", "-f", "-", stdin=_text(role))
    more = {**role, "rules": [*rules, {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}]}
    served.kubectl("auth", "reconcile", "-f", "-", stdin=_text(more))
    kept = served.kubectl("get", "role", "r", "-o", "jsonpath={.rules}").json
    assert len(kept) == 2


def test_events_and_the_dump_of_a_cluster(served: RunningGateway) -> None:
    served.kubectl("apply", "-f", "-", stdin=_text(pod("talkative")))
    about = {"kind": "Pod", "name": "talkative", "namespace": "default", "apiVersion": "v1"}
    event = {"metadata": {"name": "talkative.1"}, "involvedObject": about, "reason": "Told", "type": "Warning"}
    times = {"firstTimestamp": "2026-11-23T10:00:00Z", "lastTimestamp": "2026-11-23T10:00:00Z"}
    served.make({"apiVersion": "v1", "kind": "Event", **event, "message": "so it is", **times}, "events")
    for args in (("--for", "pod/talkative"), ("--types=Warning",), ("-o", "json")):
        assert "so it is" in served.kubectl("events", *args).out
    assert "so it is" not in served.kubectl("events", "--types=Normal").out
    told = served.kubectl("cluster-info", "dump", "--namespaces=default").out
    assert '"kind": "PodList"' in told and '"kind": "EventList"' in told


def test_generators_of_kinds(served: RunningGateway) -> None:
    for words, where in (
        (("ingress", "i", "--rule=foo.com/bar=svc:80"), "jsonpath={.spec.rules[0].host}"),
        (("poddisruptionbudget", "p", "--selector=a=b", "--min-available=1"), "jsonpath={.spec.minAvailable}"),
        (("priorityclass", "high", "--value=1000"), "jsonpath={.value}"),
        (("cronjob", "c", "--image=i", "--schedule=* * * * *"), "jsonpath={.spec.schedule}"),
        (("job", "j", "--from=cronjob/c"), "jsonpath={.spec.completions}"),
        (("service", "nodeport", "n", "--tcp=80:8080"), "jsonpath={.spec.type}"),
    ):
        served.kubectl("create", *words)
        kind, name = words[0], words[2] if words[1] == "nodeport" else words[1]
        assert served.kubectl("get", kind, name, "-o", where).out, words
