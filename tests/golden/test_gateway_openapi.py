"""OpenAPI in the forms that clients ask for."""

from __future__ import annotations

import pytest
from gateway_wire import Wire

V2, V3 = "application/com.github.proto-openapi.spec.v2", "application/com.github.proto-openapi.spec.v3"


@pytest.mark.parametrize("sign", ["@", "."])
@pytest.mark.parametrize(("path", "form"), [("/openapi/v2", V2), ("/openapi/v3/apis/apps/v1", V3)])
async def test_protobuf_by_both_of_its_names(path: str, form: str, sign: str) -> None:
    answer = await Wire().ask("GET", path, Accept=f"{form}{sign}v1.0+protobuf")
    assert (answer.code, answer.headers["Content-Type"]) == (200, f"{form}.v1.0+protobuf")
    assert answer.body[:1] == b"\x0a" and b"DeploymentSpec" in answer.body


async def test_what_is_asked_for_first_is_sent() -> None:
    answer = await Wire().ask("GET", "/openapi/v3/apis/apps/v1", Accept=f"application/json, {V3}@v1.0+protobuf")
    assert answer.json["openapi"] == "3.0.0"


async def test_both_forms_go_by_one_hash() -> None:
    wire = Wire()
    url = (await wire.ask("GET", "/openapi/v3")).json["paths"]["apis/apps/v1"]["serverRelativeURL"]
    plain, packed = await wire.ask("GET", url), await wire.ask("GET", url, Accept=f"{V3}@v1.0+protobuf")
    assert plain.code == packed.code == 200
    assert plain.headers["Cache-Control"] == packed.headers["Cache-Control"] == "public, immutable"
    assert plain.headers["ETag"] != packed.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "watched", "action", "operation"),
    [
        ("api/v1", "/api/v1/watch/namespaces/{namespace}/pods", "watchlist", "watchCoreV1NamespacedPodList"),
        ("api/v1", "/api/v1/watch/namespaces/{namespace}/pods/{name}", "watch", "watchCoreV1NamespacedPod"),
        ("api/v1", "/api/v1/watch/pods", "watchlist", "watchCoreV1PodListForAllNamespaces"),
        ("api/v1", "/api/v1/watch/nodes/{name}", "watch", "watchCoreV1Node"),
        ("apis/apps/v1", "/apis/apps/v1/watch/deployments", "watchlist", "watchAppsV1DeploymentListForAllNamespaces"),
    ],
)
async def test_the_older_paths_of_watches_are_told(path: str, watched: str, action: str, operation: str) -> None:
    wire = Wire()
    document = (await wire.ask("GET", f"/openapi/v3/{path}")).json
    get = document["paths"][watched]["get"]
    assert (get["x-kubernetes-action"], get["operationId"]) == (action, operation)
    shape = get["responses"]["200"]["content"]["application/json;stream=watch"]["schema"]["$ref"]
    assert document["components"]["schemas"][shape.rpartition("/")[2]]["required"] == ["object", "type"]
    assert watched in (await wire.ask("GET", "/openapi/v2")).json["paths"]
