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
    for path in ("/openapi/v3", "/api", "/apis"):
        first = api.get(path)
        again = api.get(path, {"If-None-Match": first.headers["ETag"]})
        assert (again.code, again.body) == (304, b"")


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
