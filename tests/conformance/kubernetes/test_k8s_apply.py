"""apply.go: server-side apply. Bodies are as the Go test has them, a comma too many before a bracket (YAML allows it)."""

from __future__ import annotations

import json

import pytest
from api_client import PATCHES, Answer, Api, Json
from definitions import collection, create, definition

_DEPLOYMENT = """{
 "apiVersion": "apps/v1", "kind": "Deployment",
 "metadata": {"name": "web", "labels": {"app": "nginx"}},
 "spec": {%s
  "selector": {"matchLabels": {"app": "nginx"}},
  "template": {
   "metadata": {"labels": {"app": "nginx"}},
   "spec": {%s"containers": [{
     "name":  "nginx",
     "image": "nginx:1",%s
   }]}
  }
 }
}"""
_THREE = '"replicas": 3,'
_PORTS = '"ports": [{"containerPort": 80, "protocol": "TCP"}]'
_PORT_SCHEMA = {
    "type": "array",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    "x-kubernetes-list-type": "map",
    "items": {
        "type": "object",
        "required": ["containerPort", "protocol"],
        "properties": {
            "containerPort": {"format": "int32", "type": "integer"},
            "hostIP": {"type": "string"},
            "hostPort": {"format": "int32", "type": "integer"},
            "name": {"type": "string"},
            "protocol": {"type": "string"},
        },
    },
}
_CRON = {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"}


def _apply(api: Api, path: str, text: str, manager: str = "apply_test", **query: str) -> Answer:
    return api.ask("PATCH", path, text.encode(), {"Content-Type": PATCHES["apply"]}, fieldManager=manager, **query)


def _web(api: Api) -> str:
    return f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web"


@pytest.mark.parametrize(
    ("path", "body", "owned"),
    [
        (
            "pods/test-pod",
            '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "test-pod"}, "spec": {"containers": [{"name": "test-container", "image": "test-image"}]}}',
            '{"f:spec":{"f:containers":{"k:{\\"name\\":\\"test-container\\"}":{".":{},"f:image":{},"f:name":{}}}}}',
        ),
        (
            "services/test-svc",
            '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "test-svc"}, "spec": {"ports": [{"port": 8080, "protocol": "UDP"}]}}',
            '{"f:spec":{"f:ports":{"k:{\\"port\\":8080,\\"protocol\\":\\"UDP\\"}":{".":{},"f:port":{},"f:protocol":{}}}}}',
        ),
    ],
)
def test_an_object_that_is_not_there_is_created(api: Api, path: str, body: str, owned: str) -> None:
    assert _apply(api, path, body).code == 201
    api.get(path).ok()
    shown = _apply(api, path, body, "apply_test_2").ok()
    managers = {entry["manager"]: entry["fieldsV1"] for entry in shown["metadata"]["managedFields"]}
    for manager in ("apply_test", "apply_test_2"):
        assert json.dumps(managers[manager], separators=(",", ":")) == owned, "in this very order"


def test_a_subresource_is_applied_where_it_is_named(api: Api) -> None:
    pod = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1",}]}}'
    _apply(api, "pods/p", pod).ok()
    status = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"conditions": [{"type": "MyStatus", "status":"True"}]}}'

    def conditions() -> list[str]:
        return [found["type"] for found in api.get("pods/p").ok()["status"].get("conditions", [])]

    _apply(api, "pods/p", status, "apply_test2").ok()
    assert "MyStatus" not in conditions()
    _apply(api, "pods/p/status", status, "apply_test2").ok()
    assert "MyStatus" in conditions()


def test_a_field_that_is_no_longer_applied_is_removed(api: Api) -> None:
    assert _apply(api, _web(api), _DEPLOYMENT % (_THREE, "", _PORTS)).code == 201
    _apply(api, _web(api), _DEPLOYMENT % (_THREE, "", "")).ok()
    assert not api.get(_web(api)).ok()["spec"]["template"]["spec"]["containers"][0].get("ports")


def test_a_field_that_another_manager_owns_stays(api: Api) -> None:
    """replicas has a default, hostname has none."""
    for manager in ("shared_owner_1", "shared_owner_2"):
        _apply(api, _web(api), _DEPLOYMENT % (_THREE, '"hostname": "test-hostname",', ""), manager).ok()
    spec = _apply(api, _web(api), _DEPLOYMENT % ("", "", ""), "shared_owner_1").ok()["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["hostname"]) == (3, "test-hostname")


def test_conflicts_are_overcome_by_force(api: Api) -> None:
    body = _DEPLOYMENT % (_THREE, "", "")
    _apply(api, _web(api), body).ok()
    api.patch("merge", _web(api), {"spec": {"replicas": 5}}).ok()
    assert _apply(api, _web(api), body).refused(409, "Conflict")["details"]["causes"]
    assert _apply(api, _web(api), body, force="true").ok()["spec"]["replicas"] == 3


def test_a_field_that_somebody_else_has_updated_is_given_up(api: Api) -> None:
    _apply(api, _web(api), _DEPLOYMENT % (_THREE, "", ""), "test_applier").ok()
    for _ in range(10):
        found = api.get(_web(api)).ok()
        found["spec"]["replicas"] = 4
        if api.put(_web(api), found).code == 200:
            break
    assert _apply(api, _web(api), _DEPLOYMENT % ("", "", ""), "test_applier").ok()["spec"]["replicas"] == 4


def _noxu(crd: Json, version: str, ports: str, head: str = "", spec: str = "") -> str:
    names = crd["spec"]["names"]
    return f"""
apiVersion: {crd["spec"]["group"]}/{version}
kind: {names["kind"]}
metadata:
  name: mytest{head}
spec:{spec}
  ports:{ports}"""


_X = """
  - name: x
    containerPort: 80
    protocol: TCP"""
_SPEC = """
  cronSpec: "* * * * */5"
  replicas: 1"""
_FINALIZER = """
  finalizers:
  - test-finalizer"""


def test_custom_objects_of_several_versions(api: Api) -> None:
    spec = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"cronSpec": _CRON, "ports": _PORT_SCHEMA},
    }
    crd = create(api, definition(api, {"type": "object", "properties": {"spec": spec}}, ("v1beta1", "v1beta2")))
    path = {version: f"{collection(crd, version=version)}/mytest" for version in ("v1beta1", "v1beta2")}
    whole = _noxu(crd, "v1beta1", _X, _FINALIZER, _SPEC)
    made = _apply(api, path["v1beta1"], whole).ok()
    assert made["metadata"]["finalizers"] == ["test-finalizer"] and made["spec"]["replicas"] == 1
    beta = _apply(api, path["v1beta2"], _noxu(crd, "v1beta2", _X, "", _SPEC)).ok()
    assert beta["spec"]["replicas"] == 1 and len(beta["spec"]["ports"]) == 1
    both = {"metadata": {"finalizers": ["test-finalizer", "another-one"]}}
    api.patch("merge", path["v1beta1"], both).ok()
    again = _apply(api, path["v1beta1"], whole).ok()
    assert sorted(again["metadata"]["finalizers"]) == ["another-one", "test-finalizer"]
    assert api.patch("merge", path["v1beta1"], {"spec": {"replicas": 5}}).ok()["spec"]["replicas"] == 5
    assert len(_apply(api, path["v1beta1"], whole).refused(409, "Conflict")["details"]["causes"]) == 1
    assert _apply(api, path["v1beta1"], whole, force="true").ok()["spec"]["replicas"] == 1
    other = _noxu(crd, "v1beta1", _X.replace("x", '"y"'))
    refused = _apply(api, path["v1beta1"], other, "apply_test_2").refused(409, "Conflict")
    assert len(refused["details"]["causes"]) == 1
    added = _apply(api, path["v1beta1"], other.replace("80", "8080"), "apply_test_2").ok()
    assert len(added["spec"]["ports"]) == 2
    absent = {**json.loads(json.dumps(made)), "metadata": {"name": "should-not-exist"}, "protocol": "TCP"}
    answer = api.put(f"{collection(crd)}/should-not-exist", absent, fieldManager="apply_test")
    answer.refused(404, "NotFound")
    api.patch("merge", path["v1beta1"], {"metadata": {"finalizers": []}}).ok()


def test_an_atomic_list_is_replaced_as_a_whole(api: Api) -> None:
    items = {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}}
    spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"atomicList": items}}
    crd = create(api, definition(api, {"type": "object", "properties": {"spec": spec}}))
    path = f"{collection(crd)}/mytest"
    for item, manager, query in (("item1", "apply_test", {}), ("item2", "apply_test_2", {"force": "true"})):
        text = _noxu(crd, "v1beta1", f"\n  - {item}").replace("ports", "atomicList")
        assert _apply(api, path, text, manager, **query).ok()["spec"]["atomicList"] == [item]
