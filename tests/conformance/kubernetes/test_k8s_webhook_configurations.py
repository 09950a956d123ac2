"""webhook.go, the rest: configurations that are updated, patched, listed, deleted, and match conditions."""

from __future__ import annotations

import pytest
from api_client import Api, Json, config_map
from eventually import eventually
from sample_webhook import Webhooks
from test_k8s_webhook import _DISALLOW, _started, authority, hooks

__all__ = ["authority", "hooks"]
_KINDS = ("validating", "mutating")


def _hook_of(kind: str, hooks: Webhooks) -> Json:
    path = "/configmaps" if kind == "validating" else "/mutating-configmaps"
    return hooks.hook(f"{kind}.k8s.io", path, "configmaps")


def _acts(api: Api, kind: str, name: str) -> bool:
    """Whether the hook has denied or changed what is made."""
    if kind == "validating":
        answer = api.post("configmaps", config_map(name, **_DISALLOW))
        acted = "unwanted key" in answer.json.get("message", "")
    else:
        acted = "mutation-stage-1" in api.post("configmaps", _started(name)).ok()["data"]
    api.delete(f"configmaps/{name}")
    return acted


@pytest.mark.parametrize("kind", _KINDS)
def test_configurations_are_updated_and_patched(api: Api, hooks: Webhooks, kind: str) -> None:
    made = hooks.register(kind, _hook_of(kind, hooks))
    path = f"{hooks.path(kind)}/{made['metadata']['name']}"
    assert _acts(api, kind, "one")
    found = api.get(path).ok()
    found["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
    api.put(path, found).ok()
    eventually(lambda: not _acts(api, kind, "two"))
    patch = [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]
    api.patch("json", path, patch).ok()
    eventually(lambda: _acts(api, kind, "three"))


@pytest.mark.parametrize("kind", _KINDS)
def test_configurations_are_listed_and_deleted_as_a_collection(api: Api, hooks: Webhooks, kind: str) -> None:
    for number in range(10):
        hook = _hook_of(kind, hooks)
        hook["name"] = f"{number}.{hook['name']}"
        hooks.register(kind, hook, name=f"e2e-{number}-{api.namespace}", uuid=api.namespace)
    query = {"labelSelector": f"uuid={api.namespace}"}
    assert len(api.get(hooks.path(kind), **query).names) == 10
    assert _acts(api, kind, "one")
    api.delete(hooks.path(kind), **query).ok()
    assert api.get(hooks.path(kind), **query).names == []
    eventually(lambda: not _acts(api, kind, "two"))


@pytest.mark.parametrize("kind", _KINDS)
def test_match_conditions_are_stored_and_updated(api: Api, hooks: Webhooks, kind: str) -> None:
    first = [{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}]
    made = hooks.register(kind, {**_hook_of(kind, hooks), "matchConditions": first})
    path = f"{hooks.path(kind)}/{made['metadata']['name']}"
    found = api.get(path).ok()
    assert found["webhooks"][0]["matchConditions"] == first
    second = [{"name": "expression-1", "expression": "object.metadata.namespace == 'staging'"}]
    found["webhooks"][0]["matchConditions"] = [*first, {**second[0], "name": "expression-2"}]
    api.put(path, found).ok()
    assert api.get(path).ok()["webhooks"][0]["matchConditions"] == found["webhooks"][0]["matchConditions"]


@pytest.mark.parametrize("kind", _KINDS)
def test_match_conditions_that_do_not_compile_are_refused(api: Api, hooks: Webhooks, kind: str) -> None:
    wrong = [{"name": "invalid-expression-1", "expression": "... [] bad expression"}]
    hook = {**_hook_of(kind, hooks), "matchConditions": wrong}
    refused = api.post(hooks.path(kind), {"metadata": {"name": f"bad-{api.namespace}"}, "webhooks": [hook]})
    assert "compilation failed" in refused.refused(422, "Invalid")["message"]


def test_everything_is_mutated_but_what_a_condition_leaves_out(api: Api, hooks: Webhooks) -> None:
    conditions = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    hooks.register("mutating", {**_hook_of("mutating", hooks), "matchConditions": conditions})
    assert not _acts(api, "mutating", "skip-me")
    assert _acts(api, "mutating", "mutate-me")


def test_everything_is_denied_but_what_a_condition_leaves_out(api: Api, hooks: Webhooks) -> None:
    conditions = [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]
    hooks.register("validating", {**_hook_of("validating", hooks), "matchConditions": conditions})
    assert not _acts(api, "validating", "skip-me")
    assert _acts(api, "validating", "deny-me")
