"""Admission webhooks as users run them: real HTTPS servers with their own CA, real kubectl, who is asked and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_server import RunningGateway, deployment, pod, served
from remote_server import (
    Authority,
    configuration,
    patch,
    reviewing,
    serving,
    webhook,
)
from webhook_support import CONFIGURATIONS, MAPS, authority, clean, config_map, install, post, url_client

__all__ = ["authority", "clean", "served"]
pytestmark = pytest.mark.usefixtures("clean")


def test_a_review_has_all_that_webhooks_read(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        install(served, "Validating", webhook("all.example.com", url_client(server, authority, "/check")))
        served.kubectl("create", "configmap", "seen", "--from-literal=a=1")
        served.kubectl("patch", "configmap", "seen", "--type=merge", "-p", '{"data":{"a":"2"}}')
        method, path, headers, _ = server.requests[0]
        assert (method, path) == ("POST", "/check?timeout=10s")
        assert headers["content-type"] == "application/json"
        review = server.reviews[0]
        assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        asked = review["request"]
        assert asked["kind"] == asked["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
        assert asked["resource"] == asked["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
        assert (asked["name"], asked["namespace"], asked["operation"]) == ("seen", "default", "CREATE")
        assert asked["userInfo"]["username"] == "kubernetes-admin"
        assert "system:masters" in asked["userInfo"]["groups"]
        assert asked["dryRun"] is False
        assert asked["options"]["kind"] == "CreateOptions"
        assert asked["options"]["fieldManager"] == "kubectl-create"
        assert asked["oldObject"] is None
        assert asked["object"]["metadata"]["managedFields"][0]["manager"] == "kubectl-create"
        changed = server.reviews[1]["request"]
        assert (changed["operation"], changed["options"]["kind"]) == ("UPDATE", "PatchOptions")
        assert changed["oldObject"]["data"] == {"a": "1"}
        assert changed["object"]["data"] == {"a": "2"}


def test_a_mutating_webhook_patches_and_kubectl_sees_it(served: RunningGateway, authority: Authority) -> None:
    def add(request: dict[str, Any]) -> dict[str, Any]:
        return patch({"op": "add", "path": "/data/added", "value": "yes"})

    with serving(authority.issue("127.0.0.1"), reviewing(add)) as server:
        install(served, "Mutating", webhook("add.example.com", url_client(server, authority)))
        served.kubectl("create", "configmap", "patched", "--from-literal=a=1")
        assert served.kubectl("get", "configmap", "patched", "-o", "json").json["data"] == {"a": "1", "added": "yes"}
        applied = json.dumps(config_map("applied"))
        served.kubectl("apply", "--server-side", "-f", "-", stdin=applied)
        served.kubectl("apply", "--server-side", "-f", "-", stdin=applied)
        assert served.kubectl("get", "configmap", "applied", "-o", "json").json["data"]["added"] == "yes"


def test_a_refusal_is_kubernetes_sentence_with_the_webhooks_own_status(
    served: RunningGateway, authority: Authority
) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        status = {"message": "it is Monday", "code": 418, "reason": "Teapot"}
        return {"allowed": False, **({"status": status} if request["name"] == "told" else {})}

    with serving(authority.issue("127.0.0.1"), reviewing(refuse)) as server:
        install(served, "Validating", webhook("no.example.com", url_client(server, authority)))
        code, _, status = post(served, MAPS, config_map("told"))
        assert (code, status["code"], status["reason"]) == (418, 418, "Teapot")
        assert status["message"] == 'admission webhook "no.example.com" denied the request: it is Monday'
        code, _, status = post(served, MAPS, config_map("untold"))
        assert (code, "reason" in status) == (400, False)
        assert status["message"] == 'admission webhook "no.example.com" denied the request without explanation'
        shown = served.kubectl("create", "configmap", "told", fails=True).err
        assert 'admission webhook "no.example.com" denied the request: it is Monday' in shown
        served.kubectl("get", "configmap", "told", fails=True)


def test_warnings_reach_kubectl(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"warnings": ["mind the gap"]})) as server:
        install(served, "Validating", webhook("warn.example.com", url_client(server, authority)))
        assert "Warning: mind the gap" in served.kubectl("create", "configmap", "warned").err


def test_warnings_come_with_a_refusal_too(served: RunningGateway, authority: Authority) -> None:
    answer = {"allowed": False, "warnings": ["mind the gap"]}
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: answer)) as server:
        install(served, "Validating", webhook("warn.example.com", url_client(server, authority)))
        shown = served.kubectl("create", "configmap", "refused", fails=True).err
        assert "Warning: mind the gap" in shown and "denied the request" in shown


def test_a_pods_binding_its_scale_and_its_removal_are_asked_about(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        hook = webhook("every.example.com", url_client(server, authority), ("*/*",))
        hook["rules"][0]["operations"] = ["*"]
        install(served, "Validating", hook)
        served.kubectl("create", "-f", "-", stdin=json.dumps(deployment("scaled")))
        served.kubectl("scale", "deployment", "scaled", "--replicas=5")
        served.kubectl("create", "-f", "-", stdin=json.dumps(pod("evicted")))
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted"}}
        code, _, answer = post(served, "/api/v1/namespaces/default/pods/evicted/eviction", eviction)
        assert code == 201, answer
        served.kubectl("delete", "deployment", "scaled")
        served.kubectl("auth", "can-i", "get", "pods")
        seen = [
            (r["operation"], r["resource"]["resource"], r.get("subResource", ""), r["kind"]["kind"])
            for r in (review["request"] for review in server.reviews)
        ]
        assert ("UPDATE", "deployments", "scale", "Scale") in seen
        assert ("CREATE", "pods", "eviction", "Eviction") in seen
        assert ("DELETE", "deployments", "", "Deployment") in seen
        assert ("CREATE", "selfsubjectaccessreviews", "", "SelfSubjectAccessReview") in seen
        removed = next(r["request"] for r in server.reviews if r["request"]["operation"] == "DELETE")
        assert removed["object"] is None
        assert removed["oldObject"]["metadata"]["name"] == "scaled"
        assert removed["options"]["kind"] == "DeleteOptions"


def test_every_item_of_a_collection_and_of_a_batch_is_asked_about(served: RunningGateway, authority: Authority) -> None:
    def keep_two(request: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": not request["name"].endswith("-2")}

    with serving(authority.issue("127.0.0.1"), reviewing(keep_two)) as server:
        hook = webhook("two.example.com", url_client(server, authority))
        hook["rules"][0]["operations"] = ["CREATE", "DELETE"]
        install(served, "Validating", hook)
        items = [
            {"method": "POST", "path": "/api/v1/namespaces/kube-public/configmaps", "body": config_map(f"of-{n}")}
            for n in range(4)
        ]
        for item in items:
            item["body"]["metadata"]["namespace"] = "kube-public"  # type: ignore[index]
        code, _, answer = post(served, "/apis/raypod.io/v1/batch", {"items": items})
        assert code == 200
        assert [item["code"] for item in answer["items"]] == [201, 201, 400, 201]
        served.kubectl("delete", "configmaps", "--all", "-n", "kube-public")
        assert [r["request"]["operation"] for r in server.reviews].count("DELETE") == 3


def test_selectors_and_conditions_choose(served: RunningGateway, authority: Authority) -> None:
    served.kubectl("create", "namespace", "watched")
    served.kubectl("label", "namespace", "watched", "watch=yes")
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        install(
            served,
            "Validating",
            webhook(
                "chosen.example.com",
                url_client(server, authority),
                namespaceSelector={"matchLabels": {"watch": "yes"}},
                objectSelector={"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
                matchConditions=[
                    {"name": "not-secret", "expression": "!object.metadata.name.startsWith('secret')"},
                    {"name": "by-admin", "expression": "request.userInfo.username == 'kubernetes-admin'"},
                ],
            ),
        )
        post(served, MAPS, config_map("elsewhere"))
        maps = "/api/v1/namespaces/watched/configmaps"
        post(served, maps, config_map("skipped", labels={"skip": "me"}))
        post(served, maps, config_map("secret-thing"))
        assert server.requests == []
        assert post(served, maps, config_map("shown"))[0] == 201
        assert [review["request"]["name"] for review in server.reviews] == ["shown"]


def test_a_condition_that_fails_follows_the_failure_policy(served: RunningGateway, authority: Authority) -> None:
    broken = [{"name": "broken", "expression": "object.nothing.here == 'x'"}]
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        client = url_client(server, authority)
        install(
            served, "Validating", webhook("open.example.com", client, matchConditions=broken, failurePolicy="Ignore")
        )
        assert post(served, MAPS, config_map("open"))[0] == 201
        assert server.requests == []
        install(served, "Validating", webhook("shut.example.com", client, matchConditions=broken), name="shut")
        code, _, status = post(served, MAPS, config_map("shut"))
        assert (code, status["reason"]) == (403, "Forbidden")
        assert status["message"].startswith("configmaps \"shut\" is forbidden: match condition 'broken' error: ")


def test_equivalent_sees_the_version_that_the_rule_names(served: RunningGateway, authority: Authority) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "told"},
        "eventTime": "2026-11-23T10:00:00.000000Z",
        "reportingController": "test",
        "reportingInstance": "test-1",
        "action": "Testing",
        "reason": "Tried",
        "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "note": "a note",
    }

    def add(request: dict[str, Any]) -> dict[str, Any]:
        return patch({"op": "replace", "path": "/message", "value": request["object"]["message"] + ", amended"})

    with serving(authority.issue("127.0.0.1"), reviewing(add)) as server:
        hook = webhook("events.example.com", url_client(server, authority), ("events",))
        hook["rules"][0]["apiGroups"] = [""]
        install(served, "Mutating", hook)
        code, _, answer = post(served, "/apis/events.k8s.io/v1/namespaces/default/events", event)
        assert (code, answer.get("note")) == (201, "a note, amended")
        asked = server.reviews[0]["request"]
        assert asked["kind"] == {"group": "", "version": "v1", "kind": "Event"}
        assert asked["requestKind"]["group"] == "events.k8s.io"
        assert asked["object"]["involvedObject"]["name"] == "p"


def test_configurations_themselves_are_shown_to_nobody(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"allowed": False})) as server:
        hook = webhook("all.example.com", url_client(server, authority), ("*",))
        hook["rules"][0]["operations"] = ["*"]
        install(served, "Validating", hook)
        install(served, "Mutating", {**hook, "name": "none.example.com"}, name="other")
        served.kubectl("delete", "mutatingwebhookconfiguration", "other")
        served.kubectl("delete", "validatingwebhookconfiguration", "hooks")
        assert server.requests == []


def test_one_that_asks_for_it_sees_again_what_a_later_one_has_changed(
    served: RunningGateway, authority: Authority
) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    def step(name: str) -> Any:
        def decide(request: dict[str, Any]) -> dict[str, Any]:
            data = request["object"]["data"]
            seen.append((name, data))
            return {} if name in data else patch({"op": "add", "path": f"/data/{name}", "value": "here"})

        return reviewing(decide)

    with (
        serving(authority.issue("127.0.0.1"), step("first")) as first,
        serving(authority.issue("127.0.0.1"), step("second")) as second,
    ):
        install(
            served,
            "Mutating",
            webhook("first.example.com", url_client(first, authority), reinvocationPolicy="IfNeeded"),
            webhook("second.example.com", url_client(second, authority)),
        )
        post(served, MAPS, config_map("twice"))
    assert [name for name, _ in seen] == ["first", "second", "first"]
    assert seen[2][1] == {"a": "1", "first": "here", "second": "here"}


def test_configurations_are_asked_in_the_order_of_their_names(served: RunningGateway, authority: Authority) -> None:
    seen: list[str] = []

    def step(name: str) -> Any:
        return reviewing(lambda request: seen.append(name) or {})  # type: ignore[func-returns-value]

    with (
        serving(authority.issue("127.0.0.1"), step("b")) as b,
        serving(authority.issue("127.0.0.1"), step("a")) as a,
    ):
        install(served, "Mutating", webhook("x.example.com", url_client(b, authority)), name="b")
        install(served, "Mutating", webhook("x.example.com", url_client(a, authority)), name="a")
        post(served, MAPS, config_map("ordered"))
    assert seen == ["a", "b"]


def test_dry_run_asks_only_those_without_side_effects(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        install(served, "Validating", webhook("dry.example.com", url_client(server, authority)))
        served.kubectl("create", "configmap", "dry", "--dry-run=server")
        assert server.reviews[0]["request"]["dryRun"] is True
        code, _, answer = served.request(
            "POST",
            CONFIGURATIONS + "validatingwebhookconfigurations",
            json.dumps(
                configuration(
                    "Validating", "wet", webhook("wet.example.com", url_client(server, authority), sideEffects="Some")
                )
            ).encode(),
        )
        assert code == 422, answer


def test_a_condition_that_does_not_compile_is_refused_when_it_is_written(served: RunningGateway) -> None:
    hook = webhook("bad.example.com", {"url": "https://x.example.com"})
    hook["matchConditions"] = [{"name": "bad", "expression": "..."}]
    for kind in ("Mutating", "Validating"):
        shown = served.kubectl("create", "-f", "-", stdin=json.dumps(configuration(kind, "bad", hook)), fails=True).err
        assert "compilation failed" in shown


def test_a_condition_may_ask_who_may(served: RunningGateway, authority: Authority) -> None:
    expression = "authorizer.group('').resource('configmaps').namespace('default').check('breakglass').allowed()"
    conditions = [{"name": "unless-breakglass", "expression": f"!{expression}"}]
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"allowed": False})) as server:
        client = url_client(server, authority)
        install(served, "Validating", webhook("who.example.com", client, matchConditions=conditions))
        assert post(served, MAPS, config_map("broken-glass"))[0] == 201
        assert server.requests == [], "the administrator may do everything"
