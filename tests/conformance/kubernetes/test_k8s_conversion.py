"""crd_conversion_webhook.go and crd_selectable_fields.go: agnhost's `crd-conversion-webhook` is this process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from api_client import Api, Json, Watch
from definitions import CRDS, collection, create, custom, definition
from eventually import eventually
from remote_server import Authority, RemoteServer, Reply, serving

_V1 = {"type": "object", "properties": {"hostPort": {"type": "string"}}}
_V2 = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}


def _convert(obj: Json, version: str) -> Json:
    """v1 has `hostPort`, v2 `host` and `port`."""
    found = {**obj, "apiVersion": version}
    if version.endswith("/v2"):
        host, _, port = str(found.pop("hostPort", "")).partition(":")
        return {**found, **({"host": host} if host else {}), **({"port": port} if port else {})}
    if "host" in found or "port" in found:
        found["hostPort"] = f"{found.pop('host', '')}:{found.pop('port', '')}"
    return found


def _handle(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
    review = json.loads(body)
    request = review["request"]
    converted = [_convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    response = {"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}
    return 200, json.dumps(
        {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}
    ).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RemoteServer, Authority]]:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    with serving(authority.issue("127.0.0.1"), _handle) as found:
        yield found, authority


def _definition(api: Api, server: tuple[RemoteServer, Authority]) -> Json:
    crd = definition(api, versions=("v1", "v2"), scope="Namespaced")
    one, two = crd["spec"]["versions"]
    one |= {"schema": {"openAPIV3Schema": _V1}, "selectableFields": [{"jsonPath": ".hostPort"}]}
    fields = [{"jsonPath": ".host"}, {"jsonPath": ".port"}]
    two |= {"schema": {"openAPIV3Schema": _V2}, "selectableFields": fields}
    client = {"url": server[0].url + "/crdconvert", "caBundle": server[1].bundle}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]}
    crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return create(api, crd)


def test_an_object_is_converted_from_one_version_to_another(api: Api, server: tuple[RemoteServer, Authority]) -> None:
    crd = _definition(api, server)
    api.post(collection(crd, api.namespace), custom(crd, "cr-instance-1", hostPort="local:8888")).ok()
    found = api.get(f"{collection(crd, api.namespace, 'v2')}/cr-instance-1").ok()
    assert (found["host"], found["port"]) == ("local", "8888") and "hostPort" not in found


def test_a_list_of_objects_in_several_versions_is_of_one(api: Api, server: tuple[RemoteServer, Authority]) -> None:
    crd = _definition(api, server)
    path = f"{CRDS}/{crd['metadata']['name']}"
    objects = {version: collection(crd, api.namespace, version) for version in ("v1", "v2")}
    api.post(objects["v1"], custom(crd, "cr-instance-1", hostPort="local:8888")).ok()
    at = "/spec/versions/{}/storage"
    change = [
        {"op": "replace", "path": at.format(0), "value": False},
        {"op": "replace", "path": at.format(1), "value": True},
    ]
    api.patch("json", path, change).ok()
    assert api.get(path).ok()["status"]["storedVersions"] == ["v1", "v2"]
    api.post(objects["v1"], custom(crd, "cr-instance-2", hostPort="local:8888")).ok()
    for version, fields in (("v1", {"hostPort": "local:8888"}), ("v2", {"host": "local", "port": "8888"})):
        items = api.get(objects[version]).json["items"]
        assert len(items) == 2
        for item in items:
            assert item["apiVersion"].endswith(f"/{version}") and fields.items() <= item.items()


class _Told:
    """What a watch has added and deleted."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def expect(self, *events: tuple[str, str]) -> None:
        wanted = set(events)
        while wanted:
            event = self._watch.next()
            pair = (event["type"], event["object"]["metadata"]["name"])
            assert pair in wanted
            wanted.discard(pair)


def test_custom_objects_are_listed_and_watched_by_their_fields(
    api: Api, server: tuple[RemoteServer, Authority]
) -> None:
    crd = _definition(api, server)
    v1, v2 = (collection(crd, api.namespace, version) for version in ("v1", "v2"))
    host = _Told(api.watch(v2, 30, fieldSelector="host=host1"))
    both = _Told(api.watch(v2, 30, fieldSelector="host=host1,port=80"))
    old = _Told(api.watch(v1, 30, fieldSelector="hostPort=host1:80"))
    for name, fields in (
        ("a", {"host": "host1", "port": "80"}),
        ("b", {"host": "host1", "port": "8080"}),
        ("c", {"host": "host2"}),
    ):
        api.post(v2, custom(crd, name, "v2", **fields)).ok()
    assert api.get(v2, fieldSelector="host=host1").names == ["a", "b"]
    assert api.get(v2, fieldSelector="host=host1,port=80").names == ["a"]
    assert api.get(v1, fieldSelector="hostPort=host1:80").names == ["a"]
    assert api.get(v1, fieldSelector="hostPort=host1:8080").names == ["b"]
    host.expect(("ADDED", "a"), ("ADDED", "b"))
    both.expect(("ADDED", "a"))
    old.expect(("ADDED", "a"))
    api.delete(v2, {"gracePeriodSeconds": 0}, fieldSelector="host=host1,port=80").ok()
    api.put(f"{v2}/b", {**api.get(f"{v2}/b").ok(), "host": "host2"}).ok()
    eventually(lambda: api.get(v2, fieldSelector="host=host1").names == [])
    assert api.get(v2, fieldSelector="host=host1,port=80").names == []
    host.expect(("DELETED", "a"), ("DELETED", "b"))
    both.expect(("DELETED", "a"))
    old.expect(("DELETED", "a"))
