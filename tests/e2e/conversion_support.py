"""A custom resource whose two versions differ, and the webhook that converts between them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_server import RunningGateway
from remote_server import Authority, RemoteServer, serving

from actors.api.key import Key

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


NAME = "hosts.stable.example.com"


def schema_of(**spec: Any) -> dict[str, Any]:
    status = {"type": "object", "properties": {"phase": {"type": "string"}}}
    properties = {"spec": {"type": "object", "properties": spec}, "status": status}
    return {"openAPIV3Schema": {"type": "object", "properties": properties}}


TEXT = {"type": "string"}


def definition(conversion: dict[str, Any] | None = None, storage: str = "v1") -> dict[str, Any]:
    """v1 has host and port, v2 both in one, and defaults of its own."""
    v1 = schema_of(host=TEXT, port=TEXT)
    v2 = schema_of(
        hostPort={"type": "string", "pattern": "^[a-z]+:[0-9]+$"}, level={"type": "string", "default": "high"}
    )
    columns = [{"name": "HostPort", "type": "string", "jsonPath": ".spec.hostPort"}]
    versions = [
        {"name": "v1", "served": True, "schema": v1},
        {"name": "v2", "served": True, "schema": v2, "additionalPrinterColumns": columns},
    ]
    for version in versions:
        version |= {"storage": version["name"] == storage, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "hosts", "kind": "Host"},
            "versions": versions,
            "conversion": conversion or {"strategy": "None"},
        },
    }


def by_webhook(client: dict[str, Any]) -> dict[str, Any]:
    return {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}


def convert(obj: dict[str, Any], version: str) -> dict[str, Any]:
    """What the webhook makes of one object."""
    new = {**copy.deepcopy(obj), "apiVersion": version}
    spec = new.get("spec", {})
    if version.endswith("v2") and "host" in spec:
        spec["hostPort"] = f"{spec.pop('host')}:{spec.pop('port', '0')}"
    if version.endswith("v1") and "hostPort" in spec:
        spec["host"], _, spec["port"] = spec.pop("hostPort").partition(":")
        spec.pop("level", None)
    return new


def converting(change: Any = None) -> Any:
    def handle(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        review = json.loads(body)
        asked = review["request"]
        objects = [convert(obj, asked["desiredAPIVersion"]) for obj in asked["objects"]]
        response = {"uid": asked["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
        if change is not None:
            change(response)
        return 200, json.dumps(
            {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        ).encode()

    return handle


def path_of(version: str, name: str = "") -> str:
    return f"/apis/stable.example.com/{version}/namespaces/default/hosts" + (f"/{name}" if name else "")


def ask(
    served: RunningGateway, method: str, path: str, obj: Any = None, media: str = "application/json"
) -> tuple[int, Any]:
    body = json.dumps(obj).encode() if obj is not None else None
    code, _, answer = served.request(method, path, body, {"Content-Type": media})
    return code, json.loads(answer)


def host(version: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"stable.example.com/{version}", "kind": "Host", "metadata": {"name": name}, "spec": spec}


def stored(served: RunningGateway, name: str) -> dict[str, Any]:
    found = served.run(served.store.get(Key(NAME, "default", name)))
    return dict(json.loads(found.body))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(served: RunningGateway, authority: Authority) -> Iterator[RemoteServer]:
    """A conversion webhook and the definition that names it; gone with all its objects afterwards."""
    with serving(authority.issue("127.0.0.1"), converting()) as running:
        client = {"url": running.url + "/convert", "caBundle": authority.bundle}
        code, answer = ask(served, "POST", DEFINITIONS, definition(by_webhook(client)))
        assert code == 201, answer
        yield running
    remove(served)


def remove(served: RunningGateway) -> None:
    """As the controller would."""
    ask(served, "DELETE", path_of("v1"))
    ask(served, "DELETE", f"{DEFINITIONS}/{NAME}")
    finalizers = {"metadata": {"finalizers": None}}
    ask(served, "PATCH", f"{DEFINITIONS}/{NAME}", finalizers, "application/merge-patch+json")
