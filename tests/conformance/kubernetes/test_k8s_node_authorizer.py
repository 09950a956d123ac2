"""test/e2e/auth: node_authz.go. A node of that name and group, by impersonation; its pods lie on it from the start."""

from __future__ import annotations

import base64

import pytest
from api_client import Answer, Api, Json
from eventually import eventually

_NODE = "node-of-the-test"
_AS = {"Impersonate-User": f"system:node:{_NODE}", "Impersonate-Group": "system:nodes"}


@pytest.fixture(autouse=True)
def node(api: Api) -> None:
    if api.get(f"/api/v1/nodes/{_NODE}").code == 404:
        api.post("/api/v1/nodes", {"metadata": {"name": _NODE}}).ok()


def _forbidden(answer: Answer) -> str:
    return str(answer.refused(403, "Forbidden")["message"])


@pytest.mark.parametrize("plural", ["secrets", "configmaps"])
def test_what_is_not_there_is_forbidden_and_not_missing(api: Api, plural: str) -> None:
    assert "no relationship found between node" in _forbidden(api.get(f"{plural}/foo", headers=_AS))


@pytest.mark.parametrize("plural", ["secrets", "configmaps"])
def test_what_is_there_is_forbidden(api: Api, plural: str) -> None:
    data = {"data": {"data": base64.b64encode(b"content").decode()}}
    api.post(plural, {"metadata": {"name": "node-auth"}, **data}).ok()
    _forbidden(api.get(f"{plural}/node-auth", headers=_AS))
    _forbidden(api.get(plural, headers=_AS))


def test_a_secret_of_a_workload_that_it_has_may_be_read_until_that_is_gone(api: Api) -> None:
    api.post("secrets", {"metadata": {"name": "node-auth-secret"}, "data": {"data": "a2VlcA=="}}).ok()
    _forbidden(api.get("secrets/node-auth-secret", headers=_AS))
    variable = {"name": "S", "valueFrom": {"secretKeyRef": {"name": "node-auth-secret", "key": "data"}}}
    container: Json = {"name": "pause", "image": "pause:1", "env": [variable]}
    spec = {"nodeName": _NODE, "containers": [container]}
    api.post("pods", {"metadata": {"name": "pause"}, "spec": spec}).ok()
    eventually(lambda: api.get("secrets/node-auth-secret", headers=_AS).code == 200)
    api.delete("pods/pause", {"gracePeriodSeconds": 0}).ok()
    eventually(lambda: api.get("secrets/node-auth-secret", headers=_AS).code == 403)


def test_another_node_is_neither_made_nor_deleted(api: Api) -> None:
    made = api.ask("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "foo"}}, _AS)
    assert 'is not allowed to modify node "foo"' in _forbidden(made)
    _forbidden(api.ask("DELETE", "/api/v1/nodes/foo", None, _AS))
