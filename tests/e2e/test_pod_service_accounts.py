"""A pod as its service account: what it finds in itself, and what it may do with that at the API, over a real network."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane, pod, wait_until

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
#: As an in-cluster client of any language does it.
ASK = f"""
import json, os, ssl, urllib.error, urllib.request
base = f"https://{{os.environ['KUBERNETES_SERVICE_HOST']}}:{{os.environ['KUBERNETES_SERVICE_PORT']}}"
context = ssl.create_default_context(cafile="{FOLDER}/ca.crt")
token, namespace = open("{FOLDER}/token").read(), open("{FOLDER}/namespace").read()
def ask(path):
    request = urllib.request.Request(base + path, headers={{"Authorization": f"Bearer {{token}}"}})
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, len(json.load(answer).get("items", []))
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]
print(json.dumps([namespace, ask("/api/v1/namespaces/default/pods"), ask("/api/v1/namespaces/default/secrets")]))
"""
LOAD_INCLUSTER = """
import sys; sys.path[:0] = {paths!r}
from kubernetes import client, config
config.load_incluster_config()
print(len(client.CoreV1Api().list_namespaced_pod("default").items))
"""


@pytest.fixture(scope="module")
def plane(short_module_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(short_module_path / "home", "gateway: {port: 0}\n")
    plane.up()
    plane.kubectl("create", "serviceaccount", "reader")
    plane.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    plane.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    try:
        yield plane
    finally:
        plane.down()


def run(plane: ControlPlane, name: str, command: list[str], **spec: Any) -> str:
    """What the pod says, when it has succeeded."""
    body = json.loads(pod(name, "", **spec))
    body["spec"]["containers"][0]["command"] = command
    plane.kubectl("apply", "-f", "-", text=json.dumps(body))
    phases = ("Succeeded", "Failed")
    wait_until(f"{name} ends", lambda: plane.get("pod", name)["status"].get("phase") in phases, 60)
    said = plane.kubectl("logs", name)
    assert plane.get("pod", name)["status"]["phase"] == "Succeeded", said
    return said


def test_a_pod_asks_the_api_as_its_account_and_is_refused_what_it_may_not(plane: ControlPlane) -> None:
    said = run(plane, "asks", ["/usr/bin/python3", "-c", ASK], serviceAccountName="reader")
    namespace, pods, secrets = json.loads(said)
    assert namespace == "default" and pods[0] == 200 and pods[1] >= 1
    assert secrets[0] == 403 and 'User "system:serviceaccount:default:reader" cannot list' in secrets[1]


def test_a_pod_on_the_nodes_network_reaches_the_api_too(plane: ControlPlane) -> None:
    said = run(plane, "host", ["/usr/bin/python3", "-c", ASK], serviceAccountName="reader", hostNetwork=True)
    assert json.loads(said)[1][0] == 200


def test_the_official_client_configures_itself_within_a_pod(plane: ControlPlane) -> None:
    script = LOAD_INCLUSTER.format(paths=[path for path in sys.path if "site-packages" in path])
    said = run(plane, "official", [sys.executable, "-c", script], serviceAccountName="reader")
    assert int(said) >= 1


def test_files_of_a_token_volume_are_as_kubelet_writes_them(plane: ControlPlane) -> None:
    look = (
        f"cd {FOLDER}; stat -L -c '%n %a %u %g' token ca.crt namespace; readlink token; readlink ..data; cat namespace"
    )
    said = run(plane, "modes", ["sh", "-c", look]).splitlines()
    assert said[:3] == ["token 644 0 0", "ca.crt 644 0 0", "namespace 644 0 0"]
    assert said[3] == "..data/token" and said[4].startswith("..") and said[5] == "default"
    said = run(plane, "user", ["sh", "-c", look], securityContext={"runAsUser": 1000}).splitlines()
    assert said[:2] == ["token 600 1000 0", "ca.crt 644 0 0"]
    group = {"runAsUser": 1000, "fsGroup": 10000}
    said = run(plane, "group", ["sh", "-c", look], securityContext=group).splitlines()
    assert said[:2] == ["token 640 1000 10000", "ca.crt 644 0 10000"]


def test_a_pod_that_wants_no_token_gets_none(plane: ControlPlane) -> None:
    run(plane, "none", ["sh", "-c", f"test ! -e {FOLDER}"], automountServiceAccountToken=False)


def test_a_secret_reaches_its_pod_and_no_file_of_the_home(plane: ControlPlane) -> None:
    """Neither as it was given nor as it is stored: not in the log, not beside it."""
    value = "correct-horse-battery-staple"
    plane.kubectl("create", "secret", "generic", "horse", f"--from-literal=password={value}")
    volumes = [{"name": "v", "secret": {"secretName": "horse"}}]
    body = json.loads(pod("horse", "", volumes=volumes))
    mounts = [{"name": "v", "mountPath": "/horse"}]
    body["spec"]["containers"][0] |= {"command": ["sh", "-c", "wc -c </horse/password"], "volumeMounts": mounts}
    plane.kubectl("apply", "-f", "-", text=json.dumps(body))
    wait_until("it ends", lambda: plane.get("pod", "horse")["status"].get("phase") == "Succeeded", 60)
    assert plane.kubectl("logs", "horse").strip() == str(len(value))
    needles = (value.encode(), base64.b64encode(value.encode()))
    files = [path for path in plane.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert plane.home / "store" / "log.db" in files
    assert not [path for path in files if any(needle in path.read_bytes() for needle in needles)]
