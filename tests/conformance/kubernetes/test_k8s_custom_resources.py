"""custom_resource_definition.go, crd_watch.go, crd_validation_rules.go."""

from __future__ import annotations

import pytest
from api_client import Api, Json
from definitions import CRDS, collection, create, custom, definition
from eventually import eventually

_RULES: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [{"rule": "self.x + self.y > 0"}],
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        },
        "status": {
            "type": "object",
            "x-kubernetes-validations": [{"rule": "self.health == 'ok' || self.health == 'unhealthy'"}],
            "properties": {"health": {"type": "string"}},
        },
    },
}


def test_definitions_are_made_and_deleted(api: Api) -> None:
    crd = create(api, definition(api))
    path = f"{CRDS}/{crd['metadata']['name']}"
    api.delete(path).ok()
    eventually(lambda: api.get(path).code == 404)


def test_definitions_are_listed_and_deleted_by_label(api: Api) -> None:
    made = {}
    for _ in range(10):
        crd = definition(api)
        crd["metadata"]["labels"] = {"e2e-list-test-uuid": api.namespace}
        made[crd["metadata"]["name"]] = create(api, crd)
    other = create(api, definition(api))
    query = {"labelSelector": f"e2e-list-test-uuid={api.namespace}"}
    items = api.get(CRDS, **query).json["items"]
    assert {item["metadata"]["name"]: item["spec"] for item in items} == {n: crd["spec"] for n, crd in made.items()}
    api.delete(CRDS, **query).ok()
    eventually(lambda: not api.get(CRDS, **query).names)
    api.get(f"{CRDS}/{other['metadata']['name']}").ok()


def test_the_status_of_a_definition_is_read_updated_and_patched(api: Api) -> None:
    crd = create(api, definition(api))
    path = f"{CRDS}/{crd['metadata']['name']}/status"
    status = api.get(path).ok()
    assert status["spec"] == crd["spec"]
    status["status"]["conditions"].append({"type": "", "status": "", "lastTransitionTime": None, "message": "updated"})
    updated = api.put(path, status).ok()
    assert "updated" in [found.get("message") for found in updated["status"]["conditions"]]
    patch = [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]
    patched = api.patch("json", path, patch).ok()
    assert "patched" in [found.get("message") for found in patched["status"]["conditions"]]


def test_definitions_are_discovered(api: Api) -> None:
    groups = {found["name"]: found for found in api.get("/apis").ok()["groups"]}
    assert "v1" in [found["version"] for found in groups["apiextensions.k8s.io"]["versions"]]
    group = api.get("/apis/apiextensions.k8s.io").ok()
    assert group["name"] == "apiextensions.k8s.io" and "v1" in [found["version"] for found in group["versions"]]
    resources = api.get("/apis/apiextensions.k8s.io/v1").ok()
    assert resources["groupVersion"] == "apiextensions.k8s.io/v1"
    assert "customresourcedefinitions" in [found["name"] for found in resources["resources"]]


def test_defaults_hold_for_requests_and_for_what_is_stored(api: Api) -> None:
    schema = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
    }
    crd = create(api, definition(api, schema))
    objects, path = collection(crd), f"{CRDS}/{crd['metadata']['name']}"
    at = "/spec/versions/0/schema/openAPIV3Schema/properties"
    api.post(objects, custom(crd, "cr-1")).ok()
    api.patch("json", path, [{"op": "add", "path": f"{at}/a/default", "value": "A"}]).ok()
    eventually(lambda: api.get(f"{objects}/cr-1").json.get("a") == "A")
    assert api.post(objects, custom(crd, "cr-2")).ok()["a"] == "A"
    changes = [{"op": "remove", "path": f"{at}/a/default"}, {"op": "add", "path": f"{at}/b/default", "value": "B"}]
    api.patch("json", path, changes).ok()
    eventually(lambda: api.get(f"{objects}/cr-2").json.get("b") == "B")
    assert api.get(f"{objects}/cr-2").json["a"] == "A", "the old default was stored"


def test_a_watch_on_custom_objects_observes_their_lives(api: Api) -> None:
    """crd_watch.go: two at once, each by its name; made, patched by status, deleted."""
    crd = create(api, definition(api))
    objects = collection(crd)
    watches = {name: api.watch(objects, 20, fieldSelector=f"metadata.name={name}") for name in ("name1", "name2")}
    for name, watch in watches.items():
        api.post(objects, custom(crd, name, content={"key": "value"})).ok()
        event = watch.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    for name, watch in watches.items():
        dummy = {"dummy": "test"}
        api.patch("merge", f"{objects}/{name}", dummy).ok()
        event = watch.next()
        assert (event["type"], event["object"]["dummy"]) == ("MODIFIED", "test")
    for name, watch in watches.items():
        api.delete(f"{objects}/{name}").ok()
        assert watch.next()["type"] == "DELETED"


def test_objects_that_satisfy_the_rules(api: Api) -> None:
    crd = create(api, definition(api, _RULES, scope="Namespaced"))
    api.post(collection(crd, api.namespace), custom(crd, "cr-1", spec={"x": 1, "y": 0})).ok()


def test_objects_that_do_not_satisfy_the_rules(api: Api) -> None:
    crd = create(api, definition(api, _RULES, scope="Namespaced"))
    refused = api.post(collection(crd, api.namespace), custom(crd, "cr-1", spec={"x": 0, "y": 0}))
    assert "failed rule" in refused.refused(422, "Invalid")["message"]


@pytest.mark.parametrize(
    ("rule", "properties", "told"),
    [
        ("self.z == 100", {"x": {"type": "integer"}}, "undefined field 'z'"),
        ("self = 42", {"x": {"type": "integer"}}, "Syntax error"),
        ("self.x.all(s, s == 'x' || s == 'y')", {"x": {"type": "array", "items": {"type": "string"}}}, "estimated rule cost exceeds budget"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused(api: Api, rule: str, properties: Json, told: str) -> None:
    inner = {"type": "object", "x-kubernetes-validations": [{"rule": rule}], "properties": properties}
    if "cost" in told:
        nested = {"type": "array", "items": {"type": "array", "items": properties["x"]}}
        inner = {"type": "object", "properties": {"x": nested}}
        inner["x-kubernetes-validations"] = [{"rule": "self.x.all(a, a.all(b, b.all(c, c.contains('long'))))"}]
    crd = definition(api, {"type": "object", "properties": {"spec": inner}}, scope="Namespaced")
    refused = api.post(CRDS, crd).refused(422, "Invalid")
    assert told in refused["message"]


def test_a_transition_that_a_rule_forbids(api: Api) -> None:
    spec = {
        "type": "object",
        "x-kubernetes-validations": [{"rule": "self.x >= oldSelf.x"}],
        "properties": {"x": {"type": "integer"}},
    }
    crd = create(api, definition(api, {"type": "object", "properties": {"spec": spec}}, scope="Namespaced"))
    objects = collection(crd, api.namespace)
    made = api.post(objects, custom(crd, "cr-1", spec={"x": 2})).ok()
    made["spec"]["x"] = 1
    assert "failed rule" in api.put(f"{objects}/cr-1", made).refused(422, "Invalid")["message"]
