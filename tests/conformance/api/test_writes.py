"""POST, PUT and PATCH: concurrency, identity, dry run, what a subresource may change, the exact refusals of patches."""

from __future__ import annotations

import json

import pytest
import yaml
from api_client import PATCHES, Api, config_map
from gateway_server import deployment

MAPS = "configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


def _deployments(api: Api) -> str:
    return f"/apis/apps/v1/namespaces/{api.namespace}/deployments"


def test_a_stale_revision_is_a_conflict_in_every_kind_of_write(api: Api) -> None:
    old = api.make("a", x="1")
    api.patch("merge", f"{MAPS}/a", {"data": {"x": "2"}}).ok()
    stale = old["metadata"]["resourceVersion"]
    metadata = {"resourceVersion": stale}
    refusals = [
        api.put(f"{MAPS}/a", old),
        api.patch("merge", f"{MAPS}/a", {"metadata": metadata, "data": {"y": "1"}}),
        api.patch("strategic", f"{MAPS}/a", {"metadata": metadata, "data": {"y": "1"}}),
        api.patch("json", f"{MAPS}/a", [{"op": "replace", "path": "/metadata/resourceVersion", "value": stale}]),
        api.apply(f"{MAPS}/a", {**config_map("a", y="1"), "metadata": {"name": "a", **metadata}}),
    ]
    for refusal in refusals:
        status = refusal.refused(409, "Conflict")
        assert status["message"] == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        assert status["details"] == {"name": "a", "kind": "configmaps"}
    assert api.get(f"{MAPS}/a").json["data"] == {"x": "2"}


def test_another_life_of_the_same_name_is_a_conflict(api: Api) -> None:
    first = api.make("a")
    api.delete(f"{MAPS}/a").ok()
    api.make("a")
    other = {**config_map("a"), "metadata": {"name": "a", "uid": first["metadata"]["uid"]}}
    for refusal in (api.put(f"{MAPS}/a", other), api.patch("merge", f"{MAPS}/a", {"metadata": other["metadata"]})):
        assert "Precondition failed: UID in precondition" in refusal.refused(409, "Conflict")["message"]


def test_what_only_the_server_sets_stays_as_it_is(api: Api) -> None:
    body = {**config_map("a"), "metadata": {"name": "a", "uid": "mine", "generation": 7, "selfLink": "/x"}}
    made = api.post(MAPS, body).ok()["metadata"]
    assert made["uid"] != "mine" and "selfLink" not in made and "generation" not in made
    api.post(MAPS, {**body, "metadata": {"name": "b", "resourceVersion": made["resourceVersion"]}}).refused(
        400, "BadRequest"
    )
    late = api.patch("merge", f"{MAPS}/a", {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})
    late.refused(422, "Invalid")
    dying = {"deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3}
    refused = api.patch("merge", f"{MAPS}/a", {"metadata": dying})
    refused.refused(422, "Invalid")
    assert set(refused.causes) == {"metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds"}
    named = api.post(MAPS, {"metadata": {"generateName": "g-"}}).ok()["metadata"]["name"]
    assert len(named) == 7 and named.startswith("g-")


def test_generation_counts_what_is_asked_for_and_nothing_else(api: Api) -> None:
    path = f"{_deployments(api)}/web"
    assert api.post(_deployments(api), deployment("web")).ok()["metadata"]["generation"] == 1
    patches = [
        ({"metadata": {"labels": {"a": "b"}}}, "", 1),
        ({"status": {"replicas": 2}}, "/status", 1),
        ({"spec": {"replicas": 2}}, "", 1),
        ({"spec": {"replicas": 3}}, "", 2),
        ({"spec": {"replicas": 4}}, "/scale", 3),
    ]
    for patch, subresource, generation in patches:
        api.patch("merge", path + subresource, patch).ok()
        assert api.get(path).json["metadata"]["generation"] == generation, patch


def test_the_status_and_the_rest_are_written_apart(api: Api) -> None:
    path = f"{_deployments(api)}/web"
    made = api.post(_deployments(api), {**deployment("web"), "status": {"replicas": 9}}).ok()
    assert "replicas" not in made.get("status", {})
    main = api.put(path, {**made, "status": {"replicas": 9}}).ok()
    assert "replicas" not in main.get("status", {})
    status = {"status": {"replicas": 1}, "spec": {"replicas": 9}, "metadata": {"labels": {"a": "b"}}}
    told = api.patch("merge", f"{path}/status", status).ok()
    assert (told["status"]["replicas"], told["spec"]["replicas"]) == (1, 2)
    assert "labels" not in told["metadata"]
    api.post("pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}).ok()
    pod = api.patch("merge", "pods/p/status", {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}).ok()
    assert (pod["metadata"]["labels"], pod["status"]["phase"]) == ({"a": "b"}, "Running")


def test_some_kinds_are_made_by_put_and_some_ask_for_the_revision(api: Api) -> None:
    leases = LEASES.format(api.namespace)
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    made = api.put(f"{leases}/l", lease)
    assert (made.code, made.json["spec"]["holderIdentity"]) == (201, "me")
    refused = api.put(f"{leases}/l", lease)
    refused.refused(422, "Invalid")
    assert refused.causes == {"metadata.resourceVersion": "Invalid value: 0: must be specified for an update"}
    assert api.put(f"{leases}/l", {**made.json, "spec": {"holderIdentity": "you"}}).code == 200
    api.put(f"{MAPS}/nope", config_map("nope")).refused(404, "NotFound")


def test_dry_run_answers_as_if_and_stores_nothing(api: Api) -> None:
    api.make("a", x="1")
    before = api.get(MAPS)
    dry = {"dryRun": "All"}
    made = api.post(MAPS, config_map("b"), **dry)
    assert made.code == 201 and made.json["metadata"]["uid"] and "resourceVersion" not in made.json["metadata"]
    assert api.put(f"{MAPS}/a", config_map("a", x="2"), **dry).json["data"] == {"x": "2"}
    assert api.put(f"{MAPS}/a", config_map("a", x="2"), **dry).code == 200
    for kind, patch in (
        ("merge", {"data": {"x": "2"}}),
        ("strategic", {"data": {"x": "2"}}),
        ("json", [{"op": "add", "path": "/data/x", "value": "2"}]),
    ):
        assert api.patch(kind, f"{MAPS}/a", patch, **dry).ok()["data"] == {"x": "2"}
    assert api.apply(f"{MAPS}/b", config_map("b"), **dry).code == 201
    assert api.apply(f"{MAPS}/a", config_map("a", y="2"), **dry).code == 200
    api.delete(f"{MAPS}/a", **dry).ok()
    api.delete(f"{MAPS}/a", {"dryRun": ["All"]}).ok()
    assert api.delete(MAPS, **dry).names == ["a"]
    api.post(MAPS, config_map("a"), **dry).refused(409, "AlreadyExists")
    api.post(MAPS, config_map("Bad_"), **dry).refused(422, "Invalid")
    assert api.get(MAPS).json["items"] == before.json["items"]
    api.make("last")
    told = api.watch(MAPS, resourceVersion=before.revision).told()
    assert told == [("ADDED", "last")], "nothing of this namespace was stored (others write, too)"
    for answer in (api.post(MAPS, config_map("b"), dryRun="Some"), api.delete(f"{MAPS}/a", dryRun="Some")):
        answer.refused(422, "Invalid")
        assert answer.causes == {"dryRun": 'Unsupported value: "Some": supported values: "All"'}


@pytest.mark.parametrize(
    ("kind", "query", "causes"),
    [
        ("merge", {"force": "true"}, {"force"}),
        ("apply", {}, {"fieldManager"}),
        ("merge", {"fieldManager": "x" * 129}, {"fieldManager"}),
        ("merge", {"fieldManager": "a\x07"}, {"fieldManager"}),
        (
            "merge",
            {"fieldValidation": "Maybe", "dryRun": "Some", "force": "false"},
            {"fieldValidation", "dryRun", "force"},
        ),
    ],
)
def test_patch_options_are_judged_all_at_once(api: Api, kind: str, query: dict[str, str], causes: set[str]) -> None:
    answer = api.patch(kind, f"{MAPS}/a", {"metadata": {"name": "a"}}, **query)
    status = answer.refused(422, "Invalid")
    assert status["message"].startswith('PatchOptions.meta.k8s.io "" is invalid: ')
    assert set(answer.causes) == causes


JSON_REFUSALS = [
    ([{"op": "test", "path": "/data/x", "value": "no"}], 422),
    ([{"op": "test", "path": "/data/absent", "value": 1}], 422),
    ([{"op": "remove", "path": "/data/absent"}], 422),
    ([{"op": "replace", "path": "/data/absent", "value": "1"}], 422),
    ([{"op": "add", "path": "/absent/x", "value": "1"}], 422),
    ([{"op": "add", "path": "/metadata/finalizers/5", "value": "a/b"}], 422),
    ([{"op": "move", "from": "/data", "path": "/data/x"}], 422),
    ([{"op": "frobnicate", "path": "/data/x"}], 400),
    ([{"op": "add", "path": "data/x", "value": "1"}], 400),
    ([{"op": "add", "path": "/data/x"}], 400),
    ([{"op": "copy", "path": "/data/x"}], 400),
    ({"op": "add"}, 400),
    (["add"], 400),
    ([{"op": "test", "path": "", "value": 0}] * 10_001, 413),
    ([{"op": "copy", "from": "/metadata", "path": "/metadata/annotations"}] * 5_000, 413),
    ([{"op": "replace", "path": "/metadata/name", "value": "b"}], 400),
]


def test_a_patch_that_makes_no_object_is_told_by_the_field_patch(api: Api) -> None:
    api.make("a", x="1")
    for kind, patch in (
        ("json", [{"op": "replace", "path": "", "value": []}]),
        ("json", [{"op": "replace", "path": "/data", "value": 1}]),
        ("merge", {"data": 1}),
        ("strategic", {"data": {"x": 1}}),
    ):
        answer = api.patch(kind, f"{MAPS}/a", patch)
        assert answer.refused(422, "Invalid")["message"].startswith(' "" is invalid: patch: Invalid value: ')
        assert list(answer.causes) == ["patch"]


@pytest.mark.parametrize(("operations", "code"), JSON_REFUSALS)
def test_json_patches_that_do_not_apply(api: Api, operations: object, code: int) -> None:
    made = api.make("a", x="1")
    reasons = {400: "BadRequest", 413: "RequestEntityTooLarge", 422: "Invalid"}
    status = api.patch("json", f"{MAPS}/a", operations).refused(code, reasons[code])
    if code == 422:
        assert status["message"].startswith("the server rejected our request due to an error in our request")
    assert api.get(f"{MAPS}/a").json == made


def test_a_json_patch_is_all_or_nothing(api: Api) -> None:
    api.make("a", x="1")
    operations = [
        {"op": "add", "path": "/data/y", "value": "2"},
        {"op": "copy", "from": "/data/y", "path": "/data/z~1q"},
        {"op": "move", "from": "/data/x", "path": "/data/w"},
        {"op": "test", "path": "/data/w", "value": "1"},
    ]
    api.patch("json", f"{MAPS}/a", [*operations, {"op": "test", "path": "/data/w", "value": "2"}]).refused(
        422, "Invalid"
    )
    assert api.get(f"{MAPS}/a").json["data"] == {"x": "1"}
    bad = api.patch("json", f"{MAPS}/a", operations)
    assert (bad.code == 422 and "data[z/q]" in str(bad.json)) or bad.code == 422
    operations[1]["path"] = "/data/z"
    assert api.patch("json", f"{MAPS}/a", operations).ok()["data"] == {"y": "2", "z": "2", "w": "1"}


def _containers(api: Api) -> list[dict[str, object]]:
    found: list[dict[str, object]] = api.get(f"{_deployments(api)}/web").json["spec"]["template"]["spec"]["containers"]
    return found


def _template(spec: dict[str, object]) -> dict[str, object]:
    return {"spec": {"template": {"spec": spec}}}


def test_strategic_merge_and_its_directives(api: Api) -> None:
    path = f"{_deployments(api)}/web"
    api.post(_deployments(api), deployment("web")).ok()
    side = [{"name": "side", "image": "s"}, {"name": "main", "env": [{"name": "A", "value": "1"}]}]
    api.patch("strategic", path, _template({"containers": side})).ok()
    added, main = _containers(api)
    assert (main["image"], main["env"], added["name"]) == ("nginx:1", [{"name": "A", "value": "1"}], "side")
    api.patch("strategic", path, _template({"$setElementOrder/containers": [{"name": "main"}, {"name": "side"}]})).ok()
    assert [c["name"] for c in _containers(api)] == ["main", "side"]
    gone = [{"name": "main", "env": [{"name": "A", "$patch": "delete"}]}, {"name": "absent", "$patch": "delete"}]
    api.patch("strategic", path, _template({"containers": gone})).ok()
    assert not _containers(api)[0].get("env")
    alone = [{"name": "only", "image": "o"}, {"$patch": "replace"}]
    api.patch("strategic", path, _template({"containers": alone})).ok()
    assert [c["name"] for c in _containers(api)] == ["only"]
    strategy = {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": None}}
    assert api.patch("strategic", path, {"spec": strategy}).ok()["spec"]["strategy"] == {"type": "Recreate"}
    api.patch("strategic", path, {"metadata": {"finalizers": ["a.io/x", "a.io/y"]}}).ok()
    merged = api.patch("strategic", path, {"metadata": {"finalizers": ["a.io/z"]}}).ok()["metadata"]["finalizers"]
    assert merged == ["a.io/z", "a.io/x", "a.io/y"]
    removal = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.io/x", "a.io/z"]}}
    assert api.patch("strategic", path, removal).ok()["metadata"]["finalizers"] == ["a.io/y"]
    args = [{"name": "only", "args": ["a", "b"]}]
    api.patch("strategic", path, _template({"containers": args})).ok()
    api.patch("strategic", path, _template({"containers": [{"name": "only", "args": ["c"]}]})).ok()
    assert _containers(api)[0]["args"] == ["c"]
    whole = {"metadata": {"labels": {"$patch": "replace", "new": "1"}}}
    assert api.patch("strategic", path, whole).ok()["metadata"]["labels"] == {"new": "1"}


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"$patch": "frobnicate"}},
        {"spec": {"strategy": {"$retainKeys": ["rollingUpdate"], "type": "Recreate"}}},
        {"spec": {"strategy": {"$retainKeys": "type"}}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
        _template({"$setElementOrder/containers": "main"}),
        _template({"containers": [{"name": "side", "image": "x"}], "$setElementOrder/containers": [{"name": "main"}]}),
        _template({"containers": [{"image": "x"}]}),
        [],
        "text",
    ],
)
def test_strategic_patches_that_contradict_themselves(api: Api, patch: object) -> None:
    api.post(_deployments(api), deployment("web")).ok()
    api.patch("strategic", f"{_deployments(api)}/web", patch).refused(400, "BadRequest")


def test_content_types_of_patches(api: Api) -> None:
    api.make("a")
    for media in ("application/json", "text/plain", "application/strategic-merge-patch+yaml", ""):
        answer = api.ask("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, {"Content-Type": media})
        assert answer.refused(415, "UnsupportedMediaType")["message"].startswith("415: Unsupported Media Type")
    media = PATCHES["merge"] + "; charset=utf-8"
    assert api.ask("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, {"Content-Type": media}).ok()["data"] == {"x": "1"}


def test_yaml_comes_in_and_goes_out(api: Api) -> None:
    body = b"metadata: {name: y}\ndata:\n  text: |\n    two\n    lines\n"
    accept = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    made = api.ask("POST", MAPS, body, accept)
    assert (made.code, made.headers["Content-Type"]) == (201, "application/yaml")
    assert b"kind: ConfigMap" in made.body
    assert yaml.safe_load(made.body)["data"] == {"text": "two\nlines\n"}
    assert b"kind: ConfigMapList" in api.get(MAPS, {"Accept": "application/yaml"}).body
    aliased = b"metadata: {name: z}\ndata: {a: &x b, c: *x}\n"
    api.ask("POST", MAPS, aliased, {"Content-Type": "application/yaml"}).refused(400, "BadRequest")


def test_metadata_alone_is_answered_when_asked_for(api: Api) -> None:
    api.make("a", x="secret")
    one = api.get(f"{MAPS}/a", {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"})
    assert one.json["kind"] == "PartialObjectMetadata" and "secret" not in one.body.decode()
    many = api.get(MAPS, {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"})
    assert many.json["kind"] == "PartialObjectMetadataList"
    assert [set(item) for item in many.json["items"]] == [{"kind", "apiVersion", "metadata"}]
    api.get(MAPS, {"Accept": "application/xml"}).refused(406, "NotAcceptable")


def test_a_body_larger_than_the_limit(api: Api) -> None:
    large = json.dumps(config_map("a", x="y" * (3 << 20))).encode()
    status = api.ask("POST", MAPS, large).refused(413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"
