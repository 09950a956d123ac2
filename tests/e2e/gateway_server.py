"""A gateway over LocalStore on a loopback port, in a thread of its own, and clients for it: kubectl and raw HTTPS.

`act` runs store writes as a controller or a nodelet would, so that tests see what users see of a living cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from actors.api.key import Key
from actors.gateway.config import GatewayConfig
from actors.gateway.fake import FakeCluster, FakeNodes
from actors.gateway.pki import pki_at
from actors.gateway.port import ActorHealth
from actors.gateway.server import Gateway
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.store.local import LocalStore

KUBECTL = Path(__file__).parents[2] / ".venv/bin/kubectl"
T = TypeVar("T")


class Output:
    """What a command printed, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.out, self.err, self.code = done.stdout, done.stderr, done.returncode

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line."""
        return [line.split() for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class RunningGateway:
    def __init__(self, home: Path, **config: Any) -> None:
        self.home = home
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.nodes = FakeNodes()
        self.cluster = FakeCluster(ActorHealth(name="raypod-store", alive=True))
        self.config = GatewayConfig(host="127.0.0.1", port=0, home=str(home), **config)
        self.store = self.run(self._open_store())
        self.gateway = Gateway(self.config, self.store, self.nodes, self.cluster)
        self.run(self.gateway.start())

    async def _open_store(self) -> LocalStore:
        return LocalStore()

    def run(self, work: Coroutine[Any, Any, T], timeout_seconds: float = 30) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_seconds)

    def stop(self) -> None:
        self.run(self.gateway.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)

    def act(self, *writes: StoreWrite) -> None:
        for reply in self.run(self.store.commit(writes)):
            assert reply.error is None, reply.error

    def set_status(self, resource: str, namespace: str, name: str, status: dict[str, Any]) -> None:
        self.act(Patch(key=Key(resource, namespace, name), patch={"status": status}, subresource="status"))

    def place(self, name: str, node: str, namespace: str = "default") -> None:
        patch = {"spec": {"nodeName": node}}
        self.act(Patch(key=Key("pods", namespace, name), patch=patch, subresource="binding"))

    def confirm_gone(self, name: str, namespace: str = "default") -> None:
        """As the node does when the last container has ended."""
        self.act(Delete(key=Key("pods", namespace, name), grace_period_seconds=0))

    def make(self, obj: dict[str, Any], resource: str, namespace: str = "default") -> None:
        self.act(Create(resource=resource, namespace=namespace, object=obj))

    @property
    def environment(self) -> dict[str, str]:
        """HOME is ours: kubectl caches discovery there."""
        return {**os.environ, "KUBECONFIG": str(self.gateway.kubeconfig), "HOME": str(self.home), "NO_PROXY": "*"}

    def start_kubectl(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(KUBECTL), *args],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kubectl(self, *args: str, stdin: str = "", fails: bool | None = False, timeout_seconds: float = 30) -> Output:
        done = subprocess.run(
            [str(KUBECTL), *args],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
        output = Output(done)
        assert fails is None or (output.code != 0) == fails, (
            f"kubectl {' '.join(args)}: {output.code}\n{output.out}\n{output.err}"
        )
        return output

    def ssl_context(self, certificate: str = "admin") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(pki_at(self.home).ca.certificate))
        if certificate:
            folder = self.home / "pki"
            context.load_cert_chain(folder / f"{certificate}.crt", folder / f"{certificate}.key")
        return context

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        certificate: str = "admin",
    ) -> tuple[int, dict[str, str], bytes]:
        """Status code, headers, body."""
        request = urllib.request.Request(self.gateway.url + path, data=body, headers=headers or {}, method=method)
        request.add_unredirected_header("Content-type", (headers or {}).get("Content-Type", "application/json"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.ssl_context(certificate))
        )
        try:
            with opener.open(request, timeout=30) as reply:
                return reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One for the tests of a file; it must not have failed inside by the end."""
    running = RunningGateway(tmp_path_factory.mktemp("gateway"))
    yield running
    running.stop()
    assert running.gateway.app.failures == 0


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }


def deployment(name: str, replicas: int = 2, image: str = "nginx:1") -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 80}]}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def running_status(ip: str = "10.0.0.7") -> dict[str, Any]:
    started = {"running": {"startedAt": "2026-11-23T10:00:00Z"}}
    container = {"name": "main", "ready": True, "started": True, "restartCount": 0, "state": started}
    container |= {"image": "busybox", "imageID": ""}
    return {
        "phase": "Running",
        "podIP": ip,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}],
        "containerStatuses": [container],
    }
