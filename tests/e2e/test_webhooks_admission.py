"""Admission webhooks as users run them: real HTTPS servers with their own CA, real kubectl, every way they can fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_server import RunningGateway, deployment, pod, running_status, served
from remote_server import (
    Authority,
    RemoteServer,
    configuration,
    own_address,
    patch,
    reviewing,
    serving,
    webhook,
)

from actors.api.key import Key
from actors.controllers.actor import ControllersActor
from actors.controllers.config import ControllersConfig
from actors.reconcile.actions import Patch
from actors.scheduler.actor import SchedulerActor
from actors.scheduler.config import SchedulerConfig

__all__ = ["served"]
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/"
_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def clean(served: RunningGateway) -> Iterator[None]:
    """Without any configuration afterwards, and the gateway knows."""
    yield
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        served.request("DELETE", _CONFIGURATIONS + kind)
    _wait(lambda: served.gateway.app.backend.admission.is_idle)


pytestmark = pytest.mark.usefixtures("clean")


def _wait(done: Any) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def install(served: RunningGateway, kind: str, *webhooks: dict[str, Any], name: str = "hooks") -> None:
    """And wait until the gateway asks them."""
    chain = served.gateway.app.backend.admission
    resource = f"{kind.lower()}webhookconfigurations"
    code, _, answer = served.request(
        "POST", _CONFIGURATIONS + resource, json.dumps(configuration(kind, name, *webhooks)).encode()
    )
    assert code == 201, answer
    _wait(lambda: any(key.name == name for key in chain.feed._objects))


def url_client(server: RemoteServer, authority: Authority, path: str = "/") -> dict[str, Any]:
    return {"url": server.url + path, "caBundle": authority.bundle}


def post(served: RunningGateway, path: str, obj: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    code, headers, answer = served.request("POST", path, json.dumps(obj).encode())
    return code, headers, json.loads(answer)


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"a": "1"}}


# --- asking -----------------------------------------------------------------------------------------------------


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
        code, _, status = post(served, _MAPS, config_map("told"))
        assert (code, status["code"], status["reason"]) == (418, 418, "Teapot")
        assert status["message"] == 'admission webhook "no.example.com" denied the request: it is Monday'
        code, _, status = post(served, _MAPS, config_map("untold"))
        assert (code, "reason" in status) == (400, False)
        assert status["message"] == 'admission webhook "no.example.com" denied the request without explanation'
        shown = served.kubectl("create", "configmap", "told", fails=True).err
        assert 'admission webhook "no.example.com" denied the request: it is Monday' in shown
        served.kubectl("get", "configmap", "told", fails=True)


def test_warnings_reach_kubectl(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"warnings": ["mind the gap"]})) as server:
        install(served, "Validating", webhook("warn.example.com", url_client(server, authority)))
        assert "Warning: mind the gap" in served.kubectl("create", "configmap", "warned").err


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


# --- choosing ---------------------------------------------------------------------------------------------------


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
        post(served, _MAPS, config_map("elsewhere"))
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
        assert post(served, _MAPS, config_map("open"))[0] == 201
        assert server.requests == []
        install(served, "Validating", webhook("shut.example.com", client, matchConditions=broken), name="shut")
        code, _, status = post(served, _MAPS, config_map("shut"))
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


# --- rounds -----------------------------------------------------------------------------------------------------


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
        post(served, _MAPS, config_map("twice"))
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
        post(served, _MAPS, config_map("ordered"))
    assert seen == ["a", "b"]


# --- dry run ----------------------------------------------------------------------------------------------------


def test_dry_run_asks_only_those_without_side_effects(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        install(served, "Validating", webhook("dry.example.com", url_client(server, authority)))
        served.kubectl("create", "configmap", "dry", "--dry-run=server")
        assert server.reviews[0]["request"]["dryRun"] is True
        code, _, answer = served.request(
            "POST",
            _CONFIGURATIONS + "validatingwebhookconfigurations",
            json.dumps(
                configuration(
                    "Validating", "wet", webhook("wet.example.com", url_client(server, authority), sideEffects="Some")
                )
            ).encode(),
        )
        assert code == 422, answer


# --- failing ----------------------------------------------------------------------------------------------------


def failing(served: RunningGateway, client: dict[str, Any], why: str, **fields: Any) -> None:
    """Refused with `why` where it fails closed, passed where it fails open."""
    install(served, "Validating", webhook("broken.example.com", client, **fields), name="closed")
    code, _, status = post(served, _MAPS, config_map("failing"))
    prefix = 'Internal error occurred: failed calling webhook "broken.example.com": '
    assert (code, status["reason"]) == (500, "InternalError")
    assert status["message"].startswith(prefix)
    assert why in status["message"]
    assert status["details"]["causes"][0]["message"] in status["message"]
    served.kubectl("delete", "validatingwebhookconfiguration", "closed")
    install(
        served, "Validating", webhook("broken.example.com", client, failurePolicy="Ignore", **fields), name="opened"
    )
    assert post(served, _MAPS, config_map(f"open-{time.monotonic_ns()}"))[0] == 201


def test_nobody_listens(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        client = url_client(server, authority)
    failing(served, client, f"dial tcp 127.0.0.1:{server.port}: connect: connection refused")


def test_a_certificate_of_another_authority(served: RunningGateway, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "somebody-else")
    with serving(other.issue("127.0.0.1"), reviewing(lambda request: {})) as server:
        failing(served, url_client(server, authority), "x509: certificate signed by unknown authority")
        assert server.requests == []


def test_a_certificate_for_another_name(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("10.9.8.7"), reviewing(lambda request: {})) as server:
        failing(served, url_client(server, authority), "x509: certificate is not valid for")


def test_a_server_that_hangs(served: RunningGateway, authority: Authority) -> None:
    def hang(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        time.sleep(3)
        return 200, b""

    with serving(authority.issue("127.0.0.1"), hang) as server:
        started = time.monotonic()
        failing(served, url_client(server, authority), "context deadline exceeded", timeoutSeconds=1)
        assert time.monotonic() - started < 3.5
        assert server.requests[0][1] == "/?timeout=1s"


def test_an_answer_without_end(served: RunningGateway, authority: Authority) -> None:
    def flood(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return 200, b"[" * (17 * 1024 * 1024)

    with serving(authority.issue("127.0.0.1"), flood) as server:
        failing(served, url_client(server, authority), "the answer is larger than 16777216 bytes")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"{", "received invalid webhook response: couldn't get version/kind; json parse error"),
        (b"[" * 5000, "received invalid webhook response: "),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', "webhook response was absent"),
        (
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}',
            "expected response.uid=",
        ),
    ],
)
def test_answers_that_are_none(served: RunningGateway, authority: Authority, answer: bytes, why: str) -> None:
    with serving(authority.issue("127.0.0.1"), lambda *request: (200, answer)) as server:
        failing(served, url_client(server, authority), why)


def test_an_answer_of_another_kind(served: RunningGateway, authority: Authority) -> None:
    def other(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        uid = json.loads(body)["request"]["uid"]
        return 200, json.dumps({"response": {"uid": uid, "allowed": True}}).encode()

    with serving(authority.issue("127.0.0.1"), other) as server:
        why = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind="
        failing(served, url_client(server, authority), why)


def test_a_server_that_fails(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), lambda *request: (500, b"oops")) as server:
        why = 'an error on the server ("oops") has prevented the request from succeeding'
        failing(served, url_client(server, authority), why)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (patch({"op": "remove", "path": "/nothing/here"}), "Internal error occurred: "),
        ({"patch": "!!", "patchType": "JSONPatch"}, "received undecodable patch in webhook response"),
        ({"patch": "e30=", "patchType": "JSONPatch"}, "received undecodable patch in webhook response"),
        ({"patch": "W10=", "patchType": "Merge"}, 'unsupported patch type "Merge"'),
        ({"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
    ],
)
def test_bad_patches(served: RunningGateway, authority: Authority, said: dict[str, Any], why: str) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: said)) as server:
        install(served, "Mutating", webhook("patch.example.com", url_client(server, authority)))
        code, _, status = post(served, _MAPS, config_map("badly"))
        assert (code, status["reason"]) == (500, "InternalError")
        assert why in status["message"]


def test_a_patch_that_makes_an_invalid_object(served: RunningGateway, authority: Authority) -> None:
    spoil = patch({"op": "add", "path": "/metadata/labels", "value": {"not a label": "x"}})
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: spoil)) as server:
        install(served, "Mutating", webhook("patch.example.com", url_client(server, authority)))
        code, _, status = post(served, _MAPS, config_map("spoilt"))
        assert (code, status["reason"]) == (422, "Invalid")
        assert "metadata.labels" in status["message"]


# --- through services -------------------------------------------------------------------------------------------


def service(name: str, port: int, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 443, "targetPort": port}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


def test_a_service_is_found_through_its_endpoints(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("hook.default.svc"), reviewing(lambda request: {})) as server:
        client = {"service": {"namespace": "default", "name": "hook", "path": "/ask"}, "caBundle": authority.bundle}
        install(served, "Validating", webhook("svc.example.com", client))
        code, _, status = post(served, _MAPS, config_map("early"))
        assert code == 500
        why = 'failed to call webhook: Post "https://hook.default.svc:443/ask?timeout=10s": service "hook" not found'
        assert why in status["message"]
        served.kubectl("create", "-f", "-", stdin=json.dumps(service("hook", server.port)))
        code, _, status = post(served, _MAPS, config_map("early"))
        assert 'no endpoints available for service "hook"' in status["message"]
        subsets = [{"addresses": [{"ip": own_address()}], "ports": [{"port": server.port}]}]
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "hook"}, "subsets": subsets}
        served.make(endpoints, "endpoints")
        assert post(served, _MAPS, config_map("late"))[0] == 201
        assert server.requests[0][1] == "/ask?timeout=10s"
        assert server.requests[0][2]["host"] == "hook.default.svc"


def test_a_service_is_found_through_its_slices(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("sliced.default.svc"), reviewing(lambda request: {})) as server:
        client = {"service": {"namespace": "default", "name": "sliced"}, "caBundle": authority.bundle}
        served.kubectl("create", "-f", "-", stdin=json.dumps(service("sliced", server.port)))
        endpoint_slice = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "sliced-x", "labels": {"kubernetes.io/service-name": "sliced"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": [own_address()], "conditions": {"ready": True}},
                {"addresses": ["192.0.2.99"], "conditions": {"ready": False}},
            ],
            "ports": [{"port": server.port, "name": ""}],
        }
        served.make(endpoint_slice, "endpointslices.discovery.k8s.io")
        install(served, "Validating", webhook("svc.example.com", client))
        for number in range(5):
            assert post(served, _MAPS, config_map(f"sliced-{number}"))[0] == 201
        assert len(server.requests) == 5


# --- the controllers --------------------------------------------------------------------------------------------


def test_the_pods_that_controllers_make_are_asked_about(served: RunningGateway, authority: Authority) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        if "refuse" in (request["object"]["metadata"].get("labels") or {}).get("app", ""):
            return {"allowed": False, "status": {"message": "not here"}}
        return patch({"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "host"}})

    with serving(authority.issue("127.0.0.1"), reviewing(decide)) as server:
        install(served, "Mutating", webhook("pods.example.com", url_client(server, authority), ("pods",)))
        controllers = ControllersActor(ControllersConfig(), served.store)
        running = asyncio.run_coroutine_threadsafe(controllers.run(), served.loop)
        try:
            served.kubectl("create", "-f", "-", stdin=json.dumps(deployment("injected", replicas=2)))
            served.kubectl("create", "-f", "-", stdin=json.dumps(deployment("refused", replicas=1)))

            def pods(app: str) -> list[Any]:
                return list(served.kubectl("get", "pods", "-l", f"app={app}", "-o", "json").json["items"])

            _wait(lambda: len(pods("injected")) == 2)
            for item in pods("injected"):
                assert [container["name"] for container in item["spec"]["containers"]] == ["main", "sidecar"]
            assert server.reviews[0]["request"]["userInfo"]["username"] == "system:kube-controller-manager"
            _wait(lambda: "denied the request: not here" in served.kubectl("get", "events", "-o", "wide").out)
            assert pods("refused") == []
        finally:
            served.run(controllers.stop())
            running.result(10)
            served.kubectl("delete", "deployment", "injected", "refused")


# --- connections ------------------------------------------------------------------------------------------------


def test_a_connection_can_be_refused(served: RunningGateway, authority: Authority) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"message": f"{request['subResource']} is not for you"}}

    with serving(authority.issue("127.0.0.1"), reviewing(refuse)) as server:
        hook = webhook("attach.example.com", url_client(server, authority), ("pods/attach", "pods/exec"))
        hook["rules"][0]["operations"] = ["CONNECT"]
        served.kubectl("create", "-f", "-", stdin=json.dumps(pod("attached")))
        served.place("attached", "n1")
        served.set_status("pods", "default", "attached", running_status())
        install(served, "Validating", hook)
        shown = served.kubectl("attach", "attached", "-i", fails=True).err
        assert 'admission webhook "attach.example.com" denied the request: attach is not for you' in shown
        asked = server.reviews[0]["request"]
        assert (asked["operation"], asked["subResource"], asked["name"]) == ("CONNECT", "attach", "attached")
        assert asked["kind"] == {"group": "", "version": "v1", "kind": "PodAttachOptions"}
        assert asked["object"]["container"] == "main"
        assert asked["oldObject"] is None
        served.kubectl("exec", "attached", "--", "date", fails=True)
        assert server.reviews[-1]["request"]["object"]["command"] == ["date"]


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
        assert post(served, _MAPS, config_map("broken-glass"))[0] == 201
        assert server.requests == [], "the administrator may do everything"


def test_the_schedulers_binds_are_asked_about(served: RunningGateway, authority: Authority) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        return patch(
            {"op": "add", "path": "/metadata/annotations", "value": {"placed": request["object"]["target"]["name"]}}
        )

    with serving(authority.issue("127.0.0.1"), reviewing(decide)) as server:
        hook = webhook("bind.example.com", url_client(server, authority), ("pods/binding",))
        install(served, "Mutating", hook)
        resources = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        status = {"capacity": resources, "allocatable": resources, "conditions": [{"type": "Ready", "status": "True"}]}
        served.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n9"}, "status": status}, "nodes", "")
        served.act(Patch(key=Key("nodes", "", "n9"), patch={"spec": {"taints": []}}))
        served.kubectl("create", "-f", "-", stdin=json.dumps(pod("bound")))
        scheduler = SchedulerActor(SchedulerConfig(), served.store)
        running = asyncio.run_coroutine_threadsafe(scheduler.run(), served.loop)
        try:
            jsonpath = "jsonpath={.spec.nodeName} {.metadata.annotations.placed}"
            _wait(lambda: served.kubectl("get", "pod", "bound", "-o", jsonpath).out == "n9 n9")
            asked = server.reviews[0]["request"]
            assert asked["kind"]["kind"] == "Binding"
            assert asked["userInfo"]["username"] == "system:kube-scheduler"
        finally:
            served.run(scheduler.stop())
            running.result(10)
