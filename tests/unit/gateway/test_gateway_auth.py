from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from actors.api.default_roles import default_bindings, default_roles
from actors.api.errors import BadRequest, Forbidden
from actors.api.key import Key
from actors.api.meta import Resource
from actors.gateway.auth.authorize import attributes_of, check
from actors.gateway.auth.impersonate import Wish, impersonated, read_wish
from actors.gateway.auth.policy import SHAPES, Policy
from actors.gateway.auth.user import MASTERS, User, split_service_account, user_of
from actors.gateway.target import parse_target

ADMIN = User("admin", (MASTERS,))
SOMEBODY = User("somebody", ("system:authenticated",))
GROUP = "rbac.authorization.k8s.io"


def policy(*more: dict[str, Any]) -> Policy:
    objects: dict[Key, Resource] = {}
    for obj in (*default_roles(), *default_bindings(), *more):
        resource = f"{obj['kind'].lower()}s.{GROUP}"
        meta = obj["metadata"]
        objects[Key(resource, meta.get("namespace", ""), meta["name"])] = msgspec.convert(obj, SHAPES[resource])
    return Policy(objects)


def binding(namespace: str, role: str, *subjects: dict[str, str], kind: str = "ClusterRole") -> dict[str, Any]:
    meta = {"name": "b", "namespace": namespace} if namespace else {"name": "b"}
    ref = {"kind": kind, "name": role}
    shown = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"kind": shown, "metadata": meta, "roleRef": ref, "subjects": list(subjects)}


def may(policy: Policy, user: User, method: str, path: str, watch: bool = False) -> bool:
    return policy.decide(user, attributes_of(parse_target(method, path, watch))).allowed


def test_who_a_certificate_names() -> None:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "me"),))
    assert user_of({"subject": subject}) == User("me", ("a", "b", "system:authenticated"))
    of_one, of_another = (user_of({"subject": subject, "der": der}) for der in (b"one", b"another"))
    assert of_one and of_another and of_one != of_another
    (told,) = of_one.to_info()["extra"]["authentication.kubernetes.io/credential-id"]
    assert told == f"X509SHA256={hashlib.sha256(b'one').hexdigest()}"
    assert user_of(None) is user_of({}) is user_of({"subject": ((("organizationName", MASTERS),),)}) is None


@pytest.mark.parametrize(
    ("method", "path", "somebody"),
    [
        ("GET", "/version", True),
        ("GET", "/readyz", True),
        ("GET", "/readyz/etcd", False),
        ("POST", "/version", False),
        ("GET", "/api", True),
        ("GET", "/apis/apps/v1", True),
        ("GET", "/openapi/v3", True),
        ("GET", "/api/v1/pods", False),
        ("GET", "/raypod/v1/status", False),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", True),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", False),
        ("POST", "/apis/apps/v1/namespaces/x/deployments", False),
    ],
)
def test_what_everybody_with_a_name_may(method: str, path: str, somebody: bool) -> None:
    assert may(policy(), SOMEBODY, method, path) is somebody
    assert may(policy(), ADMIN, method, path)
    assert not may(Policy({}), SOMEBODY, method, path)


def test_a_role_binding_gives_a_cluster_role_in_its_namespace_alone() -> None:
    rules = policy(binding("x", "edit", {"kind": "User", "name": "somebody"}))
    pods = "/api/v1/namespaces/x/pods"
    assert may(rules, SOMEBODY, "POST", pods)
    assert may(rules, SOMEBODY, "GET", f"{pods}/p/log")
    assert may(rules, SOMEBODY, "GET", "/api/v1/namespaces/x")  # a namespace itself is within it
    assert may(rules, SOMEBODY, "GET", "/raypod/v1/logs/x/p")
    for refused in ("/api/v1/namespaces/y/pods", "/api/v1/pods", "/api/v1/namespaces/y", "/raypod/v1/logs/y/p"):
        assert not may(rules, SOMEBODY, "GET", refused)
    assert not may(rules, SOMEBODY, "POST", f"/apis/{GROUP}/v1/namespaces/x/rolebindings")


@pytest.mark.parametrize(
    ("subject", "name", "groups", "allowed"),
    [
        ({"kind": "Group", "name": "dev"}, "a", ("dev",), True),
        ({"kind": "Group", "name": "dev"}, "dev", (), False),
        ({"kind": "User", "name": "dev"}, "a", ("dev",), False),
        ({"kind": "ServiceAccount", "name": "a", "namespace": "x"}, "system:serviceaccount:x:a", (), True),
        ({"kind": "ServiceAccount", "name": "a"}, "system:serviceaccount:x:a", (), True),
        ({"kind": "ServiceAccount", "name": "a", "namespace": "y"}, "system:serviceaccount:x:a", (), False),
        ({"kind": "Group", "name": "system:serviceaccounts:x"}, "b", ("system:serviceaccounts:x",), True),
        ({"kind": "Elf", "name": "a"}, "a", ("a",), False),
    ],
)
def test_subjects(subject: dict[str, str], name: str, groups: tuple[str, ...], allowed: bool) -> None:
    rules = policy(binding("x", "view", subject))
    assert may(rules, User(name, groups), "GET", "/api/v1/namespaces/x/pods") is allowed


def test_the_sentence_of_a_refusal_and_its_reason() -> None:
    asked = attributes_of(parse_target("GET", "/api/v1/namespaces/x/pods/y/log", False))
    told = 'pods "y" is forbidden: User "somebody" cannot get resource "pods/log" in API group "" in the namespace "x"'
    with pytest.raises(Forbidden) as refused:
        check(policy(), SOMEBODY, asked)
    assert refused.value.message == told
    gone = policy(binding("x", "gone", {"kind": "User", "name": "somebody"}, kind="Role"))
    with pytest.raises(Forbidden) as refused:
        check(gone, SOMEBODY, asked)
    assert refused.value.message == f'{told}: RBAC: role.{GROUP} "gone" not found'
    held = policy(binding("x", "view", {"kind": "User", "name": "somebody"}))
    assert held.decide(SOMEBODY, asked).reason == (
        'RBAC: allowed by RoleBinding "b/x" of ClusterRole "view" to User "somebody"'
    )


def test_impersonation_is_read_whole_or_refused() -> None:
    assert read_wish(CIMultiDict()) is None
    headers = CIMultiDict({"impersonate-user": "bob", "Impersonate-Extra-Scopes%2fA": "s", "IMPERSONATE-UID": "7"})
    headers.add("Impersonate-Group", "a")
    headers.add("Impersonate-Group", "a")
    assert read_wish(headers) == Wish("bob", ("a",), "7", (("scopes/a", ("s",)),))
    for name in ("Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-X"):
        with pytest.raises(BadRequest, match="without impersonating a user"):
            read_wish(CIMultiDict({name: "x"}))
    twice = CIMultiDict([("Impersonate-User", "bob"), ("impersonate-user", "admin")])
    with pytest.raises(BadRequest, match="2 times"):
        read_wish(twice)


def test_each_part_of_an_impersonation_needs_its_own_right() -> None:
    rules = [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"]},
    ]
    role = {"kind": "ClusterRole", "metadata": {"name": "as-bob"}, "rules": rules}
    held = policy(role, binding("", "as-bob", {"kind": "User", "name": "somebody"}))
    assert impersonated(held, SOMEBODY, Wish("bob")) == User("bob", ("system:authenticated",))
    assert impersonated(held, SOMEBODY, Wish("bob", extra=(("scopes", ("s",)),))).extra == (("scopes", ("s",)),)
    for wish, what in (
        (Wish("eve"), 'users "eve"'),
        (Wish("bob", (MASTERS,)), f'groups "{MASTERS}"'),
        (Wish("bob", uid="1"), 'uids.authentication.k8s.io "1"'),
        (Wish("bob", extra=(("other", ("s",)),)), 'userextras.authentication.k8s.io "s"'),
        (Wish("system:serviceaccount:x:a"), 'serviceaccounts "a"'),
    ):
        with pytest.raises(Forbidden) as refused:
            impersonated(held, SOMEBODY, wish)
        assert refused.value.message.startswith(f'{what} is forbidden: User "somebody" cannot impersonate resource')
    account = impersonated(held, ADMIN, Wish("system:serviceaccount:x:a"))
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:x", "system:authenticated")
    assert impersonated(held, ADMIN, Wish("system:anonymous")).groups == ("system:unauthenticated",)


def test_service_account_names() -> None:
    assert split_service_account("system:serviceaccount:a:b") == ("a", "b")
    for text in ("system:serviceaccount:a", "system:serviceaccount::b", "system:serviceaccount:a:b:c", "a:b"):
        assert split_service_account(text) is None
