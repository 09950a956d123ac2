"""The exact words of kube-apiserver 1.36, as recorded from one: clients and people match on them."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_wire import NOBODY, Answer, Wire

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "smp"}, "data": {"k": "v"}, **fields}


def told(answer: Answer) -> tuple[int, str, str, dict[str, Any]]:
    status = answer.json
    assert (status["kind"], status["apiVersion"], status["metadata"]) == ("Status", "v1", {})
    assert status["code"] == answer.code
    return answer.code, status["reason"], status["message"], status.get("details", {})


async def test_not_found() -> None:
    answer = await Wire().ask("GET", f"{MAPS}/nope")
    assert told(answer) == (404, "NotFound", 'configmaps "nope" not found', {"name": "nope", "kind": "configmaps"})


async def test_already_exists() -> None:
    wire = Wire()
    assert (await wire.ask("POST", MAPS, config_map())).code == 201
    expected = (409, "AlreadyExists", 'configmaps "smp" already exists', {"name": "smp", "kind": "configmaps"})
    assert told(await wire.ask("POST", MAPS, config_map())) == expected


async def test_conflict() -> None:
    wire = Wire()
    await wire.ask("POST", MAPS, config_map())
    old = config_map(metadata={"name": "smp", "resourceVersion": "1"})
    message = (
        'Operation cannot be fulfilled on configmaps "smp": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    expected = (409, "Conflict", message, {"name": "smp", "kind": "configmaps"})
    assert told(await wire.ask("PUT", f"{MAPS}/smp", old)) == expected


async def test_invalid_name() -> None:
    answer = await Wire().ask("POST", MAPS, config_map(metadata={"name": "Bad_"}))
    code, reason, message, details = told(answer)
    assert (code, reason) == (422, "Invalid")
    assert message.startswith(
        'ConfigMap "Bad_" is invalid: metadata.name: Invalid value: "Bad_": a lowercase RFC 1123 subdomain must '
        "consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric"
    )
    assert (details["name"], details["kind"]) == ("Bad_", "ConfigMap")
    assert [(cause["field"], cause["reason"]) for cause in details["causes"]] == [
        ("metadata.name", "FieldValueInvalid")
    ]


@pytest.mark.parametrize(
    ("method", "path", "code", "reason", "message"),
    [
        (
            "GET",
            "/api/v1/namespaces/default/nopes",
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        ("GET", "/apis/batch/v1/cronjob", 404, "NotFound", "the server could not find the requested resource"),
        ("PUT", MAPS, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        (
            "GET",
            f"{MAPS}?fieldSelector=a%3Db",
            400,
            "BadRequest",
            '"a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_what_is_not_served(method: str, path: str, code: int, reason: str, message: str) -> None:
    assert told(await Wire().ask(method, path))[:3] == (code, reason, message)


async def test_unknown_fields() -> None:
    wire = Wire()
    junk = config_map(junk=1)
    strict = await wire.ask("POST", f"{MAPS}?fieldValidation=Strict", junk)
    message = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "junk"'
    assert told(strict)[:3] == (400, "BadRequest", message)
    warned = await wire.ask("POST", MAPS, junk)
    assert (warned.code, warned.headers["Warning"]) == (201, '299 - "unknown field \\"junk\\""')
    assert "junk" not in warned.json
    ignored = await wire.ask("POST", f"{MAPS}?fieldValidation=Ignore", config_map(metadata={"name": "i"}, junk=1))
    assert (ignored.code, "Warning" in ignored.headers) == (201, False)


async def test_duplicate_fields() -> None:
    text = b'{"metadata":{"name":"d"},"data":{"a":"1","a":"2"}}'
    strict = await Wire().ask("POST", f"{MAPS}?fieldValidation=Strict", text)
    assert told(strict)[2].endswith('strict decoding error: duplicate field "data.a"')
    warned = await Wire().ask("POST", MAPS, text)
    assert (warned.headers["Warning"], warned.json["data"]) == ('299 - "duplicate field \\"data.a\\""', {"a": "2"})


async def test_media_types() -> None:
    wire = Wire()
    unsupported = await wire.ask("POST", MAPS, b"<a/>", media="application/xml")
    assert told(unsupported)[:2] == (415, "UnsupportedMediaType")
    unacceptable = await wire.ask("GET", MAPS, Accept="text/html")
    assert told(unacceptable)[:2] == (406, "NotAcceptable")


async def test_unauthorized_and_forbidden() -> None:
    wire = Wire()
    assert told(await wire.ask("GET", MAPS, certificate=None)) == (401, "Unauthorized", "Unauthorized", {})
    message = 'configmaps is forbidden: User "nobody" cannot list resource "configmaps" in API group "" in the namespace "default"'
    expected = (403, "Forbidden", message, {"kind": "configmaps"})
    assert told(await wire.ask("GET", MAPS, certificate=NOBODY)) == expected
    cluster = await wire.ask("GET", "/api/v1/nodes/n1", certificate=NOBODY)
    assert (
        told(cluster)[2]
        == 'nodes "n1" is forbidden: User "nobody" cannot get resource "nodes" in API group "" at the cluster scope'
    )
    path = await wire.ask("GET", "/raypod/v1/status", certificate=NOBODY)
    assert told(path)[2] == 'forbidden: User "nobody" cannot get path "/raypod/v1/status"'


async def test_deleted() -> None:
    wire = Wire()
    uid = (await wire.ask("POST", MAPS, config_map())).json["metadata"]["uid"]
    answer = await wire.ask("DELETE", f"{MAPS}/smp")
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "smp", "kind": "configmaps", "uid": uid},
    }
    wrong = await wire.ask("DELETE", f"{MAPS}/smp", {"gracePeriodSeconds": "soon"})
    assert told(wrong)[:2] == (400, "BadRequest")


async def test_objects_that_do_not_fit_their_url() -> None:
    wire = Wire()
    elsewhere = config_map(metadata={"name": "smp", "namespace": "kube-system"})
    message = "the namespace of the provided object does not match the namespace sent on the request"
    assert told(await wire.ask("POST", MAPS, elsewhere))[:3] == (400, "BadRequest", message)
    message = "the name of the object (smp) does not match the name on the URL (other)"
    assert told(await wire.ask("PUT", f"{MAPS}/other", config_map()))[:3] == (400, "BadRequest", message)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    assert 'Secret in version "v1" cannot be handled as a ConfigMap' in told(await wire.ask("POST", MAPS, secret))[2]
    revision = config_map(metadata={"name": "smp", "resourceVersion": "1"})
    message = "resourceVersion should not be set on objects to be created"
    assert told(await wire.ask("POST", MAPS, revision))[2] == message


async def test_dry_run_and_apply_options() -> None:
    wire = Wire()
    assert told(await wire.ask("POST", f"{MAPS}?dryRun=Some", config_map()))[:2] == (422, "Invalid")
    media = "application/apply-patch+yaml"
    nameless = await wire.ask("PATCH", f"{MAPS}/smp", config_map(), media=media)
    message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    assert told(nameless)[:3] == (422, "Invalid", message)
    assert (await wire.ask("PATCH", f"{MAPS}/smp?fieldManager=m", config_map(), media=media)).code == 201
    assert (await wire.ask("PATCH", f"{MAPS}/smp?fieldManager=m", config_map(), media=media)).code == 200


async def test_what_admission_warns_of_goes_with_the_answer() -> None:
    wire = Wire()
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "baseline"}}}
    patched = await wire.ask("PATCH", "/api/v1/namespaces/default", label, media="application/merge-patch+json")
    assert (patched.code, "Warning" in patched.headers) == (200, False)
    spec = {"hostNetwork": True, "containers": [{"name": "c", "image": "i:1"}]}
    pods, pod = "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec}
    told = 'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    header = told.replace('"', '\\"')
    for path in (f"{pods}?dryRun=All", pods):
        assert (await wire.ask("POST", path, pod)).headers["Warning"] == f'299 - "{header}"'
    item = {"method": "POST", "path": pods, "body": {**pod, "metadata": {"name": "q"}}}
    body = {"apiVersion": "raypod.io/v1", "kind": "Batch", "items": [item]}
    (result,) = (await wire.ask("POST", "/apis/raypod.io/v1/batch", body)).json["items"]
    assert (result["code"], result["warnings"]) == (201, [told])


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ({}, "spec.resourceAttributes.{name}.requirements: Required value: when spec.resourceAttributes.{name} is "
             "specified, requirements or rawSelector is required"),
        ({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]},
         'spec.resourceAttributes.{name}.rawSelector: Invalid value: "a=b": may not specified at the same time as '
         "requirements"),
        ({"requirements": [{"key": "a", "operator": "In"}]},
         "spec.resourceAttributes.{name}.requirements[0].values: Required value: must be specified when `operator` is "
         "'In' or 'NotIn'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["fieldSelector", "labelSelector"])
async def test_selectors_of_reviews(name: str, selector: dict[str, Any], told: str) -> None:
    spec = {"resourceAttributes": {"verb": "list", "resource": "pods", name: selector}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await Wire().ask("POST", path, {"spec": spec})
    causes = answer.json["details"]["causes"]
    assert [f"{cause['field']}: {cause['message']}" for cause in causes] == [told.format(name=name)]


async def test_every_answer_has_an_audit_id() -> None:
    """Its client's own, where it is one; also without an audit log, and of a stream and a refusal."""
    wire = Wire()
    paths = (MAPS, f"{MAPS}/nope", "/version", f"{MAPS}?watch=true&timeoutSeconds=1", "/raypod/v1/status")
    answers = [await wire.ask("GET", path) for path in paths]
    given = [answer.headers["Audit-Id"] for answer in answers]
    assert len(set(given)) == len(paths)
    assert (await wire.ask("GET", MAPS, Audit_ID="mine-1")).headers["Audit-Id"] == "mine-1"
    for strange in ("two words", "x" * 65, "\u00e9"):
        assert (await wire.ask("GET", MAPS, Audit_ID=strange)).headers["Audit-Id"] not in (*given, strange)
