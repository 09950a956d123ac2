"""Versions of a custom resource that differ, and the webhook that converts between them: read, list, watch, write."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from conversion_support import (
    DEFINITIONS,
    NAME,
    TEXT,
    ask,
    authority,
    by_webhook,
    converting,
    definition,
    host,
    path_of,
    remove,
    schema_of,
    server,
    stored,
)
from gateway_server import RunningGateway, served
from remote_server import Authority, RemoteServer, configuration, patch, reviewing, serving, webhook

from actors.api.key import Key

__all__ = ["authority", "served", "server"]


def test_what_is_stored_in_one_version_is_read_in_the_other(served: RunningGateway, server: RemoteServer) -> None:
    code, made = ask(served, "POST", path_of("v1"), host("v1", "one", host="a", port="80"))
    assert (code, server.requests) == (201, []), "its own version needs no conversion"
    code, seen = ask(served, "GET", path_of("v2", "one"))
    assert (code, seen["apiVersion"]) == (200, "stable.example.com/v2")
    assert seen["spec"] == {"hostPort": "a:80", "level": "high"}, "with the defaults of that version"
    assert seen["metadata"] == made["metadata"]
    method, path, _, body = server.requests[0]
    assert (method, path) == ("POST", "/convert?timeout=30s")
    review = json.loads(body)
    assert (review["apiVersion"], review["kind"]) == ("apiextensions.k8s.io/v1", "ConversionReview")
    assert review["request"]["desiredAPIVersion"] == "stable.example.com/v2"
    assert review["request"]["objects"][0]["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_list_is_one_call_and_a_table_has_the_versions_columns(served: RunningGateway, server: RemoteServer) -> None:
    for number in range(3):
        ask(served, "POST", path_of("v1"), host("v1", f"of-{number}", host="a", port=str(number)))
    rows = served.kubectl("get", "hosts.v2.stable.example.com").rows
    assert rows[0] == ["NAME", "HOSTPORT"]
    assert [row[:2] for row in rows[1:]] == [[f"of-{n}", f"a:{n}"] for n in range(3)]
    assert len(server.requests) == 1
    items = ask(served, "GET", path_of("v2"))[1]["items"]
    assert [item["spec"]["hostPort"] for item in items] == ["a:0", "a:1", "a:2"]
    assert len(server.requests) == 1, "what was converted is known"


def test_a_watch_shows_every_change_in_its_own_version(served: RunningGateway, server: RemoteServer) -> None:
    watching = served.start_kubectl("get", "hosts.v2.stable.example.com", "--watch", "-o", "json")
    try:
        time.sleep(0.5)
        ask(served, "POST", path_of("v1"), host("v1", "seen", host="a", port="1"))
        ask(served, "PATCH", path_of("v1", "seen"), {"spec": {"port": "2"}}, "application/merge-patch+json")
        assert watching.stdout is not None
        text, decoder, seen = "", json.JSONDecoder(), []
        while len(seen) < 2:
            text = (text + watching.stdout.readline()).lstrip()
            try:
                found, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                continue
            seen.append(found["spec"]["hostPort"])
            text = text[end:]
        assert seen == ["a:1", "a:2"]
    finally:
        watching.terminate()
        watching.wait(10)


def test_every_way_to_write_in_the_other_version(served: RunningGateway, server: RemoteServer) -> None:
    code, made = ask(served, "POST", path_of("v2"), host("v2", "two", hostPort="b:90"))
    assert (code, made["spec"]) == (201, {"hostPort": "b:90", "level": "high"})
    assert stored(served, "two")["spec"] == {"host": "b", "port": "90"}
    assert stored(served, "two")["apiVersion"] == "stable.example.com/v1"
    merge = "application/merge-patch+json"
    code, answer = ask(served, "PATCH", path_of("v2", "two"), {"spec": {"hostPort": "c:91"}}, merge)
    assert (code, answer["spec"]["hostPort"], answer["metadata"]["generation"]) == (200, "c:91", 2)
    operations = [{"op": "replace", "path": "/spec/hostPort", "value": "d:92"}]
    assert ask(served, "PATCH", path_of("v2", "two"), operations, "application/json-patch+json")[0] == 200
    assert stored(served, "two")["spec"] == {"host": "d", "port": "92"}
    seen = ask(served, "GET", path_of("v2", "two"))[1]
    seen["spec"]["hostPort"] = "e:93"
    code, answer = ask(served, "PUT", path_of("v2", "two"), seen)
    assert (code, answer["metadata"]["uid"]) == (200, made["metadata"]["uid"])
    assert stored(served, "two")["spec"] == {"host": "e", "port": "93"}
    code, answer = ask(served, "PUT", path_of("v2", "two"), seen)
    assert (code, answer["reason"]) == (409, "Conflict")
    status = {"status": {"phase": "Up"}, "spec": {"hostPort": "not:1"}}
    code, answer = ask(served, "PATCH", path_of("v2", "two") + "/status", status, merge)
    assert (code, answer["status"], answer["spec"]["hostPort"]) == (200, {"phase": "Up"}, "e:93")
    assert stored(served, "two")["spec"] == {"host": "e", "port": "93"}


def test_an_apply_in_the_other_version_owns_fields_of_that_version(
    served: RunningGateway, server: RemoteServer
) -> None:
    applied = json.dumps(host("v2", "applied", hostPort="a:1"))
    served.kubectl("apply", "--server-side", "--field-manager=me", "-f", "-", stdin=applied)
    served.kubectl("apply", "--server-side", "--field-manager=me", "-f", "-", stdin=applied.replace("a:1", "a:2"))
    found = stored(served, "applied")
    assert found["spec"] == {"host": "a", "port": "2"}
    entry = found["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["apiVersion"]) == ("me", "stable.example.com/v2")
    assert entry["fieldsV1"] == {"f:spec": {"f:hostPort": {}}}
    conflict = served.kubectl(
        "apply", "--server-side", "--field-manager=you", "-f", "-", stdin=applied.replace("a:1", "z:9"), fails=True
    )
    assert 'conflict with "me"' in conflict.err


def test_each_version_has_its_own_rules(served: RunningGateway, server: RemoteServer) -> None:
    code, answer = ask(served, "POST", path_of("v2"), host("v2", "bad", hostPort="NO"))
    assert (code, answer["reason"]) == (422, "Invalid")
    assert "spec.hostPort" in answer["message"]
    assert server.requests == [], "what is not valid is not converted"
    code, answer = ask(served, "POST", path_of("v1") + "?fieldValidation=Strict", host("v1", "bad", hostPort="a:1"))
    assert (code, 'unknown field "spec.hostPort"' in answer["message"]) == (400, True)


def test_dry_run_in_the_other_version_stores_nothing(served: RunningGateway, server: RemoteServer) -> None:
    code, answer = ask(served, "POST", path_of("v2") + "?dryRun=All", host("v2", "dry", hostPort="a:1"))
    assert (code, answer["spec"]["hostPort"]) == (201, "a:1")
    assert ask(served, "GET", path_of("v2", "dry"))[0] == 404


def test_names_are_made_in_every_version(served: RunningGateway, server: RemoteServer) -> None:
    obj = host("v2", "", hostPort="a:1")
    obj["metadata"] = {"generateName": "made-"}
    names = {ask(served, "POST", path_of("v2"), obj)[1]["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3


def test_what_is_stored_in_the_earlier_version_lives_on(served: RunningGateway, server: RemoteServer) -> None:
    ask(served, "POST", path_of("v1"), host("v1", "old", host="a", port="1"))
    found = ask(served, "GET", f"{DEFINITIONS}/{NAME}")[1]
    for version in found["spec"]["versions"]:
        version["storage"] = version["name"] == "v2"
    code, answer = ask(served, "PUT", f"{DEFINITIONS}/{NAME}", found)
    assert (code, answer["status"]["storedVersions"]) == (200, ["v1", "v2"])
    assert ask(served, "GET", path_of("v2", "old"))[1]["spec"] == {"hostPort": "a:1", "level": "high"}
    assert ask(served, "GET", path_of("v1", "old"))[1]["spec"] == {"host": "a", "port": "1"}
    merge = "application/merge-patch+json"
    ask(served, "PATCH", path_of("v2", "old") + "/status", {"status": {"phase": "Up"}}, merge)
    now = stored(served, "old")
    assert now["apiVersion"] == "stable.example.com/v2", "a write brings it into the stored version, all of it"
    assert (now["spec"]["hostPort"], now["status"]) == ("a:1", {"phase": "Up"})
    seen = ask(served, "GET", path_of("v1", "old"))[1]
    assert (seen["spec"], seen["status"]) == ({"host": "a", "port": "1"}, {"phase": "Up"})
    code, answer = ask(served, "PATCH", f"{DEFINITIONS}/{NAME}/status", {"status": {"storedVersions": ["v2"]}}, merge)
    assert (code, answer["status"]["storedVersions"]) == (200, ["v2"])


def test_a_part_of_the_control_plane_writes_to_what_is_stored_in_the_earlier_version(
    served: RunningGateway, server: RemoteServer
) -> None:
    from actors.admission.request import Origin
    from actors.reconcile.actions import Patch

    ask(served, "POST", path_of("v1"), host("v1", "kept", host="a", port="1"))
    found = ask(served, "GET", f"{DEFINITIONS}/{NAME}")[1]
    for version in found["spec"]["versions"]:
        version["storage"] = version["name"] == "v2"
    ask(served, "PUT", f"{DEFINITIONS}/{NAME}", found)
    write = Patch(key=Key(NAME, "default", "kept"), patch={"metadata": {"finalizers": ["a.example.com/b"]}})
    chain = served.gateway.app.backend.admission
    reply = served.run(chain.submit([write], [Origin({"username": "gc"})]))[0]
    assert reply.error is None
    assert stored(served, "kept")["spec"] == {"hostPort": "a:1", "level": "high"}
    ask(served, "PATCH", path_of("v2", "kept"), {"metadata": {"finalizers": None}}, "application/merge-patch+json")


def test_admission_webhooks_see_the_version_that_they_ask_for(
    served: RunningGateway, server: RemoteServer, authority: Authority
) -> None:
    def raise_port(request: dict[str, Any]) -> dict[str, Any]:
        name, _, port = request["object"]["spec"]["hostPort"].partition(":")
        return patch({"op": "replace", "path": "/spec/hostPort", "value": f"{name}:{int(port) + 1}"})

    with serving(authority.issue("127.0.0.1"), reviewing(raise_port)) as admitting:
        client = {"url": admitting.url, "caBundle": authority.bundle}
        hook = webhook("hosts.example.com", client, ("hosts",))
        hook["rules"][0]["apiVersions"] = ["v2"]
        url = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        ask(served, "POST", url, configuration("Mutating", "hosts", hook))
        while served.gateway.app.backend.admission.is_idle:
            time.sleep(0.01)
        code, answer = ask(served, "POST", path_of("v1"), host("v1", "raised", host="a", port="1"))
        assert (code, answer.get("spec")) == (201, {"host": "a", "port": "2"})
        code, answer = ask(served, "POST", path_of("v2"), host("v2", "raised-two", hostPort="a:5"))
        assert (code, answer["spec"]["hostPort"]) == (201, "a:6")
        asked = admitting.reviews[0]["request"]
        assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v2", "v1")
        ask(served, "DELETE", f"{url}/hosts")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: r.update(result={"status": "Failed", "message": "I cannot"}), "failed: I cannot"),
        (lambda r: r.update(result={}), "failed: response.result.status was '', not 'Success'"),
        (lambda r: r.update(uid="other"), 'failed: expected response.uid="'),
        (lambda r: r.update(convertedObjects=[]), "returned 0 objects, expected 1"),
        (
            lambda r: r["convertedObjects"][0].update(apiVersion="stable.example.com/v1"),
            "invalid groupVersion (expected",
        ),
        (lambda r: r["convertedObjects"][0].update(kind="Other"), "invalid kind (expected Host, received Other)"),
        (lambda r: r["convertedObjects"][0]["metadata"].update(name="x"), "must have the same name: broken != x"),
        (lambda r: r["convertedObjects"][0].pop("metadata"), "missing metadata in converted object"),
        (lambda r: r["convertedObjects"][0]["metadata"].update(labels={"a": 1}), "metadata.labels[a] must be a string"),
        (lambda r: r["convertedObjects"].__setitem__(0, 5), "it is not an object"),
    ],
)
def test_a_conversion_that_is_none(served: RunningGateway, server: RemoteServer, change: Any, why: str) -> None:
    ask(served, "POST", path_of("v1"), host("v1", "broken", host="a", port="1"))
    server.handler = converting(change)
    code, status = ask(served, "GET", path_of("v2", "broken"))
    assert (code, status["code"], "reason" in status) == (500, 500, False)
    assert status["message"].startswith("conversion webhook for stable.example.com/v1, Kind=Host ")
    assert why in status["message"]
    assert ask(served, "GET", path_of("v2"))[0] == 500
    assert ask(served, "GET", path_of("v1", "broken"))[0] == 200, "its own version needs nobody"


def test_what_a_webhook_changes_in_metadata_is_not_taken(served: RunningGateway, server: RemoteServer) -> None:
    def change(response: dict[str, Any]) -> None:
        metadata = response["convertedObjects"][0]["metadata"]
        metadata |= {"finalizers": ["x.example.com/y"], "labels": {"a": "b"}, "resourceVersion": "1", "generation": 9}

    made = ask(served, "POST", path_of("v1"), host("v1", "meta", host="a", port="1"))[1]
    server.handler = converting(change)
    seen = ask(served, "GET", path_of("v2", "meta"))[1]
    assert seen["metadata"] == {**made["metadata"], "labels": {"a": "b"}}


def test_a_webhook_that_is_away(served: RunningGateway, authority: Authority, tmp_path: Path) -> None:
    with serving(authority.issue("127.0.0.1"), converting()) as running:
        client = {"url": running.url, "caBundle": authority.bundle}
    assert ask(served, "POST", DEFINITIONS, definition(by_webhook(client)))[0] == 201
    try:
        ask(served, "POST", path_of("v1"), host("v1", "alone", host="a", port="1"))
        code, status = ask(served, "GET", path_of("v2", "alone"))
        why = (
            f'failed: Post "{running.url}?timeout=30s": dial tcp 127.0.0.1:{running.port}: connect: connection refused'
        )
        assert (code, why in status["message"]) == (500, True), status
        code, status = ask(served, "POST", path_of("v2"), host("v2", "never", hostPort="a:1"))
        assert (code, why in status["message"]) == (500, True), status
        code, _, events = served.request("GET", path_of("v2") + "?watch=true&timeoutSeconds=2&resourceVersion=1")
        assert b'"ERROR"' in events or code != 200
    finally:
        remove(served)


def test_versions_that_differ_by_name_only_keep_their_own_schemas(served: RunningGateway) -> None:
    assert ask(served, "POST", DEFINITIONS, definition())[0] == 201
    try:
        code, made = ask(served, "POST", path_of("v2"), host("v2", "named", hostPort="a:1"))
        assert (code, made["spec"]) == (201, {"level": "high"}), "the stored version has no hostPort: it was pruned"
        code, answer = ask(served, "POST", path_of("v2"), host("v2", "worse", hostPort="BAD"))
        assert (code, "spec.hostPort" in answer["message"]) == (422, True)
        assert ask(served, "GET", path_of("v1", "named"))[1]["spec"] == {}
    finally:
        remove(served)


def test_a_default_that_comes_later_is_seen_on_what_is_stored(served: RunningGateway) -> None:
    assert ask(served, "POST", DEFINITIONS, definition())[0] == 201
    try:
        ask(served, "POST", path_of("v1"), host("v1", "early", host="a"))
        found = ask(served, "GET", f"{DEFINITIONS}/{NAME}")[1]
        found["spec"]["versions"][0]["schema"] = schema_of(host=TEXT, port={"type": "string", "default": "443"})
        assert ask(served, "PUT", f"{DEFINITIONS}/{NAME}", found)[0] == 200
        assert ask(served, "GET", path_of("v1", "early"))[1]["spec"] == {"host": "a", "port": "443"}
        assert stored(served, "early")["spec"] == {"host": "a"}
        assert ask(served, "GET", path_of("v1"))[1]["items"][0]["spec"] == {"host": "a", "port": "443"}
    finally:
        remove(served)
