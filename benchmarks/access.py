"""What the door costs: creates a second by an administrator, a user with a role and a token, beside no door at all.

The peer is the same gateway with `Access.admit` answering at once; both take turns, in one process, over HTTPS on
loopback, the store in memory, so that nothing hides the cost. `audit` is the administrator with the audit log on.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.x509.oid import ExtendedKeyUsageOID

from actors.gateway import pki
from actors.gateway.auth.user import MASTERS, User
from actors.gateway.config import AuditConfig, GatewayConfig
from actors.gateway.fake import FakeCluster, FakeNodes
from actors.gateway.server import Gateway
from actors.reconcile.actions import Create
from actors.store.local import LocalStore
from raypod.kubeconfig import Endpoint, ssl_context

_CLIENTS = 10
_PATH = "/api/v1/namespaces/default/configmaps"
_ROUNDS = 5
_ROLE = "rbac.authorization.k8s.io/v1"


def measure(quick: bool = False) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as home:
        return asyncio.run(_measure(Path(home), 200 if quick else 1000))


async def _measure(home: Path, count: int) -> list[dict[str, Any]]:
    plain = await _start(home / "plain", AuditConfig())
    audited = await _start(home / "audited", AuditConfig(path="audit.log"))
    token = await _token(plain)
    cases: list[tuple[str, Gateway, str, str]] = [
        ("access-create-master", plain, "admin", ""),
        ("access-create-role", plain, "user", ""),
        ("access-create-token", plain, "", token),
        ("access-create-master-audit", audited, "admin", ""),
    ]
    rows = [await _row(*case, count) for case in cases]
    await plain.stop()
    await audited.stop()
    return rows


async def _start(home: Path, audit: AuditConfig) -> Gateway:
    store = LocalStore()
    gateway = Gateway(
        GatewayConfig(host="127.0.0.1", port=0, home=str(home), audit=audit), store, FakeNodes(), FakeCluster()
    )
    await gateway.start()
    files = pki.pki_at(home)
    pair = pki.Pair(home / "pki" / "user.crt", home / "pki" / "user.key")
    authority = pki._Authority(files.ca, datetime.now(UTC))
    authority.issue(pair, "user", "", (), ExtendedKeyUsageOID.CLIENT_AUTH)
    subjects = [{"kind": "User", "name": "user"}, {"kind": "ServiceAccount", "name": "default"}]
    ref = {"kind": "ClusterRole", "name": "edit"}
    binding = {
        "apiVersion": _ROLE,
        "kind": "RoleBinding",
        "metadata": {"name": "b"},
        "roleRef": ref,
        "subjects": subjects,
    }
    resource = "rolebindings.rbac.authorization.k8s.io"
    await store.commit([Create(resource=resource, namespace="default", object=binding)])
    await asyncio.sleep(1)
    return gateway


async def _token(gateway: Gateway) -> str:
    async with _session(gateway, "admin", "") as session:
        path = f"{gateway.url}/api/v1/namespaces/default/serviceaccounts/default/token"
        async with session.post(path, json={}) as reply:
            return str((await reply.json())["status"]["token"])


def _session(gateway: Gateway, certificate: str, token: str) -> aiohttp.ClientSession:
    folder = gateway.config.home_path / "pki"
    endpoint = Endpoint(
        server=gateway.url,
        ca=(folder / "ca.crt").read_bytes(),
        certificate=(folder / f"{certificate}.crt").read_bytes() if certificate else b"",
        key=(folder / f"{certificate}.key").read_bytes() if certificate else b"",
    )
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl_context(endpoint)), headers=headers)


async def _row(name: str, gateway: Gateway, certificate: str, token: str, count: int) -> dict[str, Any]:
    door: list[float] = []
    none: list[float] = []
    async with _session(gateway, certificate, token) as session:
        await _creates(gateway, session, f"{name}-warm", 50)
        for number in range(_ROUNDS):
            door.append(await _creates(gateway, session, f"{name}-{number}-on", count))
            restore = _open_door(gateway)
            none.append(await _creates(gateway, session, f"{name}-{number}-off", count))
            restore()
    value, peer = statistics.median(door), statistics.median(none)
    shown = {"name": name, "value": round(value), "unit": "1/CPU s", "peer": "no door", "peer_value": round(peer)}
    return {**shown, "ratio": round(value / peer, 3), "n": count * _ROUNDS, "p50": None, "p99": None}


def _open_door(gateway: Gateway) -> Callable[[], None]:
    """Everybody is let in as an administrator, and nothing is written down, until the answer is called."""
    app, backend = gateway.app, gateway.app.backend

    async def admit(*_: object) -> User:
        return User("anybody", (MASTERS,))

    object.__setattr__(gateway.access, "admit", admit)
    trail = backend.trail
    object.__setattr__(backend, "trail", None)

    def restore() -> None:
        del gateway.access.__dict__["admit"]
        object.__setattr__(app.backend, "trail", trail)

    return restore


async def _creates(gateway: Gateway, session: aiohttp.ClientSession, prefix: str, count: int) -> float:
    """Per second of CPU, so that others on the machine do not count."""

    async def work(client: int) -> None:
        for number in range(count // _CLIENTS):
            obj = {"metadata": {"name": f"{prefix}-{client}-{number}"}, "data": {"k": "v" * 900}}
            async with session.post(f"{gateway.url}{_PATH}", data=json.dumps(obj)) as reply:
                if reply.status != 201:
                    raise RuntimeError(await reply.text())

    began = time.process_time()
    await asyncio.gather(*map(work, range(_CLIENTS)))
    return count / (time.process_time() - began)
