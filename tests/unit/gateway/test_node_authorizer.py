"""What a node may: the Node authorizer's own sentences, then RBAC, for those who are nodes and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.api.codec import Object, encode
from actors.api.errors import ApiError
from actors.api.key import Key, Stored
from actors.gateway.app import with_selected
from actors.gateway.auth.authorize import attributes_of, forbidden_message
from actors.gateway.auth.nodes.authorizer import NodeAuthorizer
from actors.gateway.auth.nodes.graph import make_graph
from actors.gateway.auth.nodes.tokens import NodeTokens
from actors.gateway.auth.policy import Decision, Policy
from actors.gateway.auth.user import User, node_of
from actors.gateway.options import parse_query
from actors.gateway.target import Target, parse_target
from actors.reconcile.actions import Create, Patch
from actors.store.local import LocalStore

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
IN_A = "/api/v1/namespaces/a"


def stored(resource: str, namespace: str, name: str, spec: Object) -> Stored:
    metadata = {"name": name, "namespace": namespace, "uid": name}
    return Stored(Key(resource, namespace, name), 1, 1, name, encode({"metadata": metadata, "spec": spec}))


def graph_of_two_nodes() -> Any:
    volumes = [
        {"name": "s", "secret": {"secretName": "mine"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
    ]
    disk = {
        "claimRef": {"namespace": "a", "name": "data"},
        "csi": {"nodeStageSecretRef": {"name": "s", "namespace": "k"}},
    }
    disk["csi"]["controllerPublishSecretRef"] = {"name": "theirs", "namespace": "k"}
    return make_graph(
        [
            stored("pods", "a", "p", {"nodeName": "n1", "serviceAccountName": "robot", "volumes": volumes}),
            stored("pods", "a", "other", {"nodeName": "n2", "volumes": [{"configMap": {"name": "map"}}]}),
            stored("persistentvolumes", "", "disk", disk),
            stored("volumeattachments.storage.k8s.io", "", "va", {"nodeName": "n1"}),
            stored("resourceslices.resource.k8s.io", "", "slice", {"nodeName": "n2"}),
        ]
    )


POLICY = Policy({}, nodes=NodeAuthorizer(graph_of_two_nodes()))


def selecting(path: str, fields: str) -> Target:
    return with_selected(parse_target("GET", path, False), parse_query(f"fieldSelector={fields}"))


def decide(method: str, path: str, user: User = NODE, watch: bool = False) -> Decision:
    path, _, query = path.partition("?")
    return POLICY.decide(user, attributes_of(with_selected(parse_target(method, path, watch), parse_query(query))))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{IN_A}/secrets/mine"),
        ("GET", f"{IN_A}/secrets?fieldSelector=metadata.name%3Dmine"),
        ("GET", "/api/v1/namespaces/k/secrets/s"),
        ("GET", f"{IN_A}/persistentvolumeclaims/data"),
        ("PATCH", f"{IN_A}/persistentvolumeclaims/data/status"),
        ("GET", "/api/v1/persistentvolumes/disk"),
        ("GET", "/apis/storage.k8s.io/v1/volumeattachments/va"),
        ("POST", f"{IN_A}/serviceaccounts/robot/token"),
        ("GET", f"{IN_A}/serviceaccounts/robot"),
        ("GET", f"{IN_A}/pods/p"),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"),
        ("POST", f"{IN_A}/pods"),
        ("PATCH", f"{IN_A}/pods/whose/status"),
        ("POST", f"{IN_A}/pods/whose/eviction"),
        ("GET", "/api/v1/nodes/n1"),
        ("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1"),
        ("PATCH", "/api/v1/nodes/n1/status"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"),
        ("POST", "/apis/storage.k8s.io/v1/csinodes"),
        ("GET", "/apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName%3Dn1"),
        ("GET", "/api/v1/services"),
        ("POST", f"{IN_A}/events"),
        ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    ],
)
def test_what_its_pods_need(method: str, path: str) -> None:
    assert decide(method, path) == Decision(True)
    other = User(NODE.name, ("system:authenticated",))
    assert node_of(other) is None and not decide(method, path, other).allowed  # the group makes the node


_NO_RELATION = "no relationship found between node 'n1' and this object"
_SCOPED = "can only list/watch pods with spec.nodeName field selector"


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", f"{IN_A}/secrets/other", _NO_RELATION),
        ("GET", "/api/v1/namespaces/b/secrets/mine", _NO_RELATION),
        ("GET", "/api/v1/namespaces/k/secrets/theirs", _NO_RELATION),
        ("GET", f"{IN_A}/secrets", "No Object name found"),
        ("GET", "/api/v1/secrets", "can only read namespaced object of this type"),
        ("PUT", f"{IN_A}/secrets/mine", "can only read resources of this type"),
        ("GET", f"{IN_A}/configmaps/map", _NO_RELATION),
        ("GET", f"{IN_A}/persistentvolumeclaims", "can only get individual resources of this type"),
        ("PATCH", f"{IN_A}/persistentvolumeclaims/data", "can only get individual resources of this type"),
        ("POST", f"{IN_A}/serviceaccounts/default/token", _NO_RELATION),
        ("DELETE", f"{IN_A}/serviceaccounts/robot", "can only create tokens for individual service accounts"),
        ("GET", f"{IN_A}/pods/other", _NO_RELATION),
        ("GET", "/api/v1/pods", _SCOPED),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", _SCOPED),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1", _SCOPED),
        ("GET", "/api/v1/pods?fieldSelector=a%3Db%3Dc", _SCOPED),
        ("GET", "/api/v1/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
        ("GET", "/api/v1/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("DELETE", "/api/v1/nodes/n1", ""),
        ("PATCH", f"{IN_A}/pods/p", ""),
        ("GET", f"{IN_A}/pods/p/log", ""),
        (
            *("PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2"),
            "can only access node lease with the same name as the requesting node",
        ),
        (
            *("PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        ("PATCH", "/apis/resource.k8s.io/v1/resourceslices/slice", _NO_RELATION),
        ("GET", "/apis/apps/v1/deployments", ""),
    ],
)  # fmt: skip
def test_what_a_node_is_refused_and_why(method: str, path: str, why: str) -> None:
    assert decide(method, path) == Decision(False, why)


def test_a_list_of_one_name_is_told_with_its_name_and_rbac_may_still_allow_what_the_graph_does_not() -> None:
    asked = attributes_of(selecting(f"{IN_A}/secrets", "metadata.name%3Dx"))
    assert forbidden_message(NODE, asked).startswith('secrets "x" is forbidden: User "system:node:n1" cannot list')
    assert decide("GET", f"{IN_A}/secrets/x", User("admin", ("system:masters",))).allowed


def test_a_node_without_a_name_may_nothing() -> None:
    nameless = User("system:node:", ("system:nodes",))
    assert node_of(nameless) == ""
    assert decide("GET", "/api/v1/services", nameless) == Decision(False, 'unknown node for user "system:node:"')


def test_selectors_of_others_do_not_multiply_what_is_kept() -> None:
    policy = Policy({})
    somebody = User("somebody")
    for at in range(50):
        policy.decide(somebody, attributes_of(selecting("/api/v1/events", f"involvedObject.uid%3D{at}")))
    assert len(policy._answers) == 1


async def _tokens_of(spec: Object, kind: str, uid: str, audiences: tuple[str, ...]) -> str:
    """What a node is told that asks for a token of the pod `a/p` with such a spec; "" when it may have it."""
    store = LocalStore()
    driver = {"metadata": {"name": "disk.io"}, "spec": {"tokenRequests": [{"audience": "vault"}]}}
    writes = [
        Create(resource="namespaces", namespace="", object={"metadata": {"name": "a"}}),
        Create(resource="csidrivers.storage.k8s.io", namespace="", object=driver),
        Create(
            resource="pods",
            namespace="a",
            object={"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}},
        ),
    ]
    assert all(reply.error is None for reply in await store.commit(writes))
    bound = await store.commit(
        [Patch(key=Key("pods", "a", "p"), patch={"spec": {"nodeName": "n1"}}, subresource="binding")]
    )
    assert bound[0].stored is not None
    user = NODE if uid != "elsewhere" else User("system:node:n2", NODE.groups)
    tokens = NodeTokens(store, Policy({}), user, Key("serviceaccounts", "a", "default"))
    uid = bound[0].stored.uid if uid in ("right", "elsewhere") else uid
    try:
        await tokens.check(kind, "v1", "p", uid, audiences)
    except ApiError as error:
        return error.message.removeprefix('serviceaccounts "default" is forbidden: ')
    return ""


VAULT = {"volumes": [{"name": "v", "csi": {"driver": "disk.io"}}]}
OWN = {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "me"}}]}}]}


@pytest.mark.parametrize(
    ("spec", "kind", "uid", "audiences", "told"),
    [
        ({}, "Pod", "right", (), ""),
        (OWN, "Pod", "right", ("me",), ""),
        (VAULT, "Pod", "right", ("vault",), ""),
        ({}, "Pod", "right", ("vault",), 'audience "vault" not found in pod spec volume, system:node:n1 is not authorized'),
        (OWN, "Pod", "right", ("me", "you"), "node may only request 0 or 1 audiences"),
        ({}, "Secret", "right", (), "node requested token not bound to a pod"),
        ({}, "Pod", "", (), "node requested token with a pod binding without a uid"),
        ({}, "Pod", "wrong", (), "the UID in the bound object reference (wrong) does not match the UID in record."),
        ({}, "Pod", "elsewhere", (), "node requested token bound to a pod scheduled on a different node"),
    ],
)  # fmt: skip
def test_tokens_of_its_own_pods_alone(spec: Object, kind: str, uid: str, audiences: tuple[str, ...], told: str) -> None:
    found = asyncio.run(_tokens_of(spec, kind, uid, audiences))
    assert found.startswith(told) and bool(found) == bool(told)
