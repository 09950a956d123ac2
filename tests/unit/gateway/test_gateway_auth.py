from __future__ import annotations

import pytest

from actors.api.errors import BadRequest, Forbidden, Unauthorized
from actors.gateway.auth import MASTERS, NOBODY, User, authorize, check, impersonate, user_of
from actors.gateway.target import parse_target

ADMIN = User("admin", (MASTERS,))
SOMEBODY = User("somebody", ("system:authenticated",))


def test_who_a_certificate_names() -> None:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "me"),))
    assert user_of({"subject": subject}) == User("me", ("a", "b", "system:authenticated"))
    assert user_of(None) == user_of({}) == user_of({"subject": ((("organizationName", MASTERS),),)}) == NOBODY


@pytest.mark.parametrize(
    ("method", "path", "nobody", "somebody"),
    [
        ("GET", "/version", True, True),
        ("GET", "/readyz/store", True, True),
        ("POST", "/version", False, False),
        ("GET", "/", False, False),
        ("GET", "/api", False, True),
        ("GET", "/apis/apps/v1", False, True),
        ("GET", "/openapi/v3", False, True),
        ("GET", "/api/v1/pods", False, False),
        ("GET", "/raypod/v1/status", False, False),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", False, True),
        ("POST", "/apis/apps/v1/namespaces/x/deployments", False, False),
    ],
)
def test_who_may(method: str, path: str, nobody: bool, somebody: bool) -> None:
    target = parse_target(method, path, False)
    assert (authorize(NOBODY, target), authorize(SOMEBODY, target), authorize(ADMIN, target)) == (
        nobody,
        somebody,
        True,
    )


def test_refusals() -> None:
    target = parse_target("GET", "/api/v1/namespaces/x/pods/y/log", False)
    with pytest.raises(Unauthorized, match=r"^Unauthorized$"):
        check(NOBODY, target)
    told = 'pods "y" is forbidden: User "somebody" cannot get resource "pods/log" in API group "" in the namespace "x"'
    with pytest.raises(Forbidden) as refused:
        check(SOMEBODY, target)
    assert refused.value.message == told


def test_only_masters_may_be_somebody_else() -> None:
    assert impersonate(SOMEBODY, "", ()) is SOMEBODY
    assert impersonate(ADMIN, "bob", ("a", "a")) == User("bob", ("a", "system:authenticated"))
    for user in (SOMEBODY, NOBODY):
        with pytest.raises(Forbidden, match='cannot impersonate resource "users"'):
            impersonate(user, "bob", ())
    with pytest.raises(BadRequest):
        impersonate(ADMIN, "", ("a",))
