"""Server-side apply: who owns what, conflicts, what goes when nobody wants it, lists of each kind, status and scale."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Answer, Api, Json, config_map
from gateway_server import deployment

MAPS = "configmaps"


def _owners(obj: Json) -> dict[tuple[str, str, str], Json]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


def _deployments(api: Api) -> str:
    return f"/apis/apps/v1/namespaces/{api.namespace}/deployments"


def _web(**spec: Any) -> Json:
    obj = deployment("web")
    return {**obj, "spec": {**obj["spec"], **spec}}


def test_each_manager_owns_what_it_applies(api: Api) -> None:
    first = api.apply(f"{MAPS}/a", config_map("a", x="1", y="1"), "one")
    assert (first.code, _owners(first.json)) == (201, {("one", "Apply", ""): {"f:data": {"f:x": {}, "f:y": {}}}}) or (
        set(_owners(first.json)[("one", "Apply", "")]["f:data"]) >= {"f:x", "f:y"}
    )
    both = api.apply(f"{MAPS}/a", config_map("a", y="1", z="1"), "two").ok()
    assert {"f:y", "f:z"} <= set(_owners(both)[("two", "Apply", "")]["f:data"])
    less = api.apply(f"{MAPS}/a", config_map("a", y="1"), "one").ok()
    assert less["data"] == {"y": "1", "z": "1"}
    none = api.apply(f"{MAPS}/a", {**config_map("a"), "data": None}, "one").ok()
    assert none["data"] == {"y": "1", "z": "1"}
    assert ("one", "Apply", "") not in _owners(none)


def test_a_conflict_names_every_field_and_whose_it_is(api: Api) -> None:
    api.apply(f"{MAPS}/a", config_map("a", x="1", y="1", z="1"), "one").ok()
    api.patch("merge", f"{MAPS}/a", {"data": {"y": "2"}}, fieldManager="editor").ok()
    refused = api.apply(f"{MAPS}/a", config_map("a", x="9", y="9", z="1"), "two")
    status = refused.refused(409, "Conflict")
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one" using v1', "field": ".data.x"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "editor" using v1', "field": ".data.y"},
    ]
    assert status["message"].startswith("Apply failed with 2 conflicts: conflicts with ")
    forced = api.apply(f"{MAPS}/a", config_map("a", x="9", y="9", z="1"), "two", force="true").ok()
    assert forced["data"] == {"x": "9", "y": "9", "z": "1"}
    owners = _owners(forced)
    assert "f:x" not in owners["one", "Apply", ""]["f:data"] and "f:z" in owners["one", "Apply", ""]["f:data"]
    assert ("editor", "Update", "") not in owners
    single = api.apply(f"{MAPS}/a", config_map("a", x="1"), "one").refused(409, "Conflict")
    assert single["message"] == 'Apply failed with 1 conflict: conflict with "two" using v1: .data.x'


def test_applying_the_same_again_changes_nothing_at_all(api: Api) -> None:
    first = api.apply(_deployments(api) + "/web", _web(), "one").ok()
    api.served.run(_a_moment())
    second = api.apply(_deployments(api) + "/web", _web(), "one")
    assert (second.code, second.json) == (200, first)
    shared = api.apply(_deployments(api) + "/web", _web(), "two").ok()
    assert shared["metadata"]["generation"] == 1
    assert int(shared["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def _a_moment() -> None:
    import asyncio

    await asyncio.sleep(1.1)


def test_an_update_takes_what_it_changes_and_leaves_the_rest(api: Api) -> None:
    made = api.apply(f"{MAPS}/a", config_map("a", x="1", y="1"), "one").ok()
    put = api.put(f"{MAPS}/a", {**made, "data": {"x": "2", "y": "1"}}, fieldManager="writer").ok()
    owners = _owners(put)
    assert set(owners["writer", "Update", ""]["f:data"]) == {"f:x"}
    assert "f:x" not in owners["one", "Apply", ""]["f:data"]
    api.put(f"{MAPS}/a", {**put, "data": {"y": "1"}}, fieldManager="writer").ok()
    assert ("writer", "Update", "") not in _owners(api.get(f"{MAPS}/a").json)
    back = api.apply(f"{MAPS}/a", config_map("a", x="3", y="1"), "one").ok()
    assert back["data"] == {"x": "3", "y": "1"}


def test_who_is_not_named_is_known_by_the_user_agent(api: Api) -> None:
    answer = api.ask("POST", MAPS, config_map("a", x="1"), {"User-Agent": "mytool/v1.2 (linux) more"})
    assert list(_owners(answer.ok())) == [("mytool", "Update", "")]


def _ports(*ports: tuple[int, str | None, str]) -> Json:
    listed = [
        {"port": port, "name": name, **({"protocol": protocol} if protocol else {})} for port, protocol, name in ports
    ]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": listed}}


def test_items_of_keyed_lists_have_owners_of_their_own(api: Api) -> None:
    api.apply("services/s", _ports((53, "UDP", "dns"), (80, None, "web")), "one").ok()
    both = api.apply("services/s", _ports((53, "TCP", "dns-tcp"), (80, "TCP", "web")), "two").ok()
    named = [(port["port"], port["protocol"], port["name"]) for port in both["spec"]["ports"]]
    assert sorted(named) == [(53, "TCP", "dns-tcp"), (53, "UDP", "dns"), (80, "TCP", "web")]
    keys = set(_owners(both)["one", "Apply", ""]["f:spec"]["f:ports"])
    assert {'k:{"port":53,"protocol":"UDP"}', 'k:{"port":80,"protocol":"TCP"}'} <= keys
    refused = api.apply("services/s", _ports((80, None, "other")), "two").refused(409, "Conflict")
    assert refused["details"]["causes"][0]["field"] == '.spec.ports[port=80,protocol="TCP"].name'
    left = api.apply("services/s", _ports((80, None, "web")), "one").ok()
    assert sorted(port["protocol"] for port in left["spec"]["ports"] if port["port"] == 53) == ["TCP"]


def test_sets_unite_atomic_lists_and_maps_are_one(api: Api) -> None:
    one = {**config_map("a"), "metadata": {"name": "a", "finalizers": ["a.io/one", "a.io/both"]}}
    two = {**config_map("a"), "metadata": {"name": "a", "finalizers": ["a.io/two", "a.io/both"]}}
    api.apply(f"{MAPS}/a", one, "one").ok()
    both = api.apply(f"{MAPS}/a", two, "two").ok()
    assert set(both["metadata"]["finalizers"]) == {"a.io/one", "a.io/two", "a.io/both"}
    less = api.apply(f"{MAPS}/a", config_map("a"), "one").ok()
    assert set(less["metadata"]["finalizers"]) == {"a.io/two", "a.io/both"}
    named = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    service = {**named, "spec": {"selector": {"a": "1"}, "ports": [{"port": 1}]}}
    api.apply("services/s", service, "one").ok()
    other = {**named, "spec": {"selector": {"b": "1"}}}
    assert (
        api.apply("services/s", other, "two").refused(409, "Conflict")["details"]["causes"][0]["field"]
        == ".spec.selector"
    )
    assert api.apply("services/s", other, "two", force="true").ok()["spec"]["selector"] == {"b": "1"}
    args = _web()
    args["spec"]["template"]["spec"]["containers"][0]["args"] = ["x", "y"]
    api.apply(_deployments(api) + "/web", args, "one").ok()
    args["spec"]["template"]["spec"]["containers"][0]["args"] = ["z"]
    shown = api.apply(_deployments(api) + "/web", args, "one").ok()
    assert shown["spec"]["template"]["spec"]["containers"][0]["args"] == ["z"]


def test_structs_that_kubernetes_says_are_one_value_have_one_owner(api: Api) -> None:
    """A LabelSelector, an ObjectReference, a SecretKeySelector (x-kubernetes-map-type of the definition)."""
    key = {"name": "s", "key": "k"}
    env = [{"name": "A", "valueFrom": {"secretKeyRef": key}}]
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i", "env": env}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": pod}
    path = f"/apis/apps/v1/namespaces/{api.namespace}/deployments/atomic"
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "atomic"}, "spec": spec}
    made = api.patch("apply", path, wanted, fieldManager="one").ok()
    owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert owned["f:selector"] == {}
    variable = owned["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:env"]['k:{"name":"A"}']
    assert variable["f:valueFrom"] == {"f:secretKeyRef": {}}
    env[0]["valueFrom"] = {"secretKeyRef": {**key, "optional": True}}
    refused = api.patch("apply", path, wanted, fieldManager="two")
    at = '.spec.template.spec.containers[name="c"].env[name="A"].valueFrom.secretKeyRef'
    assert refused.refused(409, "Conflict") and list(refused.causes) == [at]
    api.patch("apply", path, wanted, fieldManager="one").ok()
    env[0]["valueFrom"] = {"secretKeyRef": key}
    again = api.patch("apply", path, wanted, fieldManager="one").ok()
    left = again["spec"]["template"]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
    assert left == key, "one value is replaced by another"


def test_what_was_repeated_before_survives_an_apply(api: Api) -> None:
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    api.post("pods", body).ok()
    applied = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"l": "m"}}}
    shown = api.apply("pods/p", {**applied, "spec": {"containers": [{"name": "c", "image": "j"}]}}, force="true").ok()
    assert [e["value"] for e in shown["spec"]["containers"][0]["env"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("containers", "told"),
    [
        ([{"name": "c", "image": "i"}, {"name": "c", "image": "j"}], 'duplicate entries for key [name="c"]'),
        ([{"image": "i"}], 'omits key field "name"'),
        (
            [{"name": "c", "image": "i", "ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}]}],
            "duplicate",
        ),
    ],
)
def test_what_cannot_be_told_apart_cannot_be_applied(api: Api, containers: list[Json], told: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    message = api.apply("pods/p", pod).refused(400, "BadRequest")["message"]
    assert message.startswith("failed to create typed patch object (") and told in message


def test_status_is_applied_on_its_own(api: Api) -> None:
    named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    api.post("pods", {**named, "spec": {"containers": [{"name": "c", "image": "i"}]}}).ok()
    condition = {"type": "Mine", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {**named, "status": {"conditions": [condition]}, "spec": {"nodeName": "n"}}
    told = api.apply("pods/p/status", status, "checker").ok()
    assert "nodeName" not in told["spec"]
    assert [c["type"] for c in told["status"]["conditions"]] == ["Mine"]
    assert set(_owners(told)["checker", "Apply", "status"]) == {"f:status"}
    other = {**status, "status": {"conditions": [{**condition, "type": "Other"}]}}
    both = api.apply("pods/p/status", other, "second").ok()
    assert {c["type"] for c in both["status"]["conditions"]} == {"Mine", "Other"}
    refused = {**status, "status": {"conditions": [{**condition, "status": "False"}]}}
    cause = api.apply("pods/p/status", refused, "second").refused(409, "Conflict")["details"]["causes"][0]
    assert cause["message"] == 'conflict with "checker" with subresource "status" using v1'
    less = api.apply("pods/p/status", named, "checker").ok()
    assert [c["type"] for c in less["status"]["conditions"]] == ["Other"]


def test_scale_is_a_manager_of_replicas(api: Api) -> None:
    path = _deployments(api) + "/web"
    api.apply(path, _web(), "one").ok()
    api.patch("merge", f"{path}/scale", {"spec": {"replicas": 5}}, fieldManager="hpa").ok()
    cause = api.apply(path, _web(), "one").refused(409, "Conflict")["details"]["causes"][0]
    assert cause == {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "hpa" with subresource "scale" using apps/v1',
        "field": ".spec.replicas",
    }
    without = _web()
    del without["spec"]["replicas"]
    assert api.apply(path, without, "one").ok()["spec"]["replicas"] == 5
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 6}}
    api.apply(f"{path}/scale", scale, "two").refused(409, "Conflict")
    assert api.apply(f"{path}/scale", scale, "two", force="true").ok()["spec"]["replicas"] == 6


def test_what_cannot_be_applied(api: Api) -> None:
    managed = {**config_map("a"), "metadata": {"name": "a", "managedFields": [{"manager": "x"}]}}
    assert api.apply(f"{MAPS}/a", managed).refused(400, "BadRequest")["message"] == "metadata.managedFields must be nil"
    api.apply(f"{MAPS}/b", config_map("a")).refused(400, "BadRequest")
    api.apply(f"{MAPS}/a", {**config_map("a"), "kind": "Secret"}).refused(400, "BadRequest")
    nowhere = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nope"}, "status": {}}
    api.apply("pods/nope/status", nowhere).refused(404, "NotFound")
    unknown = {**config_map("a"), "nope": 1}
    api.apply(f"{MAPS}/a", unknown, fieldValidation="Strict").refused(400, "BadRequest")


def test_an_applied_configuration_says_what_it_is(api: Api) -> None:
    """Unlike a body of a PUT, which the path tells the kind of."""
    whole = config_map("a", x="1")
    for without in ("kind", "apiVersion"):
        part = {name: value for name, value in whole.items() if name != without}
        api.apply(f"{MAPS}/a", part).refused(400, "BadRequest")
    other = api.apply(f"{MAPS}/a", {**whole, "apiVersion": "v2"}).refused(400, "BadRequest")
    told = "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"
    assert other["message"] == told
    api.get(f"{MAPS}/a").refused(404, "NotFound")
    api.apply(f"{MAPS}/a", whole).ok()


def test_a_client_may_forget_all_owners_but_not_make_up_nonsense(api: Api) -> None:
    api.apply(f"{MAPS}/a", config_map("a", x="1"), "one").ok()
    bad = {"metadata": {"managedFields": [{"manager": "x", "operation": "Look", "fieldsType": "Other"}]}}
    answer: Answer = api.patch("merge", f"{MAPS}/a", bad)
    answer.refused(422, "Invalid")
    assert set(answer.causes) == {"metadata.managedFields[0].operation", "metadata.managedFields[0].fieldsType"}
    forgotten = api.patch("merge", f"{MAPS}/a", {"metadata": {"managedFields": [{}]}}).ok()
    assert "managedFields" not in forgotten["metadata"]


def test_of_many_writers_the_oldest_become_one(api: Api) -> None:
    api.make("a")
    for at in range(15):
        api.patch("merge", f"{MAPS}/a", {"data": {f"k{at}": "1"}}, fieldManager=f"m{at}").ok()
    owners = _owners(api.get(f"{MAPS}/a").json)
    assert len(owners) <= 10
    assert {"f:k0", "f:k3"} <= set(owners["ancient-changes", "Update", ""]["f:data"])
    assert ("m14", "Update", "") in owners
