"""What k9s, Lens and dashboards ask: rights, tables with objects, lists and watches of every kind that discovery names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from api_client import Api, Json
from gateway_server import KUBECTL, RunningGateway

TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def _resources(api: Api) -> Iterator[tuple[str, str, Json]]:
    """Group, version and row of all that can be listed and watched."""
    for root in ("/api", "/apis"):
        for group in api.get(root, {"Accept": AGGREGATED}).json["items"]:
            for version in group["versions"]:
                for row in version["resources"]:
                    if {"list", "watch"} <= set(row["verbs"]):
                        yield group["metadata"].get("name", ""), version["version"], row


def _path(group: str, version: str, row: Json) -> str:
    return f"/apis/{group}/{version}/{row['resource']}" if group else f"/api/{version}/{row['resource']}"


@pytest.fixture(scope="module", autouse=True)
def _objects(served: RunningGateway) -> None:
    """One of each kind that may be made by itself."""
    manifests = KUBECTL.parents[2] / "tests/manifests/every_kind.yaml"
    served.kubectl("apply", "-f", str(manifests), fails=None)


def test_every_kind_is_shown_as_a_table_with_its_objects(api: Api) -> None:
    shown = 0
    for group, version, row in _resources(api):
        path = _path(group, version, row)
        listed = api.get(path).json
        then = {"resourceVersion": listed["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
        table = api.get(path, {"Accept": TABLE}, includeObject="Object", limit=500, **then).json
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1"), path
        columns = [column["name"] for column in table["columnDefinitions"]]
        for line in table["rows"]:
            assert len(line["cells"]) == len(columns), path
            assert "<invalid>" not in line["cells"], (path, line["cells"])
            assert line["object"]["metadata"]["name"], path
        names = {line["object"]["metadata"]["name"] for line in table["rows"]}
        assert {item["metadata"]["name"] for item in listed["items"]} == names, path
        partial = api.get(path, {"Accept": PARTIAL}, **then).json
        assert {item["metadata"]["name"] for item in partial["items"]} == names, path
        shown += bool(names)
    assert shown > 30, "there are objects of most kinds"


def test_every_kind_is_watched_from_what_there_is(api: Api) -> None:
    """As reflectors do (KEP-3157): the objects as the watch's own beginning, up to the bookmark that ends it."""
    for group, version, row in _resources(api):
        path = _path(group, version, row)
        listed = api.get(path, resourceVersion="0", limit=500).json
        streamed = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        watch = api.watch(path, **streamed)
        seen = []
        while (event := watch.next())["type"] != "BOOKMARK":
            seen.append(event["object"]["metadata"]["uid"])
        assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, path
        assert set(seen) >= {item["metadata"]["uid"] for item in listed["items"]}, path
        assert event["object"]["kind"] == listed["kind"].removesuffix("List"), path


def test_rights_are_asked_for_one_by_one(api: Api) -> None:
    for verb in ("list", "watch", "get", "delete"):
        asked = {"resourceAttributes": {"verb": verb, "group": "apps", "resource": "deployments", "namespace": ""}}
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": asked}
        answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        assert answer.ok()["status"]["allowed"] is True


def test_a_kind_that_nobody_has_columns_for_shows_name_and_age(served: RunningGateway, api: Api) -> None:
    group = f"{api.namespace}.example.com"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": "oddities", "singular": "oddity", "kind": "Oddity", "listKind": "OddityList"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    crd = {"kind": "CustomResourceDefinition", "metadata": {"name": f"oddities.{group}"}, "spec": spec}
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd).ok()
    api.post(f"/apis/{group}/v1/namespaces/default/oddities", {"metadata": {"name": "x"}}).ok()
    rows = served.kubectl("get", f"oddities.{group}").rows
    assert (rows[0], rows[1][0]) == (["NAME", "AGE"], "x")


def test_kubectl_proxy_carries_all_that(served: RunningGateway) -> None:
    """On a port and on a socket, as Kubernetes' own tests of it ask."""
    with served.start_kubectl("proxy", "--port=0") as proxy:
        assert proxy.stdout is not None
        where = proxy.stdout.readline().rsplit(" ", 1)[1].strip()
        told = _curl(f"http://{where}/api/")
        proxy.terminate()
    socket = served.home / "proxy.sock"
    with served.start_kubectl("proxy", f"--unix-socket={socket}") as proxy:
        assert proxy.stdout is not None
        proxy.stdout.readline()
        again = _curl("--unix-socket", str(socket), "http://localhost/api/")
        proxy.terminate()
    assert told["versions"] == again["versions"] == ["v1"]


def _curl(*args: str) -> Json:
    done = subprocess.run(["curl", "-s", "--noproxy", "*", *args], capture_output=True, text=True, timeout=20)
    found: Json = json.loads(done.stdout)
    return found
