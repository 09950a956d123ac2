"""`create_many` and `run_many` against a gateway over TLS: what became of each, in order, also when an answer is lost."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_server import RunningGateway, served

import raypod
from raypod import api
from raypod.batch import _requests

__all__ = ["served"]


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": name}}


def test_many_objects_of_any_kinds(served: RunningGateway) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []}
    objects = [*(config_map(f"m{n}") for n in range(1100)), config_map("m0"), space, role]
    with raypod.Cluster(served.gateway.kubeconfig) as cluster:
        before = served.store.revision
        made = cluster.create_many(objects)
        assert len(made) == 1103
        names = [one["metadata"]["name"] for one in made if not isinstance(one, raypod.ApiError)]
        assert names == [*(f"m{n}" for n in range(1100)), "other", "r"]
        assert isinstance(made[1100], raypod.NameTaken)
        assert served.store.revision == before + 1102
        [inside] = cluster.create_many([config_map("m0", namespace="other")])
        assert inside["metadata"]["namespace"] == "other"
        assert cluster.create_many([]) == []
        with pytest.raises(ValueError, match="no kind 'Wombat'"):
            cluster.create_many([{"apiVersion": "v1", "kind": "Wombat"}])


def test_many_runs(served: RunningGateway) -> None:
    with raypod.Cluster(served.gateway.kubeconfig) as cluster:
        runs = cluster.run_many(
            [{"image": "host", "command": ["true"], "name": "one"}, {"image": "host", "replicas": 3}]
        )
        assert runs[0].name == "one" and runs[1].name.startswith("run-") and runs[1].replicas == 3
        assert {run.name for run, _ in cluster.runs()} == {run.name for run in runs}
        with pytest.raises(ValueError, match="replicas: a whole number"):
            cluster.run_many([{"image": "host", "name": "never"}, {"image": "host", "replicas": 0}])
        with pytest.raises(raypod.SomeRefused, match=r'1 of 2 runs were refused; the first because .*"one"') as refused:
            cluster.run_many([{"image": "host", "name": "one"}, {"image": "host", "name": "two"}])
        assert isinstance(refused.value.results[0], raypod.NameTaken) and refused.value.results[1].name == "two"
        assert {run.name for run, _ in cluster.runs()} == {*(run.name for run in runs), "two"}


def test_a_lost_answer_is_asked_for_again(served: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has done it, the client was not told: the repeat is answered as the first would have been."""
    read, lost = api._read_object, []

    async def lose_one(response: Any) -> Any:
        obj = await read(response)
        if obj.get("kind") == "BatchResult" and not lost:
            lost.append(obj)
            raise api.aiohttp.ServerDisconnectedError
        return obj

    monkeypatch.setattr(api, "_read_object", lose_one)
    with raypod.Cluster(served.gateway.kubeconfig) as cluster:
        before = served.store.revision
        [made] = cluster.create_many([config_map("lost")])
        assert made == lost[0]["items"][0]["object"]
        assert served.store.revision == before + 1


def test_requests_hold_no_more_than_they_may() -> None:
    large = {"data": {"k": "x" * 1_000_000}}
    assert [len(items) for items in _requests([("/p", {})] * 1201)] == [500, 500, 201]
    assert [len(items) for items in _requests([("/p", large)] * 20)] == [8, 8, 4]
    assert list(_requests([])) == []
