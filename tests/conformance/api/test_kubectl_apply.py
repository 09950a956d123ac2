"""The real kubectl applies client-side and server-side, and switches from one to the other and back."""

from __future__ import annotations

import json
from typing import Any

from gateway_server import RunningGateway, deployment

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _apply(served: RunningGateway, obj: Any, *args: str, fails: bool = False) -> str:
    done = served.kubectl("apply", "-f", "-", *args, stdin=json.dumps(obj), fails=fails)
    return done.err if fails else done.out


def _shown(served: RunningGateway, name: str) -> Any:
    return served.kubectl("get", name, "-o", "json", "--show-managed-fields").json


def _map(name: str, **data: str) -> Any:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _managers(obj: Any) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in obj["metadata"]["managedFields"]}


def test_from_client_side_to_server_side_and_back(served: RunningGateway) -> None:
    assert _apply(served, _map("there", a="1", b="1", c="1")) == "configmap/there created\n"
    assert _managers(_shown(served, "cm/there")) == {("kubectl-client-side-apply", "Update")}
    assert _apply(served, _map("there", a="2", b="1"), "--server-side") == "configmap/there serverside-applied\n"
    there = _shown(served, "cm/there")
    assert there["data"] == {"a": "2", "b": "1"}
    assert ("kubectl", "Apply") in _managers(there)
    assert not any(manager == "kubectl-client-side-apply" for manager, _ in _managers(there))
    last = json.loads(there["metadata"]["annotations"][LAST_APPLIED])
    assert last["data"] == {"a": "2", "b": "1"}
    assert _apply(served, _map("there", a="3")) == "configmap/there configured\n"
    assert _shown(served, "cm/there")["data"] == {"a": "3"}


def test_a_deployment_switches_without_losing_what_others_set(served: RunningGateway) -> None:
    obj = deployment("switch")
    _apply(served, obj)
    served.kubectl("scale", "deploy/switch", "--replicas=7")
    served.kubectl("set", "env", "deploy/switch", "ADDED=1")
    changed = deployment("switch", image="nginx:2")
    del changed["spec"]["replicas"]
    _apply(served, changed, "--server-side", "--force-conflicts")
    shown = _shown(served, "deploy/switch")
    container = shown["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("nginx:2", [{"name": "ADDED", "value": "1"}])
    assert shown["spec"]["replicas"] == 7
    again = _shown(served, "deploy/switch")["metadata"]["resourceVersion"]
    _apply(served, changed, "--server-side", "--force-conflicts")
    assert _shown(served, "deploy/switch")["metadata"]["resourceVersion"] == again


def test_two_managers_conflict_and_share(served: RunningGateway) -> None:
    _apply(served, _map("shared", a="1"), "--server-side", "--field-manager=one")
    refused = _apply(served, _map("shared", a="2"), "--server-side", "--field-manager=two", fails=True)
    assert 'conflict with "one" using v1: .data.a' in refused
    _apply(served, _map("shared", a="1"), "--server-side", "--field-manager=two")
    _apply(served, {**_map("shared"), "data": {}}, "--server-side", "--field-manager=one")
    assert _shown(served, "cm/shared")["data"] == {"a": "1"}
    _apply(served, {**_map("shared"), "data": {}}, "--server-side", "--field-manager=two")
    assert not _shown(served, "cm/shared").get("data")


def test_a_set_of_objects_is_pruned(served: RunningGateway) -> None:
    both = []
    for name in ("keep", "drop"):
        one = _map(name, a="1")
        one["metadata"]["labels"] = {"set": "mine"}
        both.append(json.dumps(one))
    served.kubectl("apply", "-f", "-", stdin="\n---\n".join(both))
    prune = ("--prune", "-l", "set=mine", "--prune-allowlist=core/v1/ConfigMap")
    assert "configmap/drop pruned" in served.kubectl("apply", "-f", "-", *prune, stdin=both[0]).out
    assert served.kubectl("get", "cm", "-l", "set=mine", "-o", "name").out == "configmap/keep\n"


def test_dry_runs_of_both_kinds_and_diff(served: RunningGateway) -> None:
    _apply(served, _map("dry", a="1"), "--dry-run=server")
    served.kubectl("get", "cm", "dry", fails=True)
    _apply(served, _map("dry", a="1"), "--server-side", "--dry-run=server")
    served.kubectl("get", "cm", "dry", fails=True)
    _apply(served, _map("dry", a="1"), "--server-side")
    told = served.kubectl("diff", "--server-side", "-f", "-", stdin=json.dumps(_map("dry", a="2")), fails=True)
    assert (told.code, '+  a: "2"' in told.out) == (1, True)


def test_edit_replace_and_stale_replace(served: RunningGateway) -> None:
    _apply(served, _map("r", a="1"))
    old = _shown(served, "cm/r")
    served.kubectl("patch", "cm", "r", "--type=json", "-p", '[{"op":"add","path":"/data/b","value":"1"}]')
    stale = served.kubectl("replace", "-f", "-", stdin=json.dumps(old), fails=True)
    assert "the object has been modified" in stale.err
    failed = served.kubectl(
        "patch", "cm", "r", "--type=json", "-p", '[{"op":"test","path":"/data/b","value":"2"}]', fails=True
    )
    assert "the server rejected our request due to an error in our request" in failed.err
    del old["metadata"]["resourceVersion"]
    served.kubectl("replace", "-f", "-", stdin=json.dumps(old))
    assert _shown(served, "cm/r")["data"] == {"a": "1"}
