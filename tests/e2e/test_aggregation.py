"""Another API server behind an APIService: a small one, over TLS, that trusts only the proxy's certificate."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateway_server import RunningGateway, served
from remote_server import Authority, own_address

from actors.api.key import Key
from actors.gateway.pki import pki_at

__all__ = ["served"]
_GV = "/apis/wardle.example.com/v1alpha1"
_FLUNDERS = f"{_GV}/namespaces/default/flunders"
_RESOURCES = [
    {
        "name": "flunders",
        "singularName": "flunder",
        "namespaced": True,
        "kind": "Flunder",
        "verbs": ["create", "get", "list", "watch"],
        "shortNames": ["fl"],
    },
    {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
]
_OPENAPI = {"openapi": "3.0.0", "info": {"title": "wardle", "version": "1"}, "paths": {}, "components": {"schemas": {}}}


_FLUNDER = "com.example.wardle.v1alpha1.Flunder"
_SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "wardle", "version": "1"},
    "paths": {
        f"{_GV}/namespaces/{{namespace}}/flunders": {
            "get": {
                "operationId": "listFlunder",
                "parameters": [{"$ref": "#/parameters/pretty"}],
                "responses": {"200": {"description": "OK", "schema": {"$ref": f"#/definitions/{_FLUNDER}"}}},
            }
        },
        "/apis/other.example.com/v1/others": {"get": {"responses": {}}},
    },
    "parameters": {"pretty": {"name": "pretty", "in": "query", "type": "string"}},
    "definitions": {
        _FLUNDER: {
            "type": "object",
            "description": "a fish",
            "properties": {"metadata": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}},
            "x-kubernetes-group-version-kind": [
                {"group": "wardle.example.com", "version": "v1alpha1", "kind": "Flunder"}
            ],
        },
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "description": "of an older library"},
    },
}


class SampleServer:
    """Flunders in memory. `requests`: method, path with query, headers; whether the proxy's certificate came along."""

    def __init__(self, certificate: Any, proxy_ca: Any) -> None:
        self.requests: list[tuple[str, str, Any, bool]] = []
        self.flunders: list[dict[str, Any]] = []
        self.broken = False
        self._news: asyncio.Event | None = None
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.load_verify_locations(proxy_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.port = asyncio.run_coroutine_threadsafe(self._start(context), self.loop).result(10)

    async def _start(self, context: ssl.SSLContext) -> int:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "0.0.0.0", 0, ssl_context=context)
        await site.start()
        return int(self._runner.addresses[0][1])

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peercert") if request.transport else None
        self.requests.append((request.method, request.path_qs, request.headers.copy(), bool(peer)))
        if self.broken:
            return web.Response(status=500, text="broken")
        match request.method, request.path:
            case "GET", path if path == _GV:
                return web.json_response({"kind": "APIResourceList", "groupVersion": _GV[6:], "resources": _RESOURCES})
            case "GET", "/openapi/v2":
                return web.json_response(_SWAGGER, headers={"ETag": '"one"'})
            case "GET", "/openapi/v3":
                url = f"/openapi/v3{_GV}?hash=ABC"
                return web.json_response({"paths": {_GV[1:]: {"serverRelativeURL": url}}})
            case "GET", path if path == f"/openapi/v3{_GV}":
                return web.json_response(_OPENAPI)
            case "GET", path if path == f"{_FLUNDERS}/moved":
                raise web.HTTPFound("https://elsewhere.example.com/")
            case "GET", path if path == f"{_FLUNDERS}/talk":
                return await self._talk(request)
            case "POST", path if path == f"{_FLUNDERS}/spdy":
                return await self._switch(request)
            case "GET", path if path == _FLUNDERS and request.query.get("watch"):
                return await self._watch(request)
            case "GET", path if path == _FLUNDERS:
                return web.json_response(
                    {"kind": "FlunderList", "apiVersion": _GV[6:], "metadata": {}, "items": self.flunders}
                )
            case "POST", path if path == _FLUNDERS:
                self.flunders.append(json.loads(await request.read()))
                if self._news is not None:
                    self._news.set()
                return web.json_response(self.flunders[-1], status=201, headers={"X-From": "wardle"})
        return web.json_response({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}, status=404)

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        """To a protocol in which each side says one thing."""
        assert request.transport is not None and request.headers["Upgrade"] == "SPDY/3.1"
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        request.transport.write(head + b"server first")
        await asyncio.sleep(0.5)
        request.transport.close()
        return web.Response()

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self._news = asyncio.Event()
        response = web.StreamResponse()
        await response.prepare(request)
        seen = len(self.flunders)
        for _ in range(2):
            await self._news.wait()
            self._news.clear()
            for obj in self.flunders[seen:]:
                await response.write(json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n")
            seen = len(self.flunders)
        return response

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("talk.v1",))
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"you said {message.data}")
            if message.data == "bye":
                break
        await socket.close()
        return socket


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def sample(served: RunningGateway, authority: Authority) -> Iterator[SampleServer]:
    server = SampleServer(authority.issue("wardle.default.svc"), pki_at(served.home).proxy_ca.certificate)
    ports = [{"port": 443, "targetPort": server.port}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "wardle"}, "spec": {"ports": ports}}
    served.make(service, "services")
    subsets = [{"addresses": [{"ip": own_address()}], "ports": [{"port": server.port}]}]
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "wardle"}, "subsets": subsets}
    served.make(endpoints, "endpoints")
    served.kubectl("apply", "-f", "-", stdin=json.dumps(api_service(authority.bundle)))
    _wait(lambda: condition(served)["status"] == "True")
    yield server
    server.stop()


def api_service(bundle: str, name: str = "v1alpha1.wardle.example.com", service: str = "wardle") -> dict[str, Any]:
    version, _, group = name.partition(".")
    spec = {"group": group, "version": version, "groupPriorityMinimum": 2000, "versionPriority": 200}
    spec |= {"service": {"namespace": "default", "name": service}, "caBundle": bundle}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": spec,
    }


def condition(served: RunningGateway, name: str = "v1alpha1.wardle.example.com") -> dict[str, Any]:
    found = served.kubectl("get", "apiservice", name, "-o", "json").json
    rows = (found.get("status") or {}).get("conditions") or [{"status": "Unknown", "reason": "", "message": ""}]
    return dict(rows[0])


def _wait(done: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def flunder(name: str) -> dict[str, Any]:
    return {"apiVersion": "wardle.example.com/v1alpha1", "kind": "Flunder", "metadata": {"name": name}}


# --- what is served here ----------------------------------------------------------------------------------------


def test_our_own_groups_are_listed_as_local(served: RunningGateway) -> None:
    _wait(lambda: "v1.apps" in served.kubectl("get", "apiservices").out)
    _wait(lambda: condition(served, "v1.apps")["reason"] == "Local")
    row = next(row for row in served.kubectl("get", "apiservices").rows if row[0] == "v1.apps")
    assert row[1:3] == ["Local", "True"]
    core = served.kubectl("get", "apiservice", "v1.", "-o", "json").json
    assert core["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}


def test_a_definitions_group_comes_and_goes(served: RunningGateway) -> None:
    from custom_resources import CRON_TAB

    served.kubectl("create", "-f", "-", stdin=json.dumps(CRON_TAB))
    _wait(lambda: "v1.stable.example.com" in served.kubectl("get", "apiservices").out)
    _wait(lambda: condition(served, "v1.stable.example.com")["reason"] == "Local")
    served.kubectl("delete", "crd", "crontabs.stable.example.com", "--wait=false")
    patch = json.dumps({"metadata": {"finalizers": None}})
    served.kubectl("patch", "crd", "crontabs.stable.example.com", "--type=merge", "-p", patch, fails=None)
    _wait(lambda: "v1.stable.example.com" not in served.kubectl("get", "apiservices").out)


def test_extension_servers_find_what_they_must_trust(served: RunningGateway) -> None:
    name = "extension-apiserver-authentication"
    _wait(lambda: served.kubectl("get", "configmap", name, "-n", "kube-system", fails=None).code == 0)
    data = served.kubectl("get", "configmap", name, "-n", "kube-system", "-o", "json").json["data"]
    pki = pki_at(served.home)
    assert data["requestheader-client-ca-file"] == pki.proxy_ca.certificate.read_text()
    assert data["client-ca-file"] == pki.ca.certificate.read_text()
    assert json.loads(data["requestheader-allowed-names"]) == ["front-proxy-client"]
    served.kubectl("get", "role", f"{name}-reader", "-n", "kube-system")


# --- another's --------------------------------------------------------------------------------------------------


def test_kubectl_works_with_what_another_server_serves(served: RunningGateway, sample: SampleServer) -> None:
    assert ["wardle.example.com/v1alpha1"] in [row[-1:] for row in served.kubectl("api-versions").rows]
    rows = served.kubectl("api-resources", "--api-group=wardle.example.com").rows
    assert rows[1] == ["flunders", "fl", "wardle.example.com/v1alpha1", "true", "Flunder"]
    served.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(flunder("one")))
    assert "one" in served.kubectl("get", "fl", "-o", "name").out


def test_discovery_is_merged_in_both_forms(served: RunningGateway, sample: SampleServer) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    items = json.loads(served.request("GET", "/apis", headers={"Accept": accept})[2])["items"]
    found = next(item for item in items if item["metadata"]["name"] == "wardle.example.com")["versions"][0]
    assert (found["version"], found["freshness"]) == ("v1alpha1", "Current")
    assert [row["subresource"] for row in found["resources"][0]["subresources"]] == ["status"]
    groups = json.loads(served.request("GET", "/apis")[2])["groups"]
    assert "wardle.example.com" in [group["name"] for group in groups]
    group = json.loads(served.request("GET", "/apis/wardle.example.com")[2])
    assert group["preferredVersion"]["groupVersion"] == "wardle.example.com/v1alpha1"
    assert json.loads(served.request("GET", _GV)[2])["resources"] == _RESOURCES


def test_openapi_is_merged(served: RunningGateway, sample: SampleServer) -> None:
    paths = json.loads(served.request("GET", "/openapi/v3")[2])["paths"]
    url = paths["apis/wardle.example.com/v1alpha1"]["serverRelativeURL"]
    assert url == f"/openapi/v3{_GV}?hash=ABC"
    assert json.loads(served.request("GET", url)[2]) == _OPENAPI


def test_openapi_2_is_merged_and_keeps_what_our_names_mean(served: RunningGateway, sample: SampleServer) -> None:
    document = json.loads(served.request("GET", "/openapi/v2")[2])
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    listed = document["paths"][f"{_GV}/namespaces/{{namespace}}/flunders"]["get"]
    assert listed["parameters"] == [{"name": "pretty", "in": "query", "type": "string"}]
    fish = document["definitions"][_FLUNDER]
    assert fish["properties"]["metadata"] == {"$ref": f"#/definitions/{meta}_v2"}
    assert document["definitions"][f"{meta}_v2"]["description"] == "of an older library"
    assert "ownerReferences" in document["definitions"][meta]["properties"]
    assert "/apis/other.example.com/v1/others" not in document["paths"]
    packed = served.request(
        "GET", "/openapi/v2", headers={"Accept": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"}
    )
    assert packed[0] == 200 and _FLUNDER.encode() in packed[2]


def test_the_server_is_told_who_asks_by_a_proxy_it_knows(served: RunningGateway, sample: SampleServer) -> None:
    sample.requests.clear()
    lies = {"X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Extra-a": "b", "Accept": "text/x"}
    code, headers, body = served.request("POST", _FLUNDERS + "?a=b%2Fc", json.dumps(flunder("two")).encode(), lies)
    assert (code, headers["X-From"], json.loads(body)["metadata"]["name"]) == (201, "wardle", "two")
    method, path, seen, is_proxy = sample.requests[0]
    assert (method, path, is_proxy) == ("POST", _FLUNDERS + "?a=b%2Fc", True)
    assert seen.getall("X-Remote-User") == ["kubernetes-admin"]
    assert seen.getall("X-Remote-Group") == ["system:masters", "system:authenticated"]
    assert "X-Remote-Extra-a" not in seen
    assert seen["Host"] == "wardle.default.svc"
    assert seen["Accept"] == "text/x"
    assert "Authorization" not in seen


def test_impersonation_ends_here(served: RunningGateway, sample: SampleServer) -> None:
    sample.requests.clear()
    served.kubectl("get", "fl", "--as=ann", "--as-group=system:masters")
    seen = next(headers for _, path, headers, _ in sample.requests if path.startswith(_FLUNDERS))
    assert seen.getall("X-Remote-User") == ["ann"]
    assert not [name for name in seen if name.lower().startswith("impersonate")]
    refused = served.kubectl("get", "fl", "--as=bob", fails=True)
    assert 'User "bob" cannot list resource "flunders" in API group "wardle.example.com"' in refused.err


def test_a_watch_streams(served: RunningGateway, sample: SampleServer) -> None:
    async def scenario() -> list[str]:
        context = served.ssl_context()
        async with aiohttp.ClientSession() as session:
            url = served.gateway.url + _FLUNDERS
            async with session.get(f"{url}?watch=true", ssl=context) as stream:
                names = []
                for name in ("seen-a", "seen-b"):
                    async with session.post(url, json=flunder(name), ssl=context) as made:
                        assert made.status == 201
                    line = await asyncio.wait_for(stream.content.readline(), 5)
                    names.append(json.loads(line)["object"]["metadata"]["name"])
                assert await stream.content.read() == b""
                return names

    assert asyncio.run(scenario()) == ["seen-a", "seen-b"]


def test_a_websocket_goes_through(served: RunningGateway, sample: SampleServer) -> None:
    async def scenario() -> None:
        context = served.ssl_context()
        async with aiohttp.ClientSession() as session:
            url = f"{served.gateway.url}{_FLUNDERS}/talk"
            async with session.ws_connect(url, protocols=("talk.v1",), ssl=context) as socket:
                assert socket.protocol == "talk.v1"
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=5) == "you said hello"
                await socket.send_str("bye")
                assert await socket.receive_str(timeout=5) == "you said bye"
                assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE

    asyncio.run(scenario())


_UPGRADE = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n"


def _say(served: RunningGateway, *told: str) -> bytes:
    """All that is answered to these, sent one after the other over one connection."""
    with socket.create_connection(("127.0.0.1", served.gateway.port), timeout=10) as plain:
        with served.ssl_context().wrap_socket(plain, server_hostname="127.0.0.1") as line:
            answers = b""
            for text in told:
                line.sendall(text.encode())
                time.sleep(0.5)
            while data := line.recv(1 << 16):
                answers += data
    return answers


def test_any_protocol_goes_through(served: RunningGateway, sample: SampleServer) -> None:
    answer = _say(served, f"POST {_FLUNDERS}/spdy HTTP/1.1\r\n{_UPGRADE}")
    assert answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\nserver first")


def test_a_refused_upgrade_leaves_no_way_in(served: RunningGateway, sample: SampleServer) -> None:
    """CVE-2018-1002105: the connection behind is the proxy's, and what comes over it may say who it is from."""
    second = f"GET {_FLUNDERS} HTTP/1.1\r\nHost: x\r\nX-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n\r\n"
    seen = len(sample.requests)
    answer = _say(served, f"POST {_FLUNDERS}/nothing HTTP/1.1\r\n{_UPGRADE}", second)
    assert answer.startswith(b"HTTP/1.1 404 ") and b"Connection: close" in answer and b"FlunderList" not in answer
    asked = [(method, path) for method, path, _, _ in sample.requests[seen:] if "flunders" in path]
    assert asked == [("POST", f"{_FLUNDERS}/nothing")]


def test_a_server_may_not_send_clients_elsewhere(served: RunningGateway, sample: SampleServer) -> None:
    code, _, body = served.request("GET", _FLUNDERS + "/moved")
    assert code == 502
    assert b"attempted to redirect" in body


# --- failing ----------------------------------------------------------------------------------------------------


def test_a_service_that_is_not_there(served: RunningGateway, authority: Authority) -> None:
    name = "v1.nowhere.example.com"
    served.kubectl("create", "-f", "-", stdin=json.dumps(api_service(authority.bundle, name, "nobody")))
    _wait(lambda: condition(served, name)["status"] == "False")
    found = condition(served, name)
    assert found["reason"] == "ServiceNotFound"
    assert found["message"] == 'service/nobody in "default" is not present'
    row = next(row for row in served.kubectl("get", "apiservices", fails=None).rows if row[0] == name)
    assert row[1:4] == ["default/nobody", "False", "(ServiceNotFound)"]
    told = served.request("GET", "/metrics")[2].decode()
    assert f'aggregator_unavailable_apiservice{{name="{name}"}} 1\n' in told
    assert f'aggregator_unavailable_apiservice_total{{name="{name}",reason="ServiceNotFound"}} 1\n' in told
    assert 'aggregator_unavailable_apiservice{name="v1.apps"} 0\n' in told
    code, _, body = served.request("GET", "/apis/nowhere.example.com/v1/things")
    assert (code, body) == (503, b"service unavailable\n")
    shown = served.kubectl("get", "--raw", "/apis/nowhere.example.com/v1/things", fails=True)
    assert "the server is currently unable to handle the request" in shown.err
    served.kubectl("delete", "apiservice", name, fails=None)
    _wait(lambda: served.request("GET", "/apis/nowhere.example.com/v1/things")[0] == 404)


def test_a_certificate_that_is_not_for_the_service(
    served: RunningGateway, authority: Authority, sample: SampleServer
) -> None:
    """The sample's certificate, under another service's name; then without a look at certificates at all."""
    ports = [{"port": 443, "targetPort": sample.port}]
    meta = {"name": "other"}
    served.make({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}, "services")
    subsets = [{"addresses": [{"ip": own_address()}], "ports": [{"port": sample.port}]}]
    served.make({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": subsets}, "endpoints")
    name = "v1beta1.wardle.example.com"
    registered = api_service(authority.bundle, name, "other")
    served.kubectl("create", "-f", "-", stdin=json.dumps(registered))
    _wait(lambda: condition(served, name)["reason"] == "FailedDiscoveryCheck")
    assert "x509: certificate is not valid for" in condition(served, name)["message"]
    registered["spec"] |= {"insecureSkipTLSVerify": True, "caBundle": None}
    served.kubectl("apply", "-f", "-", stdin=json.dumps(registered))
    _wait(lambda: "bad status" in condition(served, name)["message"])
    served.kubectl("delete", "apiservice", name, fails=None)


def test_a_server_that_fails_keeps_its_place_in_discovery(served: RunningGateway, sample: SampleServer) -> None:
    sample.broken = True
    try:
        code, _, body = served.request("GET", _FLUNDERS)
        assert (code, body) == (500, b"broken"), "its own failures are passed on"
        aggregator = served.gateway.app.backend.aggregator
        assert aggregator is not None
        key = Key("apiservices.apiregistration.k8s.io", "", "v1alpha1.wardle.example.com")
        verdict = served.run(aggregator._prober.probe(aggregator._services[key]))
        assert (verdict.status, verdict.reason) == ("False", "FailedDiscoveryCheck")
        assert verdict.message.endswith(": 500")
    finally:
        sample.broken = False


def test_a_batch_does_not_reach_another_server(served: RunningGateway, sample: SampleServer) -> None:
    items = [{"method": "POST", "path": _FLUNDERS, "body": flunder("batched")}]
    answer = json.loads(served.request("POST", "/apis/raypod.io/v1/batch", json.dumps({"items": items}).encode())[2])
    assert answer["items"][0]["code"] == 400
