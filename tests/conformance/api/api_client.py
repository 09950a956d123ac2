"""A client that sends exactly what a test says, and reads answers as JSON."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from gateway_server import RunningGateway

from actors.store.local import read_clock

Json = dict[str, Any]
PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Answer:
    def __init__(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.code, self.headers, self.body = code, headers, body

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.body)
        return found

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.json["items"]]

    @property
    def revision(self) -> str:
        return str(self.json["metadata"]["resourceVersion"])

    @property
    def causes(self) -> dict[str, str]:
        """Of a refusal: field -> message."""
        return {cause.get("field", ""): cause["message"] for cause in self.json["details"]["causes"]}

    def ok(self) -> Json:
        assert self.code in (200, 201), self.body
        return self.json

    def refused(self, code: int, reason: str) -> Json:
        assert (self.code, self.json["kind"], self.json.get("code")) == (code, "Status", code), self.body
        assert self.json["reason"] == reason
        return self.json


class Api:
    """Paths are relative to `root`: `configmaps/a`; absolute ones begin with a slash."""

    def __init__(self, served: RunningGateway, namespace: str) -> None:
        self.served = served
        self.namespace = namespace
        self.root = f"/api/v1/namespaces/{namespace}/"

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        full = path if path.startswith("/") else self.root + path
        text = f"{full}?{urlencode(query, doseq=True)}" if query else full
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return Answer(*self.served.request(method, text, data, headers))

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        return self.ask("GET", path, None, headers, **query)

    def post(self, path: str, body: Any, **query: Any) -> Answer:
        return self.ask("POST", path, body, **query)

    def put(self, path: str, body: Any, **query: Any) -> Answer:
        return self.ask("PUT", path, body, **query)

    def delete(self, path: str, body: Any = None, **query: Any) -> Answer:
        return self.ask("DELETE", path, body, **query)

    def patch(self, kind: str, path: str, body: Any, **query: Any) -> Answer:
        return self.ask("PATCH", path, body, {"Content-Type": PATCHES[kind]}, **query)

    def apply(self, path: str, body: Any, manager: str = "me", **query: Any) -> Answer:
        return self.patch("apply", path, body, fieldManager=manager, **query)

    def make(self, name: str, labels: Json | None = None, **data: str) -> Json:
        """A ConfigMap."""
        return self.post("configmaps", config_map(name, labels, **data)).ok()

    def forget(self) -> None:
        """Retention drops all history: only the present can be read."""

        async def compact() -> None:
            self.served.store.engine.compact(read_clock() + 7_200_000)

        self.served.run(compact())

    def watch(self, path: str, seconds: int = 1, headers: dict[str, str] | None = None, **query: Any) -> Watch:
        full = path if path.startswith("/") else self.root + path
        text = urlencode({"watch": "true", "timeoutSeconds": seconds, **query})
        return Watch(self.served, f"{full}?{text}", headers or {})


class Watch:
    """An open watch; its events are read to the end that `timeoutSeconds` gives it."""

    def __init__(self, served: RunningGateway, path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", served.gateway.port, context=served.ssl_context(), timeout=30
        )
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()

    def events(self) -> list[Json]:
        found = [json.loads(line) for line in self.response.read().splitlines()]
        self._connection.close()
        return found

    def close(self) -> None:
        self._connection.close()

    def next(self) -> Json:
        event: Json = json.loads(self.response.readline())
        return event

    def told(self) -> list[tuple[str, str]]:
        """(type, name) of each event but bookmarks."""
        return [(e["type"], e["object"]["metadata"]["name"]) for e in self.events() if e["type"] != "BOOKMARK"]


def config_map(name: str, labels: Json | None = None, **data: str) -> Json:
    metadata: Json = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.fixture
def api(served: RunningGateway, request: pytest.FixtureRequest) -> Api:
    """In an API namespace of the test's own."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    served.make({"metadata": {"name": name}}, "namespaces", "")
    return Api(served, name)
