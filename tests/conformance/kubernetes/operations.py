"""`should support X API operations`, the one test that Kubernetes has for each kind: a kind is a row of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from api_client import Api, Json
from eventually import told

PATCHED = {"metadata": {"annotations": {"patched": "true"}}}


class Operations(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is of the collection below `/apis` or `/api` (`{}` is the API namespace). `patched` and `updated` are values
    of the field `field` (a path with dots) which a merge patch and then an update set. `subresources` must be discovered.
    `condition` is put into the status by a patch and by an update of it."""

    path: str
    template: Json
    field: str = ""
    patched: Any = None
    updated: Any = None
    subresources: tuple[str, ...] = ()
    condition: str = ""

    @property
    def group_version(self) -> str:
        parts = self.path.split("/")
        return "v1" if parts[1] == "api" else f"{parts[2]}/{parts[3]}"

    @property
    def resource(self) -> str:
        return self.path.rsplit("/", 1)[1]


def put_in(obj: Json, path: str, value: Any) -> Json:
    """`obj`, changed in place."""
    *above, last = path.split(".")
    at = obj
    for name in above:
        at = at.setdefault(name, {})
    at[last] = value
    return obj


def field_of(obj: Json, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name, {})
    return obj


def walk(api: Api, row: Operations) -> None:
    """From discovery to the deletion of a collection."""
    _discover(api, row)
    path = row.path.format(api.namespace)
    label = {"e2e-operations": api.namespace}
    template = {**row.template, "metadata": {"generateName": "e2e-example-", "labels": label}}
    template["metadata"] |= row.template.get("metadata", {})
    names = [api.post(path, template).ok()["metadata"]["name"] for _ in range(3)]
    one = f"{path}/{names[2]}"
    created = api.get(one).ok()
    query = {"labelSelector": f"e2e-operations={api.namespace}"}
    listed = api.get(path, **query)
    assert len(listed.names) == 3
    if "{}" in path:
        everywhere = path.replace(f"/namespaces/{api.namespace}", "")
        assert len(api.get(everywhere, **query).names) == 3
    watch = api.watch(path, 20, resourceVersion=listed.revision, **query)
    patched = api.patch("merge", one, put_in({**PATCHED}, row.field, row.patched) if row.field else PATCHED).ok()
    assert patched["metadata"]["annotations"]["patched"] == "true"
    assert patched["metadata"]["uid"] == created["metadata"]["uid"]
    if row.field:
        assert field_of(patched, row.field) == row.patched
        put_in(patched, row.field, row.updated)
    patched["metadata"]["annotations"]["updated"] = "true"
    updated = api.put(one, patched).ok()
    assert updated["metadata"]["annotations"]["updated"] == "true"
    assert not row.field or field_of(updated, row.field) == row.updated
    told(watch, "MODIFIED", lambda obj: obj["metadata"]["annotations"].get("patched") == "true", only="MODIFIED")
    if row.condition:
        _write_status(api, row, one, created["metadata"]["uid"])
    api.delete(one).ok()
    api.get(one).refused(404, "NotFound")
    assert len(api.get(path, **query).names) == 2
    api.delete(path, **query).ok()
    assert api.get(path, **query).names == []


def _discover(api: Api, row: Operations) -> None:
    group, _, version = row.group_version.rpartition("/")
    if group:
        groups = {found["name"]: found for found in api.get("/apis").ok()["groups"]}
        for found in (groups[group], api.get(f"/apis/{group}").ok()):
            assert version in [one["version"] for one in found["versions"]]
    root = f"/apis/{row.group_version}" if group else "/api/v1"
    served = [found["name"] for found in api.get(root).ok()["resources"]]
    for name in (row.resource, *(f"{row.resource}/{sub}" for sub in row.subresources)):
        assert name in served


def _write_status(api: Api, row: Operations, path: str, uid: str) -> None:
    """Conditions go as client-go sends them: with a time that is null."""
    shown = api.get(f"{path}/status").ok()
    assert shown["metadata"]["uid"] == uid and shown["apiVersion"] == row.group_version
    condition = {"type": "PatchStatusFailed", "status": "False", "reason": "ByPatch", "lastTransitionTime": None}
    patched = api.patch("merge", f"{path}/status", {"status": {row.condition: [condition]}}).ok()
    assert patched["status"][row.condition][-1]["type"] == "PatchStatusFailed"
    more = {**condition, "type": "StatusUpdateFailed", "reason": "E2E", "message": "Set from an e2e test"}
    updated = _retry_on_conflict(api, f"{path}/status", lambda obj: obj["status"][row.condition].append(more))
    assert [found["type"] for found in updated["status"][row.condition]][-1] == "StatusUpdateFailed"


def _retry_on_conflict(api: Api, path: str, change: Callable[[Json], object]) -> Json:
    """Somebody else writes conditions, too."""
    for _ in range(10):
        change(found := api.get(path).ok())
        if (answer := api.put(path, found)).code != 409:
            return answer.ok()
    raise AssertionError(answer.body)
