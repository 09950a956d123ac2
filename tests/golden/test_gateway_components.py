"""ComponentStatuses, and what else of the API is deprecated and still served with a warning."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_wire import NOBODY, Wire

from actors.gateway.port import ActorHealth

STATUSES = "/api/v1/componentstatuses"
WARNED = '299 - "v1 ComponentStatus is deprecated in v1.19+"'
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def cluster(*away: str) -> Wire:
    wire = Wire()
    for part in ("store", "scheduler", "controllers"):
        wire.cluster.healths += [ActorHealth(name=f"raypod-{part}", alive=part not in away, message="no answer")]
    wire.cluster.healths.pop(0)
    return wire


def rows(listed: dict[str, Any]) -> dict[str, str]:
    return {item["metadata"]["name"]: item["conditions"][0]["status"] for item in listed["items"]}


async def test_each_part_under_kubernetes_name_with_a_warning() -> None:
    answer = await cluster("scheduler").ask("GET", STATUSES)
    assert rows(answer.json) == {"controller-manager": "True", "etcd-0": "True", "scheduler": "Unknown"}
    assert answer.json["kind"] == "ComponentStatusList" and answer.headers["Warning"] == WARNED
    one = (await cluster("scheduler").ask("GET", f"{STATUSES}/scheduler")).json
    assert one["conditions"] == [{"type": "Healthy", "status": "Unknown", "error": "no answer"}]
    assert one["metadata"] == {"name": "scheduler"}


async def test_as_a_table() -> None:
    table = (await cluster("store").ask("GET", STATUSES, Accept=TABLE)).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Status", "Message", "Error"]
    assert table["rows"][0]["cells"] == ["controller-manager", "Healthy", "ok", ""]
    assert table["rows"][1]["cells"] == ["etcd-0", "Unhealthy", "", "no answer"]


async def test_selectors() -> None:
    wire = cluster()
    named = (await wire.ask("GET", f"{STATUSES}?fieldSelector=metadata.name%3Detcd-0")).json
    assert list(rows(named)) == ["etcd-0"]
    assert (await wire.ask("GET", f"{STATUSES}?labelSelector=a%3Db")).json["items"] == []
    refused = await wire.ask("GET", f"{STATUSES}?fieldSelector=spec.x%3Dy")
    assert refused.code == 400 and refused.json["message"].startswith('"spec.x" is not a known field selector')


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", f"{STATUSES}/nope", 404), ("POST", STATUSES, 405), ("DELETE", f"{STATUSES}/scheduler", 405)],
)
async def test_what_is_not_there(method: str, path: str, code: int) -> None:
    assert (await cluster().ask(method, path)).code == code


async def test_only_for_those_who_may() -> None:
    assert (await cluster().ask("GET", STATUSES, certificate=NOBODY)).code == 403


async def test_watches_warn_too() -> None:
    watching = Wire().open("GET", "/api/v1/endpoints?watch=1")
    head = await watching.read(lambda raw: b"\r\n\r\n" in raw)
    assert b'Warning: 299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"' in head
    watching.hang_up()


async def test_a_role_that_names_an_object_lets_it_be_listed_by_name() -> None:
    wire = Wire()
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["list", "watch"]}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "nobody"}
    reference = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "r"}
    root = "/apis/rbac.authorization.k8s.io/v1"
    await wire.ask("POST", f"{root}/clusterroles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {"metadata": {"name": "b"}, "subjects": [subject], "roleRef": reference}
    await wire.ask("POST", f"{root}/clusterrolebindings", binding)
    maps = "/api/v1/namespaces/default/configmaps"
    for query, code in (
        ("?fieldSelector=metadata.name%3Dmine", 200),
        ("?fieldSelector=metadata.name%3Dx", 403),
        ("", 403),
    ):
        assert (await wire.ask("GET", maps + query, certificate=NOBODY)).code == code
