"""webhook.go: servers that are asked about writes. The sample server is this process; it is called by its URL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_client import Api, Json, config_map
from definitions import CRDS, collection, create, custom, definition
from eventually import eventually
from remote_server import Authority
from sample_webhook import Webhooks, webhooks_of

_DISALLOW = {"webhook-e2e-test": "webhook-disallow"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def hooks(api: Api, authority: Authority) -> Iterator[Webhooks]:
    with webhooks_of(api, authority) as found:
        yield found


def _pod(name: str, container: str, **labels: str) -> Json:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": container, "image": "pause"}]},
    }


def _started(name: str = "to-be-mutated") -> Json:
    return config_map(name, **{"mutation-start": "yes"})


def test_webhooks_are_discovered(api: Api) -> None:
    group = api.get("/apis/admissionregistration.k8s.io").ok()
    assert "v1" in [found["version"] for found in group["versions"]]
    names = {found["name"] for found in api.get("/apis/admissionregistration.k8s.io/v1").ok()["resources"]}
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= names


def test_pods_and_config_maps_are_denied(api: Api, hooks: Webhooks) -> None:
    exempt = [{"key": "skip-webhook-admission", "operator": "NotIn", "values": ["yes"]}]
    selector = {"matchLabels": {api.namespace: "true"}, "matchExpressions": exempt}
    broken = {"clientConfig": {"url": hooks.server.url + "/configmaps"}, "failurePolicy": "Ignore"}
    hooks.register(
        "validating",
        hooks.hook("deny-unwanted-pod-container-name-and-label.k8s.io", "/pods", "pods", timeoutSeconds=2),
        hooks.hook("deny-unwanted-configmap-data.k8s.io", "/configmaps", "configmaps", "CREATE UPDATE DELETE", namespaceSelector=selector),
        hooks.hook("fail-open.k8s.io", "/configmaps", "configmaps", **broken),
    )  # fmt: skip
    message = api.post("pods", _pod("disallowed-pod", "webhook-disallow", **_DISALLOW)).json["message"]
    assert "the pod contains unwanted container name" in message and "the pod contains unwanted label" in message
    hanging = api.post("pods", _pod("hanging-pod", "wait-forever", **{"webhook-e2e-test": "wait-forever"}))
    assert hanging.code >= 400 and "deadline" in hanging.json["message"]
    unwanted = "the configmap contains unwanted key and value"
    assert unwanted in api.post("configmaps", config_map("disallowed-configmap", **_DISALLOW)).json["message"]
    allowed = api.post("configmaps", config_map("allowed-configmap", admit="this")).ok()
    changed = {**allowed, "data": _DISALLOW}
    assert unwanted in api.put("configmaps/allowed-configmap", changed).json["message"]
    patched = api.patch("strategic", "configmaps/allowed-configmap", {"data": _DISALLOW})
    assert unwanted in patched.json["message"]
    skipped = f"{api.namespace}-exempted"
    labels = {api.namespace: "true", "skip-webhook-admission": "yes"}
    api.post("/api/v1/namespaces", {"metadata": {"name": skipped, "labels": labels}}).ok()
    api.post(f"/api/v1/namespaces/{skipped}/configmaps", config_map("disallowed-configmap", **_DISALLOW)).ok()


def test_custom_resources_are_denied_when_made_changed_and_deleted(api: Api, hooks: Webhooks) -> None:
    crd = create(api, definition(api, versions=("v1",), scope="Namespaced"))
    spec = crd["spec"]
    hooks.register(
        "validating",
        hooks.hook("deny.k8s.io", "/custom-resource", spec["names"]["plural"], "CREATE UPDATE DELETE", spec["group"]),
    )
    objects, unwanted = collection(crd, api.namespace), "the custom resource contains unwanted data"
    assert unwanted in api.post(objects, custom(crd, "cr-1", data=_DISALLOW)).json["message"]
    made = api.post(objects, custom(crd, "cr-2", data={})).ok()
    assert unwanted in api.put(f"{objects}/cr-2", {**made, "data": _DISALLOW}).json["message"]
    hooks.clean()
    eventually(lambda: api.put(f"{objects}/cr-2", {**api.get(f"{objects}/cr-2").ok(), "data": _DISALLOW}).code == 200)
    hooks.register(
        "validating", hooks.hook("deny.k8s.io", "/custom-resource", spec["names"]["plural"], "DELETE", spec["group"])
    )
    assert unwanted in api.delete(f"{objects}/cr-2").json["message"]
    api.patch("json", f"{objects}/cr-2", [{"op": "remove", "path": "/data/webhook-e2e-test"}]).ok()
    api.delete(f"{objects}/cr-2").ok()


def test_a_webhook_that_cannot_be_called_fails_closed(api: Api, hooks: Webhooks) -> None:
    broken = {"clientConfig": {"url": hooks.server.url + "/configmaps"}, "failurePolicy": "Fail"}
    selector = {"objectSelector": {"matchLabels": {"fail-closed-webhook": "yes"}}}
    hooks.register("validating", hooks.hook("fail-closed.k8s.io", "/configmaps", "configmaps", **broken, **selector))
    refused = api.post("configmaps", config_map("foo", {"fail-closed-webhook": "yes"}))
    refused.refused(500, "InternalError")


def test_webhook_configurations_are_neither_mutated_nor_kept(api: Api, hooks: Webhooks) -> None:
    both = "validatingwebhookconfigurations mutatingwebhookconfigurations"
    group = "admissionregistration.k8s.io"
    everywhere = {"namespaceSelector": {}, "objectSelector": {"matchLabels": {"dummy": api.namespace}}}
    hooks.register(
        "validating",
        hooks.hook("deny-webhook-configuration-deletions.k8s.io", "/always-deny", both, "DELETE", group, **everywhere),
    )
    hooks.register(
        "mutating",
        hooks.hook("add-label-to-webhook-configurations.k8s.io", "/add-label", both, "*", group, **everywhere),
    )
    for kind in ("validating", "mutating"):
        hook = hooks.hook("dummy.k8s.io", "/always-deny", "invalid")
        metadata = {"name": f"dummy-{kind}-{api.namespace}", "labels": {"dummy": api.namespace}}
        made = api.post(hooks.path(kind), {"metadata": metadata, "webhooks": [hook]}).ok()
        assert "mutated" not in made["metadata"]["labels"]
        api.delete(f"{hooks.path(kind)}/{metadata['name']}").ok()


def test_mutations_come_in_order(api: Api, hooks: Webhooks) -> None:
    stages = [
        hooks.hook(f"adding-configmap-data-stage-{at}.k8s.io", "/mutating-configmaps", "configmaps") for at in (1, 2)
    ]
    hooks.register("mutating", *stages)
    made = api.post("configmaps", _started()).ok()
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


def test_what_is_mutated_gets_its_defaults_afterwards(api: Api, hooks: Webhooks) -> None:
    hooks.register("mutating", hooks.hook("adding-init-container.k8s.io", "/mutating-pods", "pods"))
    (added,) = api.post("pods", _pod("webhook-to-be-mutated", "example")).ok()["spec"]["initContainers"]
    assert added["name"] == "webhook-added-init-container" and added["terminationMessagePolicy"] == "File"


@pytest.mark.parametrize("pruned", [False, True])
def test_custom_resources_are_mutated_and_pruned(api: Api, hooks: Webhooks, pruned: bool) -> None:
    data = {"mutation-start": {"type": "string"}, "mutation-stage-1": {"type": "string"}}
    schema = {"type": "object", "properties": {"data": {"type": "object", "properties": data}}}
    crd = create(api, definition(api, *((schema,) if pruned else ()), versions=("v1",), scope="Namespaced"))
    where = (crd["spec"]["names"]["plural"], "CREATE", crd["spec"]["group"])
    stages = [hooks.hook(f"mutate-{at}.k8s.io", "/mutating-custom-resource", *where) for at in (1, 2)]
    hooks.register("mutating", *stages)
    made = api.post(collection(crd, api.namespace), custom(crd, "cr-1", data={"mutation-start": "yes"})).ok()
    wanted = {"mutation-start": "yes", "mutation-stage-1": "yes"}
    assert made["data"] == (wanted if pruned else {**wanted, "mutation-stage-2": "yes"})


def test_custom_resources_are_mutated_when_another_version_is_stored(api: Api, hooks: Webhooks) -> None:
    crd = create(api, definition(api, versions=("v1", "v2"), scope="Namespaced"))
    where = (crd["spec"]["names"]["plural"], "CREATE UPDATE", crd["spec"]["group"])
    stages = [hooks.hook(f"mutate-{at}.k8s.io", "/mutating-custom-resource", *where) for at in (1, 2)]
    hooks.register("mutating", *stages)
    objects = {version: collection(crd, api.namespace, version) for version in ("v1", "v2")}
    api.post(objects["v1"], custom(crd, "cr-1", data={"mutation-start": "yes"})).ok()
    at = "/spec/versions/{}/storage"
    change = [
        {"op": "replace", "path": at.format(0), "value": False},
        {"op": "replace", "path": at.format(1), "value": True},
    ]
    api.patch("json", f"{CRDS}/{crd['metadata']['name']}", change).ok()
    patched = api.patch("merge", f"{objects['v1']}/cr-1", {"dummy": "test"}).ok()
    assert patched["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}
    assert patched["dummy"] == "test"
    assert api.get(f"{objects['v2']}/cr-1").ok()["dummy"] == "test"


def test_definitions_are_denied(api: Api, hooks: Webhooks) -> None:
    everywhere = {"namespaceSelector": {}, "objectSelector": {"matchLabels": {"e2e": api.namespace}}}
    where = ("customresourcedefinitions", "CREATE", "apiextensions.k8s.io")
    hooks.register("validating", hooks.hook("deny-crd.k8s.io", "/crd", *where, **everywhere))
    crd = definition(api, versions=("v1",))
    crd["metadata"]["labels"] = {"e2e": api.namespace, **_DISALLOW}
    assert "the crd contains unwanted label" in api.post(CRDS, crd).json["message"]


@pytest.mark.parametrize(
    ("timeout", "policy", "fails"),
    [(1, "Fail", True), (1, "Ignore", False), (10, "Fail", False), (None, "Fail", False)],
)
def test_a_timeout_is_honoured(api: Api, hooks: Webhooks, timeout: int | None, policy: str, fails: bool) -> None:
    slow = hooks.hook(
        "slow.k8s.io", "/always-allow-delay-5s", "configmaps", failurePolicy=policy, timeoutSeconds=timeout
    )
    if timeout is None:
        del slow["timeoutSeconds"]
    slow["objectSelector"] = {"matchLabels": {"slow": "yes"}}
    hooks.register("validating", slow)
    answer = api.post("configmaps", config_map("e2e-test-cm", {"slow": "yes"}))
    assert (answer.code != 201) == fails
    if fails:
        assert "/always-allow-delay-5s?timeout=1s" in answer.json["message"]
        assert "context deadline exceeded" in answer.json["message"]
