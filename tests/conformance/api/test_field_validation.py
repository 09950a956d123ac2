"""fieldValidation as Kubernetes' own end-to-end test of it reads: sentences, paths, lines; typed and custom objects."""

from __future__ import annotations

import pytest
from api_client import PATCHES, Api, Json
from gateway_server import deployment, pod

DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
TWICE = """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"nginx"}},"spec":{
"unknownField":"foo","replicas":2,"replicas":3,"selector":{"matchLabels":{"app":"nginx"}},"template":{"metadata":
{"labels":{"app":"nginx"}},"spec":{"containers":[{"name":"nginx","image":"nginx:latest"}]}}}}"""
YAML = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  paused: true
  paused: false
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: c
        image: i
        image: j
"""


def _send(api: Api, method: str, path: str, text: str, media: str, validation: str) -> tuple[int, str, list[str]]:
    """Code, message, warnings."""
    query = {"fieldValidation": validation, "fieldManager": "m"}
    answer = api.ask(method, path, text.encode(), {"Content-Type": media}, **query)
    told = answer.headers.get("Warning", "")
    return answer.code, answer.json.get("message", ""), [told] if told else []


def test_unknown_and_duplicate_fields_of_a_typed_object(api: Api) -> None:
    path = DEPLOYMENTS.format(api.namespace)
    code, message, _ = _send(api, "POST", path, TWICE, "application/json", "Strict")
    assert code == 400
    assert message.endswith('strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"')
    code, message, _ = _send(api, "POST", path, YAML, "application/yaml", "Strict")
    lines = 'line 7: key "paused" already set in map\n  line 15: key "image" already set in map'
    assert (code, message.partition("strict decoding error: ")[2]) == (400, f"yaml: unmarshal errors:\n  {lines}")
    code, _, warnings = _send(api, "POST", path, YAML, "application/yaml", "Warn")
    assert (code, bool(warnings)) == (201, True), "the last one counts, and the client is told"
    assert api.get(f"{path}/web").json["spec"]["template"]["spec"]["containers"][0]["image"] == "j"
    assert _send(api, "POST", path, YAML.replace("web", "quiet"), "application/yaml", "Ignore")[::2] == (201, [])


def test_patches_tell_by_the_field_patch(api: Api) -> None:
    path = DEPLOYMENTS.format(api.namespace) + "/web"
    api.post(DEPLOYMENTS.format(api.namespace), deployment("web")).ok()
    for kind in ("merge", "strategic"):
        text = '{"spec":{"paused":true,"paused":false,"nope":1}}'
        answer = api.ask("PATCH", path, text.encode(), {"Content-Type": PATCHES[kind]}, fieldValidation="Strict")
        assert answer.refused(422, "Invalid")["message"].startswith(' "" is invalid: patch: Invalid value: ')
        wanted = 'strict decoding error: unknown field "spec.nope", duplicate field "spec.paused"'
        assert answer.causes["patch"].endswith(wanted)
    added = [{"op": "add", "path": "/spec/nope", "value": 1}]
    refused = api.patch("json", path, added, fieldValidation="Strict").refused(422, "Invalid")
    assert refused["message"].endswith('strict decoding error: unknown field "spec.nope"')


@pytest.mark.parametrize("validation", ["Strict", "Warn", "Ignore"])
def test_what_no_schema_knows_cannot_be_applied(api: Api, validation: str) -> None:
    obj = pod("p")
    obj["spec"]["containers"][0]["nope"] = 1
    obj["metadata"]["no"] = 1
    refused = api.patch("apply", "pods/p", obj, fieldManager="m", fieldValidation=validation)
    what = f"failed to create typed patch object ({api.namespace}/p; v1, Kind=Pod): errors:\n  "
    assert refused.refused(400, "BadRequest")["message"].startswith(what)
    for path in (".metadata.no", ".spec.containers[0].nope"):
        assert f"{path}: field not declared in schema" in refused.json["message"]


def _definition(api: Api, schema: Json) -> str:
    """The path of the objects of a definition of the test's own."""
    group = f"{api.namespace}.example.com"
    spec = {
        "group": group,
        "scope": "Cluster",
        "names": {"plural": "noxus", "singular": "noxu", "kind": "Noxu", "listKind": "NoxuItemList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    crd = {**kind, "metadata": {"name": f"noxus.{group}"}, "spec": spec}
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd).ok()
    return f"/apis/{group}/v1/noxus"


def _custom(api: Api, *lines: str) -> str:
    return "\n".join(
        ["", f"apiVersion: {api.namespace}.example.com/v1", "kind: Noxu", "metadata:", "  name: x", *lines]
    )


def test_custom_objects_that_are_applied(api: Api) -> None:
    spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"foo": {"type": "string"}}}
    path = _definition(api, {"type": "object", "properties": {"spec": spec}}) + "/x"

    def apply(*lines: str) -> tuple[int, str, list[str]]:
        return _send(api, "PATCH", path, _custom(api, *lines), PATCHES["apply"], "Strict")

    code, message, _ = apply("unknownField: unknown", "spec:", "  foo: foo1")
    assert (code, ".unknownField: field not declared in schema" in message) == (400, True)
    code, message, _ = apply("  unknownMeta: unknown", "spec:", "  foo: foo1")
    assert (code, ".metadata.unknownMeta: field not declared in schema" in message) == (400, True)
    code, message, _ = apply("spec:", "  unknown: uk1", "  foo: foo1", "  foo: foo2")
    assert (code, 'line 9: key "foo" already set in map' in message) == (400, True)
    assert apply("spec:", "  unknown: uk1", "  foo: foo1")[0] == 201, "what is preserved may be there"
