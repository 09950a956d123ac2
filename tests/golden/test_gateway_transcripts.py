"""Whole conversations, byte for byte: `pytest tests/golden --update` writes them anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Protocol

from gateway_wire import Wire

from actors.api.key import Key
from actors.reconcile.actions import Create, Patch

FOLDER = Path(__file__).parent / "gateway"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Golden(Protocol):
    def check(self, path: Path, text: str) -> None: ...


class Transcript:
    """Asks, and writes down what was asked and what was said."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.lines: list[str] = []

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> None:
        answer = await self.wire.ask(method, path, body, **options)
        self.lines.append(f"> {method} {path}")
        self.lines += [f"> {name}: {value}" for name, value in sorted(options.items())]
        if body is not None:
            self.lines.append(f"> {json.dumps(body)}")
        self.lines.append(f"< {answer.code} {answer.headers['Content-Type']}")
        shown = json.dumps(_without_managers(answer.json), indent=1)
        self.lines += ["< " + line for line in shown.splitlines()] + [""]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def _without_managers(value: Any) -> Any:
    """Who owns which field is the store's matter, and tested there."""
    if isinstance(value, dict):
        return {name: _without_managers(item) for name, item in value.items() if name != "managedFields"}
    return [_without_managers(item) for item in value] if isinstance(value, list) else value


async def test_the_life_of_a_configmap(golden: Golden) -> None:
    said = Transcript(Wire())
    maps = "/api/v1/namespaces/default/configmaps"
    await said.ask("POST", f"{maps}?fieldManager=me", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    await said.ask("GET", f"{maps}/a")
    said.wire.now_ms += 5000
    await said.ask("PATCH", f"{maps}/a", {"data": {"k": None, "l": "w"}}, media="application/merge-patch+json")
    operations = [{"op": "test", "path": "/data/l", "value": "w"}, {"op": "add", "path": "/data/m", "value": "x"}]
    await said.ask("PATCH", f"{maps}/a", operations, media="application/json-patch+json")
    await said.ask("GET", maps, Accept=TABLE)
    await said.ask("GET", f"{maps}?limit=1")
    await said.ask("DELETE", f"{maps}/a", {"preconditions": {"uid": "another"}})
    await said.ask("DELETE", f"{maps}/a", {"propagationPolicy": "Background"})
    await said.ask("GET", f"{maps}/a")
    golden.check(FOLDER / "configmap.txt", said.text)


async def test_scale_bind_evict_review(golden: Golden) -> None:
    said = Transcript(Wire())
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployments, pods = "/apis/apps/v1/namespaces/default/deployments", "/api/v1/namespaces/default/pods"
    await said.wire.ask("POST", deployments, {"metadata": {"name": "d"}, "spec": spec})
    await said.ask("GET", f"{deployments}/d/scale")
    await said.ask("PATCH", f"{deployments}/d/scale", {"spec": {"replicas": 0}}, media="application/merge-patch+json")
    await said.wire.ask("POST", pods, {"metadata": {"name": "p"}, "spec": template["spec"]})
    target = {"target": {"kind": "Node", "name": "n1"}}
    await said.ask("POST", f"{pods}/p/binding", target)
    await said.ask("POST", f"{pods}/p/binding", target)
    await said.ask("POST", f"{pods}/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction"})
    await said.ask("GET", f"{pods}/p", Accept=TABLE)
    reviews = "/apis/authorization.k8s.io/v1"
    asked = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    await said.ask("POST", f"{reviews}/selfsubjectaccessreviews", asked)
    await said.ask("POST", f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    await said.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    golden.check(FOLDER / "subresources.txt", said.text)


async def test_discovery(golden: Golden) -> None:
    said = Transcript(Wire())
    for path in ("/version", "/version/", "/api", "/api/", "/apis", "/apis/apps", "/api/v1", "/apis/batch/v1/"):
        await said.ask("GET", path)
    await said.ask("GET", "/api", Accept=AGGREGATED)
    await said.ask("GET", "/apis", Accept=AGGREGATED)
    await said.ask("GET", "/openapi/v3")
    await said.ask("GET", "/apis/nope")
    golden.check(FOLDER / "discovery.txt", re.sub(r"hash=[0-9A-F]{32}", "hash=...", said.text))


async def test_raypods_own(golden: Golden) -> None:
    said = Transcript(Wire())
    await _make_node(said.wire)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "500m", "nvidia.com/gpu": "1"}}
    await said.wire.ask("POST", "/api/v1/namespaces/default/pods", pod)
    await said.wire.ask("POST", "/api/v1/namespaces/default/pods/p/binding", {"target": {"name": "n1"}})
    await said.wire.ask("POST", "/api/v1/namespaces/default/pods", {**pod, "metadata": {"name": "q"}})
    await said.ask("GET", "/raypod/v1/status")
    images = "/raypod/v1/nodes/n1/images"
    await said.ask("GET", images)
    await said.ask("POST", images, {"verb": "pull", "reference": "busybox"})
    await said.ask("POST", images, {"verb": "pull", "reference": "busybox"})
    await said.ask("POST", images, {"verb": "pull"})
    await said.ask("POST", images, {"verb": "eat", "reference": "busybox"})
    await said.ask("POST", images, {"verb": "remove", "reference": "busybox"})
    await said.ask("POST", images, {"verb": "remove", "reference": "busybox"})
    await said.ask("DELETE", images)
    said.wire.nodes.away.add("n1")
    await said.ask("GET", images)
    golden.check(FOLDER / "raypod.txt", said.text)


async def _make_node(wire: Wire) -> None:
    devices = {"nvidia.com/gpu": [{"id": "GPU-1", "healthy": True, "attributes": {}}]}
    metadata = {"name": "n1", "annotations": {"raypod.io/devices": json.dumps(devices)}}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
        "allocatable": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
    }
    await wire.store.commit([Create(resource="nodes", namespace="", object=node)])
    await wire.store.commit([Patch(key=Key("nodes", "", "n1"), patch={"status": status}, subresource="status")])
