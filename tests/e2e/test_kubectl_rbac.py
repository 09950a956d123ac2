"""RBAC as users meet it: kubectl with certificates of its own, over TLS, against the default roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from gateway_server import RunningGateway, served

from actors.gateway import pki
from actors.gateway.kubeconfig import format_kubeconfig

__all__ = ["served"]
GROUP = "rbac.authorization.k8s.io"


def kubeconfig_of(served: RunningGateway, name: str, group: str = "") -> str:
    """A kubeconfig with a certificate of that user."""
    files = pki.pki_at(served.home)
    pair = pki.Pair(served.home / "pki" / f"{name}.crt", served.home / "pki" / f"{name}.key")
    authority = pki._Authority(files.ca, datetime.now(UTC))
    authority.issue(pair, name, group, (), ExtendedKeyUsageOID.CLIENT_AUTH)
    path = served.home / f"{name}.kubeconfig"
    path.write_bytes(format_kubeconfig(msgspec.structs.replace(files, admin=pair), served.gateway.url))
    return str(path)


def eventually(probe: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def alice(served: RunningGateway) -> str:
    eventually(lambda: served.kubectl("get", "clusterrolebindings", "-o", "name").out.count("\n") > 40)
    served.kubectl("create", "namespace", "team")
    served.kubectl("create", "rolebinding", "alice", "--clusterrole=admin", "--user=alice", "-n", "team")
    path = kubeconfig_of(served, "alice")
    eventually(lambda: can_i(served, path, "create", "pods", "-n", "team"))
    return path


def can_i(served: RunningGateway, kubeconfig: str, *words: str) -> bool:
    command = ["--kubeconfig", kubeconfig, "auth", "can-i", *words, "-q"]
    process = served.start_kubectl(*command)
    return process.wait(30) == 0


def test_the_default_roles_are_there_and_printed(served: RunningGateway, alice: str) -> None:
    names = {row[0] for row in served.kubectl("get", "clusterroles").rows[1:]}
    assert {"cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user"} <= names
    told = served.kubectl("describe", "clusterrole", "view").out
    assert "pods/log" in told
    assert "cluster-admin" in served.kubectl("get", "clusterrolebindings").out


def test_an_admin_of_a_namespace_is_one_there_alone(served: RunningGateway, alice: str) -> None:
    served.kubectl("--kubeconfig", alice, "create", "configmap", "c", "-n", "team")
    refused = served.kubectl("--kubeconfig", alice, "create", "configmap", "c", "-n", "default", fails=True)
    assert refused.err == (
        "error: failed to create configmap: configmaps is forbidden: "
        'User "alice" cannot create resource "configmaps" in API group "" in the namespace "default"\n'
    )
    nodes = served.kubectl("--kubeconfig", alice, "get", "nodes", fails=True)
    assert nodes.err == (
        'Error from server (Forbidden): nodes is forbidden: User "alice" cannot list resource "nodes" '
        'in API group "" at the cluster scope\n'
    )


def test_can_i_lists_and_whoami(served: RunningGateway, alice: str) -> None:
    assert can_i(served, alice, "delete", "pods", "-n", "team")
    assert not can_i(served, alice, "delete", "pods")
    assert not can_i(served, alice, "get", "/metrics")
    listed = served.kubectl("--kubeconfig", alice, "auth", "can-i", "--list", "-n", "team").out
    assert "deployments.apps" in listed
    assert "selfsubjectreviews.authentication.k8s.io" in listed
    whoami = served.kubectl("--kubeconfig", alice, "auth", "whoami", "-o", "json").json
    user = whoami["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("alice", ["system:authenticated"])
    [credential] = user["extra"]["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=")


def test_nobody_hands_out_what_they_do_not_hold(served: RunningGateway, alice: str) -> None:
    own = ["--kubeconfig", alice, "-n", "team"]
    served.kubectl(*own, "create", "role", "reader", "--verb=get,list", "--resource=pods")
    served.kubectl(*own, "create", "rolebinding", "reader", "--role=reader", "--user=bob")
    refused = served.kubectl(*own, "create", "role", "greedy", "--verb=get", "--resource=nodes", fails=True)
    assert f'roles.{GROUP} "greedy" is forbidden: user "alice" (groups=["system:authenticated"]) is attempting' in (
        refused.err
    )
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}' in refused.err
    bound = served.kubectl(*own, "create", "rolebinding", "g", "--clusterrole=cluster-admin", "--user=eve", fails=True)
    assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in bound.err
    assert '{NonResourceURLs:["*"], Verbs:["*"]}' in bound.err


@pytest.mark.parametrize("kind", ["merge", "json", "strategic"])
def test_no_patch_slips_past_the_escalation_check(served: RunningGateway, alice: str, kind: str) -> None:
    own = ["--kubeconfig", alice, "-n", "team"]
    served.kubectl(*own, "create", "role", kind, "--verb=get", "--resource=pods")
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    patch = [{"op": "add", "path": "/rules/-", "value": rule}] if kind == "json" else {"rules": [rule]}
    refused = served.kubectl(*own, "patch", "role", kind, "--type", kind, "-p", json.dumps(patch), fails=True)
    assert "is attempting to grant RBAC permissions not currently held" in refused.err
    labels = json.dumps(
        [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        if kind == "json"
        else {"metadata": {"labels": {"a": "b"}}}
    )
    served.kubectl(*own, "patch", "role", kind, "--type", kind, "-p", labels)


def test_apply_and_replace_are_judged_too(served: RunningGateway, alice: str) -> None:
    own = ["--kubeconfig", alice, "-n", "team"]
    role = {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": {"name": "applied"}}
    small = {**role, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
    large = {**role, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]}
    served.kubectl(*own, "apply", "--server-side", "-f", "-", stdin=json.dumps(small))
    for command in (["apply", "--server-side"], ["apply"], ["replace"]):
        refused = served.kubectl(*own, *command, "-f", "-", stdin=json.dumps(large), fails=True)
        assert "not currently held" in refused.err


def test_role_ref_cannot_be_changed(served: RunningGateway, alice: str) -> None:
    patch = json.dumps({"roleRef": {"name": "view"}})
    refused = served.kubectl("patch", "rolebinding", "alice", "-n", "team", "--type=merge", "-p", patch, fails=True)
    assert "cannot change roleRef" in refused.err


def test_the_right_is_gone_when_the_binding_is(served: RunningGateway, alice: str) -> None:
    served.kubectl("create", "rolebinding", "brief", "--clusterrole=view", "--user=carol", "-n", "team")
    carol = kubeconfig_of(served, "carol")
    eventually(lambda: can_i(served, carol, "list", "pods", "-n", "team"))
    served.kubectl("delete", "rolebinding", "brief", "-n", "team")
    eventually(lambda: not can_i(served, carol, "list", "pods", "-n", "team"))


def test_impersonation_needs_the_right_for_each_part(served: RunningGateway, alice: str) -> None:
    refused = served.kubectl("--kubeconfig", alice, "get", "pods", "--as=bob", fails=True)
    assert 'users "bob" is forbidden: User "alice" cannot impersonate resource "users"' in refused.err
    assert served.kubectl("auth", "can-i", "list", "pods", "-n", "team", "--as=bob").out == "yes\n"
    info = served.kubectl(
        "auth", "whoami", "-o", "json", "--as=bob", "--as-group=g", "--as-uid=7", "--as-user-extra=k=v"
    )
    expected = {"username": "bob", "uid": "7", "groups": ["g", "system:authenticated"], "extra": {"k": ["v"]}}
    assert info.json["status"]["userInfo"] == expected


def test_reviews_of_others_are_for_those_who_may_ask(served: RunningGateway, alice: str) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "alice", "resourceAttributes": {"namespace": "team", "verb": "list", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    code, _, body = served.request("POST", path, json.dumps(review).encode())
    status = json.loads(body)["status"]
    assert (code, status["allowed"]) == (201, True)
    assert status["reason"] == 'RBAC: allowed by RoleBinding "alice/team" of ClusterRole "admin" to User "alice"'
    assert served.request("POST", path, json.dumps(review).encode(), certificate="alice")[0] == 403
    local = "/apis/authorization.k8s.io/v1/namespaces/team/localsubjectaccessreviews"
    asked = {**review, "kind": "LocalSubjectAccessReview"}
    assert served.request("POST", local, json.dumps(asked).encode(), certificate="alice")[0] == 201
    asked["spec"] = {
        **asked["spec"],
        "resourceAttributes": {"namespace": "default", "verb": "list", "resource": "pods"},
    }
    assert served.request("POST", local, json.dumps(asked).encode(), certificate="alice")[0] == 400
    empty = {**review, "spec": {}}
    code, _, body = served.request("POST", path, json.dumps(empty).encode())
    assert (code, len(json.loads(body)["details"]["causes"])) == (422, 2)
