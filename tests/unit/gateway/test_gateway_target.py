from __future__ import annotations

import pytest

from actors.api.errors import BadRequest, MethodNotAllowed, NotFound
from actors.gateway.app import with_selected
from actors.gateway.options import parse_query
from actors.gateway.target import parse_target


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/x", ("get", "", "v1", "", "namespaces", "x", "")),
        ("PUT", "/api/v1/namespaces/x/status", ("update", "", "v1", "", "namespaces", "x", "status")),
        ("PUT", "/api/v1/namespaces/x/finalize", ("update", "", "v1", "", "namespaces", "x", "finalize")),
        ("POST", "/api/v1/namespaces/x/pods", ("create", "", "v1", "x", "pods", "", "")),
        ("GET", "/api/v1/namespaces/x/pods/y/log", ("get", "", "v1", "x", "pods", "y", "log")),
        ("DELETE", "/api/v1/namespaces/x/pods", ("deletecollection", "", "v1", "x", "pods", "", "")),
        ("DELETE", "/api/v1/namespaces/x/pods/y", ("delete", "", "v1", "x", "pods", "y", "")),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/y/", ("patch", "apps", "v1", "x", "deployments", "y", "")),
        ("HEAD", "/apis/apps/v1/deployments", ("list", "apps", "v1", "", "deployments", "", "")),
    ],
)
def test_resources(method: str, path: str, expected: tuple[str, ...]) -> None:
    found = parse_target(method, path, False)
    got = (found.verb, found.group, found.version, found.namespace, found.plural, found.name, found.subresource)
    assert got == expected


def test_watch_is_a_verb_of_its_own() -> None:
    assert parse_target("GET", "/api/v1/pods", True).verb == "watch"


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/apis/apps/v1", "/version/", "/healthz", "/raypod/v1/status"])
def test_paths_that_name_no_resource(path: str) -> None:
    found = parse_target("GET", path, False)
    assert (found.plural, found.segments) == ("", tuple(path.strip("/").split("/") if path != "/" else ()))


@pytest.mark.parametrize(
    "path", ["/api/v1/..", "/api/v1/%2e%2e/x", "/a%2fb", "/a%00", "/%ff", "/./x", "/a%0a", "/a%252f", "/%e2%80%ae"]
)
def test_segments_that_could_deceive_are_refused(path: str) -> None:
    with pytest.raises(BadRequest):
        parse_target("GET", path, False)


def test_too_long_paths_are_not_there() -> None:
    with pytest.raises(NotFound):
        parse_target("GET", "/api/v1/namespaces/a/pods/b/c/d", False)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/watch/pods", ("watch", "", "pods", "")),
        ("/api/v1/watch/namespaces", ("watch", "", "namespaces", "")),
        ("/api/v1/watch/namespaces/x", ("watch", "", "namespaces", "x")),
        ("/api/v1/watch/namespaces/x/pods", ("watch", "x", "pods", "")),
        ("/apis/apps/v1/watch/namespaces/x/deployments/y", ("watch", "x", "deployments", "y")),
    ],
)
def test_a_path_may_say_that_it_is_a_watch(path: str, expected: tuple[str, ...]) -> None:
    found = parse_target("GET", path, False)
    assert (found.verb, found.namespace, found.plural, found.name) == expected and found.is_old_watch


def test_a_path_that_is_a_watch_takes_nothing_else() -> None:
    with pytest.raises(MethodNotAllowed):
        parse_target("POST", "/api/v1/watch/namespaces/x/pods", False)


def test_one_object_is_read_whatever_the_query_says() -> None:
    assert parse_target("GET", "/api/v1/namespaces/x/pods/y", True).verb == "get"
    assert parse_target("GET", "/api/v1/namespaces/x/pods/y/log", True).verb == "get"


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("fieldSelector=metadata.name%3Da", "a"),
        ("watch=1&fieldSelector=metadata.namespace!%3Dx,metadata.name==a", "a"),
        ("fieldSelector=metadata.name!%3Da", ""),
        ("fieldSelector=metadata.name%3D..", ""),
        ("fieldSelector=metadata.name%3Da%252fb", ""),
        ("fieldSelector=rubbish", ""),
        ("labelSelector=metadata.name%3Da", ""),
    ],
)
def test_the_name_that_a_selector_lets_through(query: str, selected: str) -> None:
    found = parse_query(query)
    assert with_selected(parse_target("GET", "/api/v1/pods", "watch" in found), found).selected == selected
