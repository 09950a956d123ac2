"""POST /apis/raypod.io/v1/batch: every item as if it had come alone, in order, in one commit; limits; repeats."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_wire import NOBODY, Answer, Wire

BATCH = "/apis/raypod.io/v1/batch"
MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


def post(name: str, path: str = MAPS, **data: str) -> dict[str, Any]:
    return {"method": "POST", "path": path, "body": {"metadata": {"name": name}, "data": data}}


async def send(wire: Wire, *items: dict[str, Any], **more: Any) -> Answer:
    headers = more.pop("headers", {})
    return await wire.ask("POST", BATCH, {"items": list(items), **more}, **headers)


async def codes(wire: Wire, *items: dict[str, Any], **more: Any) -> list[int]:
    answer = await send(wire, *items, **more)
    assert answer.code == 200, answer.json
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("BatchResult", "raypod.io/v1")
    return [item["code"] for item in answer.json["items"]]


async def test_each_has_its_own_answer_in_order() -> None:
    wire = Wire()
    items = [
        post("a", k="1"),
        post("a"),
        {"method": "PATCH", "path": f"{MAPS}/a?fieldManager=me", "contentType": MERGE, "body": {"data": {"k": "2"}}},
        {"method": "PUT", "path": f"{MAPS}/b", "body": {"metadata": {"name": "c"}}},
        {"method": "DELETE", "path": f"{MAPS}/a"},
        post("n", "/api/v1/namespaces"),
        post("inside", "/api/v1/namespaces/n/configmaps"),
        {"method": "PATCH", "path": f"{MAPS}/a", "body": {}},
        post("x", "/api/v1/namespaces/default/wombats"),
    ]
    told = (await send(wire, *items)).json["items"]
    assert [item["code"] for item in told] == [201, 409, 200, 400, 200, 201, 201, 415, 404]
    assert told[0]["object"]["data"] == {"k": "1"} and told[2]["object"]["data"] == {"k": "2"}
    assert told[2]["object"]["metadata"]["managedFields"][-1]["manager"] == "me"
    assert told[1]["object"] == (await _alone(["a"], "POST", MAPS, {"metadata": {"name": "a"}})).json
    assert told[4]["object"]["status"] == "Success"


async def _alone(there: list[str], method: str, path: str, body: Any) -> Answer:
    wire = Wire()
    for name in there:
        await wire.ask("POST", MAPS, {"metadata": {"name": name}})
    return await wire.ask(method, path, body)


async def test_it_is_one_commit() -> None:
    wire = Wire()
    sizes: list[int] = []
    commit = wire.store.commit

    async def counted(writes: Any, idempotency_key: str = "") -> Any:
        sizes.append(len(writes))
        return await commit(writes, idempotency_key)

    wire.store.commit = counted  # type: ignore[method-assign]
    refused = {"method": "POST", "path": MAPS, "body": {"metadata": {}}}
    assert (await codes(wire, post("a"), refused, post("b"), post("c"))) == [201, 422, 201, 201]
    assert sizes == [3]
    many = [post(f"m{n}") for n in range(1200)]
    assert set(await codes(wire, *many)) == {201}
    assert sizes[1:] == [500, 500, 200]


async def test_what_it_returns_and_warns() -> None:
    wire = Wire()
    told = (await send(wire, post("a"), post("a"), returns="Identity")).json["items"]
    alone = (await wire.ask("GET", f"{MAPS}/a")).json["metadata"]
    identity = {name: alone[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    assert told[0] == {"code": 201, "object": {"metadata": identity}}
    assert told[1]["object"]["reason"] == "AlreadyExists"
    odd = {"method": "POST", "path": MAPS, "body": {"metadata": {"name": "odd"}, "wombat": 1}}
    [warned] = (await send(wire, odd)).json["items"]
    assert (warned["code"], warned["warnings"]) == (201, ['unknown field "wombat"'])
    odd["path"] += "?fieldValidation=Strict"
    assert (await codes(wire, odd)) == [400]


async def test_a_dry_run_stores_nothing() -> None:
    wire = Wire()
    before = wire.store.revision
    assert await codes(wire, post("a", f"{MAPS}?dryRun=All"), post("a", f"{MAPS}?dryRun=All")) == [201, 201]
    assert wire.store.revision == before


async def test_a_repeat_is_told_the_same() -> None:
    wire = Wire()
    drawn = {"method": "POST", "path": MAPS, "body": {"metadata": {"generateName": "g-"}}}
    key = {"Idempotency_Key": "once"}
    first = await send(wire, drawn, post("a"), headers=key)
    revision = wire.store.revision
    again = await send(wire, drawn, post("a"), headers=key)
    assert again.json == first.json and wire.store.revision == revision
    other = await send(wire, drawn, post("a"), headers={"Idempotency_Key": "twice"})
    assert [item["code"] for item in other.json["items"]] == [201, 409]
    assert wire.store.revision == revision + 1


async def test_the_door_is_the_same_for_every_item() -> None:
    wire = Wire()
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]}
    subject = {"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    await wire.ask("POST", f"{rbac}/namespaces/default/roles", {"metadata": {"name": "maker"}, **role})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"}
    binding = {"metadata": {"name": "maker"}, "roleRef": reference, "subjects": [subject]}
    await wire.ask("POST", f"{rbac}/namespaces/default/rolebindings", binding)
    other = {
        "metadata": {"name": "batches"},
        "rules": [{"apiGroups": ["raypod.io"], "resources": ["batch"], "verbs": ["create"]}],
    }
    await wire.ask("POST", f"{rbac}/clusterroles", other)
    reference = {**reference, "kind": "ClusterRole", "name": "batches"}
    binding = {"metadata": {"name": "batches"}, "roleRef": reference, "subjects": [subject]}
    await wire.ask("POST", f"{rbac}/clusterrolebindings", binding)
    items = [post("a"), post("b", "/api/v1/namespaces"), {"method": "DELETE", "path": f"{MAPS}/a"}, post("c")]
    answer = await wire.ask("POST", BATCH, {"items": items}, certificate=NOBODY)
    assert [item["code"] for item in answer.json["items"]] == [201, 403, 403, 201]
    sentence = 'namespaces is forbidden: User "nobody" cannot create resource "namespaces"'
    assert answer.json["items"][1]["object"]["message"].startswith(sentence)
    told = (await wire.ask("GET", f"{MAPS}/a/history")).json["items"]
    assert [item["user"] for item in told] == ["nobody"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"method": "GET", "path": f"{MAPS}/a"}, 400),
        ({"method": "DELETE", "path": MAPS}, 400),
        ({"method": "POST", "path": BATCH, "body": {"items": []}}, 400),
        ({"method": "POST", "path": "/raypod/v1/nodes/n/images"}, 400),
        ({"method": "POST", "path": "/version"}, 400),
        ({"method": "POST", "path": "/api/v1/namespaces/default/pods/p/exec"}, 400),
        ({"method": "POST", "path": "/api/v1/%2e%2e/x"}, 400),
        ({"method": "POST", "path": MAPS}, 400),
        ({"method": "POST", "path": MAPS, "body": 7}, 400),
        ({"method": "POST", "path": f"{MAPS}/a", "body": {}}, 405),
    ],
)
async def test_what_an_item_may_not_be(item: dict[str, Any], code: int) -> None:
    wire = Wire()
    assert await codes(wire, item, post("fine")) == [code, 201]
    assert wire.app.failures == 0


async def test_what_the_whole_may_not_be() -> None:
    wire = Wire()
    for body, code, said in [
        ({"items": [post("a")] * 5001}, 413, "at most 5000 are taken at once"),
        ({"items": [{**post("a"), "verb": "create"}]}, 400, "unknown field `verb`"),
        ({"items": {}}, 400, "Expected `array`"),
        ({"kind": "List", "items": []}, 400, "not a Batch of raypod.io/v1"),
        (b"[" * 100_000, 400, "not a Batch|nested"),
        (b'{"items":[{"method":"POST","path":"x","body":' + b"[" * 5000 + b"]" * 5000 + b"}]}", 400, "nested"),
    ]:
        answer = await wire.ask("POST", BATCH, body)
        assert answer.code == code, answer.json
        assert any(part in answer.json["message"] for part in said.split("|"))
    assert (await send(wire, post("a"), headers={"Idempotency_Key": "x" * 300})).code == 400
    assert (await wire.ask("GET", BATCH)).code == 405
    assert (await send(wire)).json["items"] == []


async def test_a_store_that_is_away_is_every_items_answer() -> None:
    wire = Wire()
    wire.store.engine.backend.failing = True  # type: ignore[attr-defined]
    bad = {"method": "POST", "path": MAPS, "body": {"metadata": {}}}
    assert await codes(wire, post("a"), bad, post("b")) == [503, 422, 503]


async def test_two_at_once_do_not_mix() -> None:
    wire = Wire()
    one, other = await asyncio.gather(
        send(wire, *(post(f"a{n}") for n in range(20))), send(wire, *(post(f"b{n}") for n in range(20)))
    )
    for answer, letter in ((one, "a"), (other, "b")):
        names = [item["object"]["metadata"]["name"] for item in answer.json["items"]]
        assert names == [f"{letter}{n}" for n in range(20)]
