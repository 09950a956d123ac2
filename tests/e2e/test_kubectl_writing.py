"""kubectl, unmodified, writes: create in JSON and protobuf, apply both ways, patch, scale, delete, wait, rollout."""

from __future__ import annotations

import json
import threading

import pytest
from gateway_server import Output, RunningGateway, deployment, pod, running_status, served

__all__ = ["served"]


def _apply(served: RunningGateway, obj: dict[str, object], *args: str, fails: bool = False) -> Output:
    return served.kubectl("apply", "-f", "-", *args, stdin=json.dumps(obj), fails=fails)


def _get(served: RunningGateway, kind: str, name: str) -> dict[str, object]:
    shown: dict[str, object] = served.kubectl("get", kind, name, "-o", "json").json
    return shown


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (["configmap", "made", "--from-literal=a=b"], "configmap/made created"),
        (["secret", "generic", "made", "--from-literal=a=b"], "secret/made created"),
        (["secret", "docker-registry", "reg", "--docker-username=u", "--docker-password=p"], "secret/reg created"),
        (["namespace", "made"], "namespace/made created"),
        (["serviceaccount", "made"], "serviceaccount/made created"),
        (["deployment", "made", "--image=nginx", "--replicas=3", "--port=80"], "deployment.apps/made created"),
        (["job", "made", "--image=busybox", "--", "sh", "-c", "true"], "job.batch/made created"),
        (["service", "clusterip", "made", "--tcp=80:8080"], "service/made created"),
        (["priorityclass", "made", "--value=7"], "priorityclass.scheduling.k8s.io/made created"),
    ],
)
def test_create_generators_send_protobuf(served: RunningGateway, args: list[str], shown: str) -> None:
    assert served.kubectl("create", *args).out == shown + "\n"
    assert "already exists" in served.kubectl("create", *args, fails=True).err


def test_what_protobuf_said_is_what_is_stored(served: RunningGateway) -> None:
    served.kubectl("create", "deployment", "pb", "--image=nginx:7", "--replicas=0", "--port=80")
    spec = _get(served, "deployment", "pb")["spec"]
    assert isinstance(spec, dict)
    assert (spec["replicas"], spec["strategy"]["type"]) == (0, "RollingUpdate")
    container = spec["template"]["spec"]["containers"][0]
    assert (container["image"], container["ports"]) == ("nginx:7", [{"containerPort": 80, "protocol": "TCP"}])
    served.kubectl("create", "secret", "generic", "pb", "--from-literal=k=value")
    assert _get(served, "secret", "pb")["data"] == {"k": "dmFsdWU="}


def test_client_side_apply(served: RunningGateway) -> None:
    obj = deployment("applied")
    assert _apply(served, obj).out == "deployment.apps/applied created\n"
    assert _apply(served, obj).out == "deployment.apps/applied unchanged\n"
    changed = deployment("applied", replicas=5, image="nginx:2")
    difference = served.kubectl("diff", "-f", "-", stdin=json.dumps(changed), fails=True)
    assert (difference.code, "+  replicas: 5" in difference.out) == (1, True)
    assert _apply(served, changed, "--dry-run=server").out == "deployment.apps/applied configured (server dry run)\n"
    assert _apply(served, changed).out == "deployment.apps/applied configured\n"
    spec = _get(served, "deployment", "applied")["spec"]
    assert isinstance(spec, dict)
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (5, "nginx:2")


def test_server_side_apply(served: RunningGateway) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, "data": {"a": "1", "b": "2"}}
    assert _apply(served, obj, "--server-side").out == "configmap/ssa serverside-applied\n"
    other = {**obj, "data": {"a": "3"}}
    conflict = _apply(served, other, "--server-side", "--field-manager=other", fails=True)
    assert "conflict" in conflict.err
    _apply(served, other, "--server-side", "--field-manager=other", "--force-conflicts")
    assert _get(served, "cm", "ssa")["data"] == {"a": "3", "b": "2"}
    _apply(served, {name: value for name, value in obj.items() if name != "data"}, "--server-side")
    assert _get(served, "cm", "ssa")["data"] == {"a": "3"}


def test_create_from_file_refuses_unknown_fields(served: RunningGateway) -> None:
    wrong = pod("wrong")
    wrong["spec"]["containers"][0]["imag"] = "typo"
    refused = served.kubectl("create", "-f", "-", stdin=json.dumps(wrong), fails=True)
    assert 'strict decoding error: unknown field "spec.containers[0].imag"' in refused.err
    warned = served.kubectl("create", "--validate=warn", "-f", "-", stdin=json.dumps(wrong))
    assert 'Warning: unknown field "spec.containers[0].imag"' in warned.err
    assert served.kubectl("create", "-f", "-", stdin=json.dumps(pod("right"))).out == "pod/right created\n"


def test_a_list_is_validated_and_applied(served: RunningGateway) -> None:
    """kubectl knows the kind List from no document of version 3: it asks for version 2 in protobuf."""
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-list-{n}"}} for n in (1, 2)]
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    made = served.kubectl("apply", "-f", "-", stdin=json.dumps(listed)).out
    assert made == "configmap/of-list-1 created\nconfigmap/of-list-2 created\n"
    items[1]["dada"] = {}
    refused = served.kubectl("apply", "-f", "-", stdin=json.dumps(listed), fails=True).err
    assert 'unknown field "dada" in io.k8s.api.core.v1.ConfigMap' in refused


def test_invalid_objects_name_every_field(served: RunningGateway) -> None:
    wrong = pod("Bad_Name")
    wrong["spec"]["containers"][0]["imagePullPolicy"] = "Sometimes"
    refused = served.kubectl("create", "-f", "-", stdin=json.dumps(wrong), fails=True).err
    assert "metadata.name" in refused
    assert "imagePullPolicy" in refused


def test_label_annotate_patch_set_edit(served: RunningGateway) -> None:
    _apply(served, deployment("patched"))
    assert served.kubectl("label", "deploy", "patched", "a=b").out == "deployment.apps/patched labeled\n"
    assert served.kubectl("annotate", "deploy", "patched", "c=d").out == "deployment.apps/patched annotated\n"
    served.kubectl("label", "deploy", "patched", "a-")
    served.kubectl("set", "image", "deploy/patched", "main=nginx:9")
    served.kubectl("set", "env", "deploy/patched", "X=1")
    served.kubectl("patch", "deploy", "patched", "--type=merge", "-p", '{"spec":{"paused":true}}')
    served.kubectl(
        "patch", "deploy", "patched", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":4}]'
    )
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}'
    served.kubectl("patch", "deploy", "patched", "-p", strategic)
    shown = _get(served, "deployment", "patched")
    metadata, spec = shown["metadata"], shown["spec"]
    assert isinstance(metadata, dict) and isinstance(spec, dict)
    assert "a" not in metadata.get("labels", {}) and metadata["annotations"]["c"] == "d"
    assert (spec["paused"], spec["replicas"]) == (True, 4)
    containers = {c["name"]: c for c in spec["template"]["spec"]["containers"]}
    assert (containers["main"]["image"], containers["main"]["env"]) == ("nginx:9", [{"name": "X", "value": "1"}])
    assert "side" in containers


def test_scale(served: RunningGateway) -> None:
    _apply(served, deployment("scaled"))
    assert served.kubectl("scale", "deploy", "scaled", "--replicas=4").out == "deployment.apps/scaled scaled\n"
    served.kubectl("scale", "deploy", "scaled", "--current-replicas=4", "--replicas=0")
    refused = served.kubectl("scale", "deploy", "scaled", "--current-replicas=4", "--replicas=1", fails=True)
    assert "Expected replicas to be 4, was 0" in refused.err
    assert served.kubectl("get", "deploy", "scaled", "-o", "jsonpath={.spec.replicas}").out == "0"


def test_rollout_status_follows_the_deployment(served: RunningGateway) -> None:
    _apply(served, deployment("rolled"))
    following = served.start_kubectl("rollout", "status", "deploy/rolled", "--timeout=20s")
    generation = served.kubectl("get", "deploy", "rolled", "-o", "jsonpath={.metadata.generation}").out
    status = {"observedGeneration": int(generation), "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    served.set_status("deployments.apps", "default", "rolled", status)
    out, err = following.communicate(timeout=30)
    assert (following.returncode, err) == (0, "")
    assert 'deployment "rolled" successfully rolled out' in out
    assert "restarted" in served.kubectl("rollout", "restart", "deploy/rolled").out


def test_wait(served: RunningGateway) -> None:
    served.kubectl("run", "waited", "--image=busybox")
    waiting = served.start_kubectl("wait", "--for=condition=Ready", "pod/waited", "--timeout=20s")
    served.place("waited", "n1")
    served.set_status("pods", "default", "waited", running_status())
    assert waiting.communicate(timeout=30)[0] == "pod/waited condition met\n"
    path = "--for=jsonpath={.status.phase}=Running"
    assert "condition met" in served.kubectl("wait", path, "pod/waited", "--timeout=5s").out
    assert "timed out" in served.kubectl("wait", "--for=condition=Nope", "pod/waited", "--timeout=1s", fails=True).err


def test_delete_waits_until_the_node_confirms(served: RunningGateway) -> None:
    served.kubectl("run", "stopped", "--image=busybox")
    served.place("stopped", "n1")
    served.set_status("pods", "default", "stopped", running_status())
    deleting = served.start_kubectl("delete", "pod", "stopped", "--timeout=20s")
    seen = threading.Event()
    while not seen.wait(0.1):
        if served.kubectl("get", "pod", "stopped", "--no-headers").rows[0][2] == "Terminating":
            seen.set()
    assert deleting.poll() is None
    served.confirm_gone("stopped")
    out, _ = deleting.communicate(timeout=30)
    assert (deleting.returncode, out) == (0, 'pod "stopped" deleted from default namespace\n')


def test_delete_by_selector_and_force(served: RunningGateway) -> None:
    for name in ("d1", "d2"):
        served.make(pod(name, labels={"kill": "yes"}), "pods")
    assert served.kubectl("delete", "pods", "-l", "kill=yes").out.count("deleted") == 2
    served.kubectl("run", "forced", "--image=busybox")
    served.place("forced", "n1")
    served.kubectl("delete", "pod", "forced", "--force", "--grace-period=0")
    assert "NotFound" in served.kubectl("get", "pod", "forced", fails=True).err
    assert "NotFound" in served.kubectl("delete", "pod", "forced", fails=True).err


def test_dry_run_stores_nothing(served: RunningGateway) -> None:
    made = served.kubectl("create", "configmap", "dry", "--dry-run=server", "-o", "name")
    assert made.out == "configmap/dry\n"
    assert "NotFound" in served.kubectl("get", "cm", "dry", fails=True).err
    served.kubectl("create", "configmap", "kept")
    served.kubectl("delete", "cm", "kept", "--dry-run=server")
    assert served.kubectl("get", "cm", "kept", "-o", "name").out == "configmap/kept\n"


def test_replace_conflicts_on_an_old_revision(served: RunningGateway) -> None:
    served.kubectl("create", "configmap", "raced", "--from-literal=a=1")
    old = served.kubectl("get", "cm", "raced", "-o", "json").out
    served.kubectl("label", "cm", "raced", "x=y")
    refused = served.kubectl("replace", "-f", "-", stdin=old, fails=True)
    assert "the object has been modified; please apply your changes to the latest version and try again" in refused.err


def test_namespaces_end(served: RunningGateway) -> None:
    served.kubectl("create", "namespace", "ending")
    served.kubectl("delete", "ns", "ending", "--wait=false")
    assert served.kubectl("get", "ns", "ending").rows[1][1] == "Terminating"
    refused = served.kubectl("create", "configmap", "late", "-n", "ending", fails=True)
    assert "because it is being terminated" in refused.err
    assert 'namespaces "nowhere" not found' in served.kubectl("create", "cm", "x", "-n", "nowhere", fails=True).err


def test_cordon_taint_drain(served: RunningGateway) -> None:
    served.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worn"}}, "nodes", "")
    assert served.kubectl("taint", "node", "worn", "k=v:NoSchedule").out == "node/worn tainted\n"
    served.kubectl("run", "moved", "--image=busybox")
    served.place("moved", "worn")
    draining = served.start_kubectl("drain", "worn", "--force", "--timeout=20s", "--grace-period=1")
    gone = threading.Event()
    while not gone.wait(0.2):
        shown = served.kubectl("get", "pod", "moved", "-o", "jsonpath={.metadata.deletionTimestamp}").out
        if shown:
            gone.set()
    served.confirm_gone("moved")
    out, _ = draining.communicate(timeout=30)
    assert (draining.returncode, "node/worn drained" in out) == (0, True)
    assert "SchedulingDisabled" in served.kubectl("get", "node", "worn").out
    assert served.kubectl("uncordon", "worn").out == "node/worn uncordoned\n"


def test_a_kind_that_is_not_served_is_named(served: RunningGateway) -> None:
    nowhere = {"apiVersion": "apps/v1", "kind": "StatefulSett", "metadata": {"name": "a"}}
    assert 'no matches for kind "StatefulSett" in version "apps/v1"' in _apply(served, nowhere, fails=True).err
