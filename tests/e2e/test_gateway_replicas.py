"""Several gateways: each sees at once what another has acknowledged, they share one port, and one that dies is missed
by nobody for long: watches go on where they were, at the other one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from control_plane import ControlPlane

from actors.gateway.auth import keys
from actors.gateway.config import GatewayConfig
from actors.gateway.fake import FakeCluster, FakeNodes
from actors.gateway.server import Gateway, GatewayError, now_ms
from actors.store.actor import StoreActor
from actors.store.client import StoreClient
from actors.store.config import StoreConfig
from actors.store.line.caller import StoreLine
from actors.store.replica import Replica
from raypod.kubeconfig import read_endpoint, ssl_context

MAPS = "/api/v1/namespaces/default/configmaps"


async def no_call(method: str, blob: bytes, timeout_ms: int) -> bytes:
    raise OSError("there is a line")


class Served:
    """A store and its gateways; `ask` any of them."""

    def __init__(self, home: Path, gateways: list[Gateway]) -> None:
        self.home, self.gateways = home, gateways
        self.context = ssl.create_default_context(cafile=str(home / "pki/ca.crt"))
        self.context.load_cert_chain(home / "pki/admin.crt", home / "pki/admin.key")

    async def ask(
        self, at: int, method: str, path: str, body: Any = None, code: int = 200, token: str = ""
    ) -> dict[str, Any]:
        """Over a connection of its own; with `token` as its holder, else as the administrator."""
        plain = ssl.create_default_context(cafile=str(self.home / "pki/ca.crt"))
        opened = await asyncio.open_connection(
            "127.0.0.1", self.gateways[at].port, ssl=plain if token else self.context
        )
        data = json.dumps(body).encode() if body is not None else b""
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Length: {len(data)}\r\n\r\n"
        )
        opened[1].write(head.encode() + data)
        told = await opened[0].read()
        opened[1].transport.abort()
        assert int(told.split()[1]) == code, told
        body = told.partition(b"\r\n\r\n")[2]
        return dict(json.loads(body[body.index(b"{") : body.rindex(b"}") + 1]))


@asynccontextmanager
async def serving(home: Path, *configs: GatewayConfig) -> AsyncIterator[Served]:
    store = StoreActor(StoreConfig(), str(home / "log.db"), None, str(home / "line.sock"))
    await store.listen()
    gateways, replicas = [], []
    for number, config in enumerate(configs):
        line = StoreLine(home / "line.sock", no_call)
        replicas.append(Replica(StoreClient(line), line))
        gateways.append(Gateway(config, replicas[-1], FakeNodes(), FakeCluster(), number))
        await gateways[-1].start()
    yield Served(home, gateways)
    for gateway, replica in zip(gateways, replicas, strict=True):
        await gateway.stop()
        await replica.close()
    await store.close()


def config_of(home: Path, port: int = 0, replicas: int = 1) -> GatewayConfig:
    return GatewayConfig(host="127.0.0.1", port=port, home=str(home), replicas=replicas)


async def test_what_one_has_acknowledged_the_other_shows_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, config_of(tmp_path), config_of(tmp_path)) as served:
        for number in range(40):
            here, there = number % 2, 1 - number % 2
            name = f"m{number}"
            made = await served.ask(here, "POST", MAPS, {"metadata": {"name": name}}, 201)
            shown = await served.ask(there, "GET", f"{MAPS}/{name}")
            assert shown["metadata"] == made["metadata"]
            listed = await served.ask(there, "GET", MAPS)
            assert name in {item["metadata"]["name"] for item in listed["items"]}
            assert int(listed["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
            await served.ask(there, "DELETE", f"{MAPS}/{name}")
            await served.ask(here, "GET", f"{MAPS}/{name}", code=404)


async def test_pages_and_watches_begun_at_one_go_on_at_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path, config_of(tmp_path), config_of(tmp_path)) as served:
        for number in range(10):
            await served.ask(0, "POST", MAPS, {"metadata": {"name": f"m{number}"}}, 201)
        page = await served.ask(0, "GET", f"{MAPS}?limit=4")
        names, at = [item["metadata"]["name"] for item in page["items"]], 1
        revision = page["metadata"]["resourceVersion"]
        await served.ask(1, "DELETE", f"{MAPS}/m9")
        while token := page["metadata"].get("continue"):
            page = await served.ask(at, "GET", f"{MAPS}?limit=4&continue={token}")
            assert page["metadata"]["resourceVersion"] == revision
            names += [item["metadata"]["name"] for item in page["items"]]
            at = 1 - at
        assert {f"m{number}" for number in range(10)} <= set(names)
        told = await served.ask(1, "GET", f"{MAPS}?watch=true&timeoutSeconds=1&resourceVersion={revision}", code=200)
        assert (told["type"], told["object"]["metadata"]["name"]) == ("DELETED", "m9")


async def test_a_token_signed_with_a_new_key_is_known_to_the_other(tmp_path: Path) -> None:
    async with serving(tmp_path, config_of(tmp_path), config_of(tmp_path)) as served:
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        await served.ask(0, "POST", accounts, {"metadata": {"name": "robot"}}, 201)
        keys._make_key(tmp_path / "pki/service-account", now_ms() + 1)
        rotated = served.gateways[1]
        rotated.access.accounts.keys = rotated._read_keys()
        request = await served.ask(1, "POST", f"{accounts}/robot/token", {"spec": {}}, 201)
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        told = await served.ask(0, "POST", path, review, 201, token=request["status"]["token"])
        assert told["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"


async def test_one_port_is_shared_and_goes_on_when_one_of_them_ends(tmp_path: Path) -> None:
    async with serving(tmp_path, config_of(tmp_path)) as first:
        port = first.gateways[0].port
    config = config_of(tmp_path, port, replicas=2)
    async with serving(tmp_path, config, config) as served:
        await asyncio.gather(*(served.ask(0, "GET", MAPS) for _ in range(40)))
        assert all(gateway.app.requests > 0 for gateway in served.gateways)
        await served.gateways[0].stop()
        await asyncio.gather(*(served.ask(1, "GET", MAPS) for _ in range(20)))
        other = tmp_path / "other"
        stranger = Gateway(config_of(other, port, replicas=2), served.gateways[1]._store, FakeNodes(), FakeCluster())
        with pytest.raises(GatewayError, match=f"port {port} is taken by another program"):
            await stranger.start()
        await stranger.stop()


# --- on Ray -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plane(short_module_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(short_module_path / "home", "node_name: two\ngateway: {port: 0, replicas: 2}\n")
    made.up()
    yield made
    made.speak("down")


@pytest.mark.root
@pytest.mark.timeout(240)
def test_a_watch_goes_on_when_its_gateway_is_killed(plane: ControlPlane) -> None:
    """As an informer does: list, watch from there, and when the connection breaks from the last revision seen."""
    plane.kubectl("create", "configmap", "first")
    told = asyncio.run(_watched_while_killed(plane))
    assert [name for kind, name in told if kind == "ADDED"] == [f"m{number}" for number in range(40)]
    status = json.loads(plane.kubectl("get", "--raw", "/raypod/v1/status"))
    assert {"raypod-gateway", "raypod-gateway-1"} <= {actor["name"] for actor in status["actors"]}


async def _watched_while_killed(plane: ControlPlane) -> list[tuple[str, str]]:
    """Both gateways are killed, one after the other, under a writer and a watcher that connect anew."""
    endpoint = read_endpoint(plane.kubeconfig)
    async with aiohttp.ClientSession(
        endpoint.server, connector=aiohttp.TCPConnector(ssl=ssl_context(endpoint)), raise_for_status=False
    ) as session:
        async with session.get(MAPS) as answer:
            since = (await answer.json())["metadata"]["resourceVersion"]
        watching = asyncio.create_task(_watched(session, since, 40))
        first, second = (pid for pid, title in plane.processes() if title.startswith("ray::GatewayActor"))
        for number in range(40):
            await _create(session, f"m{number}")
            if number in (10, 25):
                os.kill(first if number == 10 else second, signal.SIGKILL)
        async with asyncio.timeout(30):
            return await watching


async def _watched(session: aiohttp.ClientSession, since: str, count: int) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    while len(told) < count:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"{MAPS}?watch=true&resourceVersion={since}") as answer:
                async for line in answer.content:
                    event = json.loads(line)
                    metadata, since = event["object"]["metadata"], event["object"]["metadata"]["resourceVersion"]
                    told.append((event["type"], metadata["name"]))
                    if len(told) == count:
                        break
        await asyncio.sleep(0.05)
    return told


async def _create(session: aiohttp.ClientSession, name: str) -> None:
    """Until it is there: an answer that was lost with a gateway may have been a yes."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(MAPS, json={"metadata": {"name": name}}) as answer:
                    if answer.status in (201, 409):
                        return
            await asyncio.sleep(0.05)
