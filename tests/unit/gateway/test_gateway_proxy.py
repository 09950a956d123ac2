"""Names, addresses, headers and paths of proxied requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.errors import BadRequest
from actors.gateway.proxy.location import Location, check_address, parse_location
from actors.gateway.proxy.rewriting import Rewriter, end_to_end, forwarded
from actors.gateway.target import parse_target

PREFIX = "/api/v1/namespaces/default/pods/web/proxy"
REWRITER = Rewriter(PREFIX, ("10.0.0.5:80", "10.0.0.5", "gateway:6443"))


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/api/v1/namespaces/x/pods/web/proxy", "web", ""),
        ("/api/v1/namespaces/x/pods/web/proxy/", "web", "/"),
        ("/api/v1/namespaces/x/pods/web:80/proxy/a/b?c=d", "web:80", "/a/b"),
        ("/api/v1/namespaces/x/services/https:web:port/proxy/a%2Fb/../%ff//c/", "https:web:port", "/a%2Fb/../%ff//c/"),
        ("/api/v1/nodes/n1/proxy/healthz", "n1", "/healthz"),
        ("/api/v1/nodes/n1/proxy/proxy/x", "n1", "/proxy/x"),
    ],
)
def test_what_is_behind_the_proxy_is_passed_as_it_came(path: str, name: str, rest: str) -> None:
    target = parse_target("GET", path, is_watch=True)
    assert (target.verb, target.name, target.subresource, target.rest) == ("get", name, "proxy", rest)
    assert target.path.endswith("/proxy")


@pytest.mark.parametrize(
    ("method", "verb"),
    [("POST", "create"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete"), ("HEAD", "get")],
)
def test_the_verb_is_that_of_the_method(method: str, verb: str) -> None:
    assert parse_target(method, f"{PREFIX}/x", is_watch=False).verb == verb


def test_a_pod_whose_name_is_proxy() -> None:
    target = parse_target("GET", "/api/v1/namespaces/x/pods/proxy", is_watch=False)
    assert (target.name, target.subresource) == ("proxy", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", Location("http", "web")),
        ("web:80", Location("http", "web", "80")),
        ("https:web:443", Location("https", "web", "443")),
        ("https:web:", Location("https", "web", "")),
        (":web:80", Location("http", "web", "80")),
        ("web:named", Location("http", "web", "named")),
    ],
)
def test_locations(text: str, found: Location) -> None:
    assert parse_location(text, "pod") == found


@pytest.mark.parametrize("text", ["ftp:web:80", "a:b:c:d", ":80", "web:", "https::80"])
def test_what_is_no_location(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid service request"):
        parse_location(text, "service")


@pytest.mark.parametrize(("port", "number"), [("80", 80), ("65536", 0), ("x", 0), ("", 0), ("٣", 0)])
def test_port_numbers(port: str, number: int) -> None:
    assert Location("http", "web", port).port_number == number


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "224.0.0.1",
        "x",
        "",
    ],
)
def test_addresses_that_nobody_reaches_through_the_gateway(address: str) -> None:
    with pytest.raises(BadRequest, match="address not allowed"):
        check_address(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "8.8.8.8", "fd00::5"])
def test_addresses_that_are(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("/login?next=1#top", f"{PREFIX}/login?next=1#top"),
        ("http://10.0.0.5:80/a/", f"{PREFIX}/a/"),
        ("https://gateway:6443/a", f"{PREFIX}/a"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("relative/page", "relative/page"),
        ("https://example.com/a", "https://example.com/a"),
        ("//example.com/a", "//example.com/a"),
        ("mailto:someone", "mailto:someone"),
        ("#top", "#top"),
    ],
)
def test_where_redirects_lead(url: str, found: str) -> None:
    assert REWRITER.rewrite(url) == found


def test_html() -> None:
    page = '<a class=x href="/a">/not</a><IMG SRC=\'/b.png\' alt="/c"><form action="/d"><p title="/e"><script src="//cdn/x">'
    assert REWRITER.rewrite_html(page) == (
        f'<a class=x href="{PREFIX}/a">/not</a><IMG SRC=\'{PREFIX}/b.png\' alt="/c"><form action="{PREFIX}/d">'
        '<p title="/e"><script src="//cdn/x">'
    )


@given(st.text(alphabet="<>a='\"/ hrefimgsrc\n", max_size=200))
def test_html_of_any_kind_is_no_trouble(page: str) -> None:
    assert isinstance(REWRITER.rewrite_html(page), str)


def test_what_the_target_learns_of_the_client() -> None:
    given_headers = [
        ("Host", "gateway:6443"),
        ("Authorization", "Bearer secret"),
        ("Impersonate-User", "root"),
        ("Cookie", "a=b"),
        ("Connection", "keep-alive, X-Mine"),
        ("X-Mine", "1"),
        ("Keep-Alive", "5"),
        ("Transfer-Encoding", "chunked"),
        ("X-Forwarded-For", "1.2.3.4"),
    ]
    found = forwarded(given_headers, f"{PREFIX}/x", "5.6.7.8")
    assert found == [
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "1.2.3.4, 5.6.7.8"),
        ("X-Forwarded-Uri", f"{PREFIX}/x"),
        ("X-Forwarded-Host", "gateway:6443"),
        ("X-Forwarded-Proto", "https"),
    ]


def test_an_upgrade_goes_through() -> None:
    found = dict(forwarded([("Connection", "Upgrade"), ("Upgrade", "websocket")], "/", "", upgrade=True))
    assert (found["Connection"], found["Upgrade"]) == ("Upgrade", "websocket")
    assert end_to_end([("Connection", "Upgrade"), ("Upgrade", "websocket"), ("ETag", "x")]) == [("ETag", "x")]
