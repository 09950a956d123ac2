"""field_validation.go, all of it: the fieldValidation of writes."""

from __future__ import annotations

import pytest
from api_client import Answer, Api, Json
from definitions import ALLOW_ALL, collection, create, definition

_DEPLOYMENT = """{
 "apiVersion": "apps/v1", "kind": "Deployment",
 "metadata": {"name": "my-dep", %s"labels": {"app": "nginx"}},
 "spec": {%s
  "selector": {"matchLabels": {"app": "nginx"}},
  "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}}
 }
}"""
_PORT = {
    "containerPort": {"format": "int32", "type": "integer"},
    "name": {"type": "string"},
    "protocol": {"type": "string"},
}
_ITEMS = {"type": "object", "required": ["containerPort", "protocol"], "properties": _PORT}
_FIELDS = {
    "foo": {"type": "string"},
    "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
    "ports": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
        "items": _ITEMS,
    },
}
_EMBEDDED = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {"type": "object"},
    },
}
_PRESERVE = {"x-kubernetes-preserve-unknown-fields": True}
_PORTS = """
  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP"""


def _schema(**more: object) -> Json:
    spec = {"type": "object", "properties": _FIELDS, **more}
    return {"type": "object", "properties": {"spec": spec}}


@pytest.mark.parametrize(
    ("metadata", "spec", "told"),
    [
        ("", '"unknownField": "foo", "replicas": 2, "replicas": 3,', 'unknown field "spec.unknownField", duplicate field "spec.replicas"'),
        ('"unknownMeta": "foo", ', "", 'unknown field "metadata.unknownMeta"'),
    ],
)  # fmt: skip
def test_a_typed_object(api: Api, metadata: str, spec: str, told: str) -> None:
    text = (_DEPLOYMENT % (metadata, spec)).encode()
    query = {"fieldManager": "field_validation_mgr", "fieldValidation": "Strict"}
    answer = api.ask("POST", f"/apis/apps/v1/namespaces/{api.namespace}/deployments", text, **query)
    assert f"strict decoding error: {told}" in answer.refused(400, "BadRequest")["message"]


def _apply(api: Api, schema: Json, root: str, metadata: str, spec: str) -> Answer:
    crd = create(api, definition(api, schema, ("v1beta1", "v1")))
    head = f"apiVersion: {crd['spec']['group']}/v1beta1\nkind: {crd['spec']['names']['kind']}"
    text = (
        f"\n{head}\nmetadata:\n  name: mytest{metadata}\n  finalizers:\n  - test-finalizer{root}\nspec:{spec}{_PORTS}"
    )
    headers = {"Content-Type": "application/apply-patch+yaml"}
    query = {"fieldManager": "field_validation_mgr", "fieldValidation": "Strict"}
    return api.ask("PATCH", f"{collection(crd)}/mytest", text.encode(), headers, **query)


def test_a_valid_custom_object(api: Api) -> None:
    _apply(api, _schema(), "", "", "\n  foo: foo1").ok()


def test_unknown_fields_without_a_schema(api: Api) -> None:
    _apply(api, ALLOW_ALL, "", "", "\n  unknown: uk1").ok()


def test_extra_properties(api: Api) -> None:
    answer = _apply(api, _schema(), "\nunknownField: unknown", "", "\n  foo: foo1")
    assert ".unknownField: field not declared in schema" in answer.json["message"]


def test_unknown_metadata_of_the_object_and_of_an_embedded_one(api: Api) -> None:
    embedded = """
  template:
    apiversion: foo/v1
    kind: Sub
    metadata:
        unknownSubMeta: unknown
        name: subobject
        namespace: default
  foo: foo1"""
    schema = _schema(**_PRESERVE)
    schema["properties"]["spec"]["properties"] = {**_FIELDS, "template": _EMBEDDED}
    message = _apply(api, schema, "", "\n  unknownMeta: unknown", embedded).json["message"]
    assert ".spec.template.metadata.unknownSubMeta: field not declared in schema" in message
    assert ".metadata.unknownMeta: field not declared in schema" in message


def test_duplicates_where_unknown_fields_are_preserved(api: Api) -> None:
    answer = _apply(api, _schema(**_PRESERVE), "", "", "\n  unknown: uk1\n  foo: foo1\n  foo: foo2")
    assert 'line 11: key "foo" already set in map' in answer.json["message"]
