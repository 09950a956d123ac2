"""How answers come: gzip, tags, trailing slashes, requests without a Content-Type or a kind."""

from __future__ import annotations

import gzip
import http.client
import json

from api_client import Api

MAPS = "configmaps"
ZIP = {"Accept-Encoding": "gzip, deflate"}


def test_large_answers_are_compressed_for_those_who_accept_it(api: Api) -> None:
    api.make("small")
    small = api.get(MAPS, ZIP)
    assert "Content-Encoding" not in small.headers
    for at in range(3):
        api.make(f"large-{at}", x="y" * 100_000)
    plain, zipped = api.get(MAPS), api.get(MAPS, ZIP)
    assert "Content-Encoding" not in plain.headers
    assert (zipped.headers["Content-Encoding"], zipped.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert len(zipped.body) < len(plain.body) / 10
    assert json.loads(gzip.decompress(zipped.body))["items"] == plain.json["items"]
    assert "Content-Encoding" not in api.get(MAPS, {"Accept-Encoding": "gzip;q=0"}).headers
    watch = api.watch(MAPS, headers=ZIP)
    assert watch.response.headers.get("Content-Encoding") is None
    assert len(watch.events()) == 4


def test_documents_that_have_not_changed_are_not_sent_again(api: Api) -> None:
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    swagger = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    for path, accept in (
        *(("/openapi/v3", ""), ("/openapi/v3/apis/apps/v1", ""), ("/api", ""), ("/apis", "")),
        *(("/api", aggregated), ("/apis", aggregated), ("/openapi/v2", ""), ("/openapi/v2", swagger)),
    ):
        first = api.get(path, {"Accept": accept})
        again = api.get(path, {"Accept": accept, "If-None-Match": first.headers["ETag"]})
        assert (first.code, again.code, again.body) == (200, 304, b""), (path, accept)


def test_a_document_under_its_hash_is_kept_for_ever(api: Api) -> None:
    url = api.get("/openapi/v3").json["paths"]["apis/apps/v1"]["serverRelativeURL"]
    named = api.get(url)
    assert (named.code, named.headers["Cache-Control"]) == (200, "public, immutable")
    assert named.headers["Expires"].endswith(" GMT")
    bare = api.get("/openapi/v3/apis/apps/v1")
    assert (bare.body, bare.headers["Cache-Control"]) == (named.body, "no-cache, private")
    led = api.get("/openapi/v3/apis/apps/v1?hash=0123")  # the client follows to the right one
    assert (led.body, led.headers["Cache-Control"]) == (named.body, "public, immutable")


def test_slashes_at_the_end_are_passed_over(api: Api) -> None:
    api.make("a")
    for path in (f"{MAPS}/", f"{MAPS}/a/", "/api/", "/apis/", "/version/", "/api/v1/"):
        assert api.get(path).code == 200, path


def test_a_body_without_a_type_or_a_kind_is_what_the_path_says(api: Api) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", api.served.gateway.port, context=api.served.ssl_context(), timeout=30
    )
    connection.request("POST", api.root + MAPS, body=b'{"metadata":{"name":"bare"},"data":{"x":"1"}}')
    made = json.loads(connection.getresponse().read())
    connection.close()
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"x": "1"})


def test_a_head_request_has_the_head_alone(api: Api) -> None:
    api.make("a")
    answer = api.ask("HEAD", f"{MAPS}/a")
    assert (answer.code, answer.body) == (200, b"")


def test_tables_of_the_older_version(api: Api) -> None:
    """Kubernetes' own test of Tables still asks for v1beta1, and reads nothing else."""
    api.make("a")
    table = {"Accept": "application/json;as=Table;v=v1beta1;g=meta.k8s.io"}
    for path in (f"{MAPS}/a", MAPS):
        shown = api.get(path, table).json
        assert (shown["kind"], shown["apiVersion"]) == ("Table", "meta.k8s.io/v1beta1")
        assert shown["rows"][0]["object"]["apiVersion"] == "meta.k8s.io/v1beta1"
    event = api.watch(MAPS, headers=table).next()
    assert event["object"]["apiVersion"] == "meta.k8s.io/v1beta1"
    partial = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io"}
    assert api.get(MAPS, partial).json["apiVersion"] == "meta.k8s.io/v1beta1"
    assert api.get(MAPS, {"Accept": "application/json;as=Table;v=v2;g=meta.k8s.io"}).code == 406


def test_what_has_no_columns_is_no_table(api: Api) -> None:
    review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert api.ask("POST", path, review, table).refused(406, "NotAcceptable")


def test_a_request_may_name_its_time(api: Api) -> None:
    for text in ("invalid", "1", "-1s", "1s1", "1e3s", "s", "."):
        refused = api.get("/version", timeout=text).refused(400, "BadRequest")
        assert refused["message"].startswith("invalid timeout specified in the request URL"), text
    for text in ("3m", "0s", "0", "1h2m0.5s", "1500ms"):
        assert api.get("/version", timeout=text).code == 200, text
    late = api.get(MAPS, timeout="100ms", resourceVersion="999999").refused(504, "Timeout")
    assert "did not complete within" in late["message"]


def test_answers_are_indented_for_those_who_read_them(api: Api) -> None:
    api.make("a")
    bare, pretty = api.get(f"{MAPS}/a"), api.get(f"{MAPS}/a?pretty=true")
    assert b"\n" not in bare.body and b'\n  "metadata": {' in pretty.body
    assert pretty.json == bare.json == api.get(f"{MAPS}/a?pretty=false").json
    assert api.get(f"{MAPS}/a?pretty=false").body == bare.body
