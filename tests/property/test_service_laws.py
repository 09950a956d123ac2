"""Services in random histories: what one holds no other holds, what is held is told by IPAddress objects and nothing
else, and whatever is given back can be had again. Ranges are so small that they are full again and again.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.codec import decode
from actors.api.key import Key
from actors.api.kinds import IP_ADDRESS, SERVICE
from actors.reconcile.actions import Create, Delete, Patch, PatchType, StoreWrite, Update
from actors.reconcile.watch import Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds

CONFIG = StoreConfig(service_cidrs=("10.9.0.0/29", "fd00::/125"), service_node_ports="30000-30004")
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
ADDRESSES = st.sampled_from([None, None, None, "None", "10.9.0.2", "10.9.0.3", "fd00::2", "10.9.0.0", "1.1.1.1"])
NODE_PORTS = st.sampled_from([None, None, 30000, 30001, 29999])
POLICIES = st.sampled_from([None, None, "SingleStack", "PreferDualStack", "RequireDualStack"])
TRAFFIC = st.sampled_from([None, "Local", "Cluster"])


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 2))
    ports: list[dict[str, Any]] = [{"name": f"p{n}", "port": 80 + n} for n in range(count)]
    if (port := draw(NODE_PORTS)) is not None:
        ports[0]["nodePort"] = port
    fields = {
        "type": draw(TYPES),
        "clusterIP": draw(ADDRESSES),
        "ipFamilyPolicy": draw(POLICIES),
        "externalTrafficPolicy": draw(TRAFFIC),
        "externalName": "example.com",
        "selector": draw(st.sampled_from([None, {"a": "b"}])),
        "ports": ports,
    }
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def writes(draw: st.DrawFn) -> StoreWrite:
    name = draw(NAMES)
    key = Key(SERVICE.resource, "default", name)
    kind = draw(st.sampled_from(["create", "create", "update", "patch", "delete", "steal"]))
    if kind == "delete":
        return Delete(key=key)
    if kind == "steal":
        return Delete(key=Key(IP_ADDRESS.resource, "", draw(st.sampled_from(["10.9.0.1", "10.9.0.2", "10.9.0.3"]))))
    if kind == "patch":
        patch = {"spec": {"type": draw(TYPES), "externalName": "example.com"}}
        return Patch(key=key, patch=patch, type=PatchType.MERGE)
    obj = {"metadata": {"name": name}, "spec": draw(specs())}
    dry = draw(st.booleans()) and draw(st.booleans())
    if kind == "create":
        return Create(resource=SERVICE.resource, namespace="default", object=obj, dry_run=dry)
    return Update(key=key, object=obj, dry_run=dry)


def objects(engine: Engine, resource: str) -> list[dict[str, Any]]:
    return [decode(stored) for stored in engine.list(Selection((resource,))).items]


def check_laws(engine: Engine) -> None:
    held: dict[str, str] = {}
    numbers: dict[int, str] = {}
    for service in objects(engine, SERVICE.resource):
        name, spec = service["metadata"]["name"], service["spec"]
        addresses = [address for address in spec.get("clusterIPs", ()) if address != "None"]
        assert spec.get("clusterIP") == (spec.get("clusterIPs") or [None])[0]
        if spec["type"] == "ExternalName":
            assert not spec.keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
        elif spec.get("clusterIP") != "None":
            assert [6 if ":" in address else 4 for address in addresses] == [int(f[-1]) for f in spec["ipFamilies"]]
        for address in addresses:
            assert address not in held
            held[address] = name
        own = {port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
        own |= {spec["healthCheckNodePort"]} if spec.get("healthCheckNodePort") else set()
        assert not own or spec["type"] in ("NodePort", "LoadBalancer")
        if spec["type"] == "NodePort":
            assert all(30000 <= port["nodePort"] <= 30004 for port in spec["ports"])
        for number in own:
            assert number not in numbers
            numbers[number] = name
    known = {a["metadata"]["name"]: a["spec"]["parentRef"]["name"] for a in objects(engine, IP_ADDRESS.resource)}
    assert known == held


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(writes(), min_size=1, max_size=4), max_size=15))
def test_nobody_holds_what_another_holds(batches: list[list[StoreWrite]]) -> None:
    engine = Engine(MemoryBackend(), SeededIds("laws"), CONFIG)
    engine.commit(bootstrap_writes(CONFIG), 0)
    for batch in batches:
        before = engine.revision
        replies = engine.commit(batch, 1_000)
        assert all(reply.error is None or reply.error["code"] in (403, 404, 409, 422, 500) for reply in replies)
        if all(not reply.changed or reply.error is not None for reply in replies):
            assert engine.revision == before
        check_laws(engine)
    for service in objects(engine, SERVICE.resource):
        metadata = service["metadata"]
        engine.commit([Delete(key=Key(SERVICE.resource, metadata["namespace"], metadata["name"]))], 2_000)
    assert objects(engine, IP_ADDRESS.resource) == []
