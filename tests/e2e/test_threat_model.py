"""docs/threat-model.md, claim by claim, over real TLS; the claims that other tests show are named there."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from gateway_server import RunningGateway, pod

from actors.gateway import pki
from actors.gateway.config import AuditConfig
from actors.reconcile.actions import Create

PASSWORD = "aHVudGVyMg=="


pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """With a tenant of the namespace `team`, by certificate."""
    running = RunningGateway(tmp_path_factory.mktemp("threats"), audit=AuditConfig(path="audit.log"))
    eventually(lambda: running.kubectl("get", "clusterrolebindings", "-o", "name").out.count("\n") > 40)
    for namespace in ("team", "other"):
        running.kubectl("create", "namespace", namespace)
        running.kubectl("create", "serviceaccount", "robot", "-n", namespace)
    running.kubectl("create", "rolebinding", "t", "--clusterrole=edit", "--user=tenant", "-n", "team")
    issue(running, pki.pki_at(running.home), "tenant")
    eventually(lambda: running.request("GET", "/api/v1/namespaces/team/pods", certificate="tenant")[0] == 200)
    yield running
    running.stop()
    assert running.gateway.app.failures == 0


def eventually(probe: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def issue(served: RunningGateway, of: pki.Pki, name: str, group: str = "") -> None:
    pair = pki.Pair(served.home / "pki" / f"{name}.crt", served.home / "pki" / f"{name}.key")
    pki._Authority(of.ca, datetime.now(UTC)).issue(pair, name, group, (), ExtendedKeyUsageOID.CLIENT_AUTH)


def code(served: RunningGateway, method: str, path: str, body: object = None, certificate: str = "tenant") -> int:
    text = json.dumps(body).encode() if body is not None else None
    return served.request(method, path, text, certificate=certificate)[0]


def audited(served: RunningGateway) -> list[dict]:
    return [json.loads(line) for line in (served.home / "audit.log").read_text().splitlines()]


# --- a network neighbour ---------------------------------------------------------------------------------------------


def test_a_neighbour_learns_the_version_and_health_alone(served: RunningGateway) -> None:
    for path in ("/version", "/healthz", "/livez", "/readyz"):
        assert code(served, "GET", path, certificate="") == 200
    closed = ("/", "/api", "/apis", "/openapi/v3", "/api/v1/secrets", "/raypod/v1/status", "/openid/v1/jwks", "/x")
    for path in closed:
        assert code(served, "GET", path, certificate="") == 401
        assert code(served, "POST", path, {}, certificate="") == 401
    assert code(served, "POST", "/version", {}, certificate="") == 401


def test_a_neighbour_with_a_certificate_of_another_ca_gets_no_connection(served: RunningGateway) -> None:
    other = served.home / "other-cluster"
    foreign = pki.ensure(other, ("localhost",), datetime.now(UTC))
    issue(served, foreign, "foreign", "system:masters")
    with pytest.raises((ssl.SSLError, OSError)):
        served.request("GET", "/api/v1/secrets", certificate="foreign")
    with pytest.raises((ssl.SSLError, OSError)):  # of our CA, but not for clients
        served.request("GET", "/api/v1/secrets", certificate="server")


def test_a_neighbour_hears_nothing_without_tls(served: RunningGateway) -> None:
    port = urlsplit(served.gateway.url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), 5) as old, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(old)


# --- a pod -----------------------------------------------------------------------------------------------------------


def test_a_pods_token_holds_what_its_account_was_given_and_no_more(served: RunningGateway) -> None:
    spec = pod("p")
    spec["spec"]["serviceAccountName"] = "robot"
    served.kubectl("create", "-n", "team", "-f", "-", stdin=json.dumps(spec))
    words = ["--bound-object-kind=Pod", "--bound-object-name=p"]
    token = served.kubectl("create", "token", "robot", "-n", "team", *words).out.strip()
    headers = {"Authorization": f"Bearer {token}"}
    pods = "/api/v1/namespaces/team/pods"
    assert served.request("GET", pods, headers=headers, certificate="")[0] == 403
    served.kubectl("create", "rolebinding", "r", "--clusterrole=view", "--serviceaccount=team:robot", "-n", "team")
    eventually(lambda: served.request("GET", pods, headers=headers, certificate="")[0] == 200)
    for method, path in (
        ("GET", "/api/v1/namespaces/team/secrets"),
        ("GET", "/api/v1/namespaces/other/pods"),
        ("GET", "/api/v1/nodes"),
        ("DELETE", f"{pods}/p"),
        ("POST", "/api/v1/namespaces/team/serviceaccounts/robot/token"),
    ):
        assert served.request(method, path, b"{}" if method == "POST" else None, headers, certificate="")[0] == 403


# --- a tenant --------------------------------------------------------------------------------------------------------


def test_a_tenant_is_one_in_its_namespace_alone(served: RunningGateway) -> None:
    assert code(served, "POST", "/api/v1/namespaces/team/configmaps", {"metadata": {"name": "mine"}}) == 201
    for method, path in (
        ("GET", "/api/v1/namespaces/other/pods"),
        ("GET", "/api/v1/namespaces/other"),
        ("GET", "/api/v1/pods"),
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/namespaces"),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        ("GET", "/raypod/v1/status"),
        ("GET", "/raypod/v1/logs/other/p"),
        ("GET", "/apis/raypod.io/v1/log"),
        ("GET", "/api/v1/namespaces/other/pods?watch=true"),
        ("DELETE", "/api/v1/namespaces/other/pods"),
        ("POST", "/api/v1/namespaces/other/configmaps"),
        ("PUT", "/api/v1/namespaces/team/pods/p/status"),
        ("POST", "/api/v1/namespaces/team/pods/p/binding"),
        ("POST", "/raypod/v1/nodes/n/images"),
    ):
        assert code(served, method, path, {} if method in ("POST", "PUT") else None) == 403, path


def test_a_tenant_makes_tokens_of_its_own_accounts_alone(served: RunningGateway) -> None:
    path = "/api/v1/namespaces/{}/serviceaccounts/robot/token"
    assert code(served, "POST", path.format("team"), {}) == 201
    assert code(served, "POST", path.format("other"), {}) == 403
    assert code(served, "POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", {}) == 403


def test_a_tenants_batch_is_judged_write_by_write(served: RunningGateway) -> None:
    rule = {"apiGroups": ["raypod.io"], "resources": ["batch"], "verbs": ["create"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "batch"},
        "rules": [rule],
    }
    served.kubectl("create", "-f", "-", stdin=json.dumps(role))
    served.kubectl("create", "clusterrolebinding", "batch", "--clusterrole=batch", "--user=tenant")
    group = "/apis/rbac.authorization.k8s.io/v1"
    grant = {
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "tenant"}],
    }
    items = [
        {"method": "POST", "path": "/api/v1/namespaces/team/configmaps", "body": {"metadata": {"name": "b"}}},
        {"method": "POST", "path": "/api/v1/namespaces/other/configmaps", "body": {"metadata": {"name": "b"}}},
        {"method": "POST", "path": f"{group}/clusterrolebindings", "body": {"metadata": {"name": "b"}, **grant}},
        {
            "method": "POST",
            "path": f"{group}/namespaces/team/rolebindings",
            "body": {"metadata": {"name": "b"}, **grant},
        },
        {"method": "DELETE", "path": "/api/v1/namespaces/other"},
    ]
    body = {"apiVersion": "raypod.io/v1", "kind": "Batch", "items": items}
    eventually(lambda: code(served, "POST", "/apis/raypod.io/v1/batch", {**body, "items": []}) == 200)
    _, _, text = served.request("POST", "/apis/raypod.io/v1/batch", json.dumps(body).encode(), certificate="tenant")
    assert [item["code"] for item in json.loads(text)["items"]] == [201, 403, 403, 403, 403]
    uris = [line["requestURI"] for line in audited(served) if line["user"].get("username") == "tenant"]
    assert "/api/v1/namespaces/other" in uris


def test_a_tenant_keeps_to_the_bounds_of_its_namespace(served: RunningGateway) -> None:
    """Which it can read and not move: a quota, and a standard for pods."""
    served.kubectl("create", "namespace", "bounded")
    served.kubectl("create", "rolebinding", "t", "--clusterrole=admin", "--user=tenant", "-n", "bounded")
    served.kubectl("create", "quota", "q", "-n", "bounded", "--hard=pods=1")
    label = "pod-security.kubernetes.io"
    served.kubectl("label", "ns", "bounded", f"{label}/enforce=baseline", f"{label}/audit=baseline")
    pods, quota = "/api/v1/namespaces/bounded/pods", "/api/v1/namespaces/bounded/resourcequotas/q"
    eventually(lambda: code(served, "GET", quota) == 200)
    for path in (quota, f"{quota}/status", "/api/v1/namespaces/bounded"):
        assert code(served, "PUT", path, {}) == 403
        assert code(served, "DELETE", path.removesuffix("/status")) == 403
    wide = pod("wide", namespace="bounded")
    wide["spec"]["hostPID"] = True
    bodies = [wide, pod("one", namespace="bounded"), pod("two", namespace="bounded")]
    assert [code(served, "POST", pods, body) for body in bodies] == [403, 201, 403]
    told = [event.get("annotations", {}).get(f"{label}/audit-violations", "") for event in audited(served)]
    assert any("host namespaces (hostPID=true)" in text for text in told)


def test_what_a_tenant_did_is_written_down_without_secrets(served: RunningGateway) -> None:
    secret = {"metadata": {"name": "s"}, "data": {"password": PASSWORD}}
    assert code(served, "POST", "/api/v1/namespaces/team/secrets", secret) == 201
    assert code(served, "GET", "/api/v1/namespaces/other/secrets/s") == 403
    served.kubectl("get", "secrets", "-n", "team", "--as=tenant", "-o", "yaml")
    token = served.kubectl("create", "token", "robot", "-n", "team").out.strip()
    served.request("GET", "/api/v1/pods", headers={"Authorization": f"Bearer {token}x"}, certificate="")
    text = (served.home / "audit.log").read_text()
    assert PASSWORD not in text
    assert token[-20:] not in text
    mine = [line for line in audited(served) if line.get("objectRef", {}).get("resource") == "secrets"]
    assert [(line["verb"], line["responseStatus"]["code"]) for line in mine][-3:] == [
        ("create", 201),
        ("get", 403),
        ("list", 200),
    ]
    assert mine[-1]["user"]["username"] == "kubernetes-admin"
    assert mine[-1]["impersonatedUser"]["username"] == "tenant"
    assert mine[-2]["responseStatus"]["reason"] == "Forbidden"
    assert audited(served)[-1]["responseStatus"]["code"] == 401


@pytest.fixture(scope="module")
def taken_over(served: RunningGateway) -> dict[str, str]:
    """A namespace of somebody else's that was deleted and made again for the tenant: what to ask of either's past."""
    told = {"maps": "/api/v1/namespaces/shared/configmaps"}
    history = "--resource=configmaps/history,namespaces/history"
    served.kubectl("create", "clusterrole", "historian", "--verb=get", history)
    log = served.nodes.log("n", "shared", "gone", "main")
    for word, owner in (("first", "somebody"), ("second", "tenant")):
        served.kubectl("create", "namespace", "shared")
        for role in ("admin", "historian"):
            served.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={owner}", "-n", "shared")
        for name in ("a", "b"):
            served.kubectl("create", "configmap", name, f"--from-literal=of={word}", "-n", "shared")
        page = json.loads(served.request("GET", f"{told['maps']}?limit=1")[2])["metadata"]
        told[f"{word} revision"], told[f"{word} token"] = page["resourceVersion"], page["continue"]
        time.sleep(1.1)  # creation is told in whole seconds
        told[f"{word} time"] = now_text()
        log.lines.append(f"{now_text()} stdout F of the {word}\n".encode())
        if word == "first":
            for kind in ("configmaps", "rolebindings"):
                served.kubectl("delete", kind, "--all", "-n", "shared")
            served.kubectl("delete", "namespace", "shared", "--wait=false")
            served.request("PUT", "/api/v1/namespaces/shared/finalize", b'{"metadata":{"name":"shared"},"spec":{}}')
    log.ended = True
    eventually(lambda: code(served, "GET", told["maps"]) == 200)
    return told


def now_text() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    "way",
    [
        "{maps}?at={T}",
        "{maps}/a?at={T}",
        "{maps}?resourceVersion={R}&resourceVersionMatch=Exact",
        "{maps}/a?resourceVersion={R}&resourceVersionMatch=Exact",
        "{maps}?resourceVersion={R}&limit=10",
        "{maps}?continue={C}",
        "{maps}?continue={D}",
        "{maps}?watch=true&resourceVersion={R}&timeoutSeconds=1",
        "{maps}/a/history?since={R}",
        "/api/v1/namespaces/shared?at={T}",
        "/api/v1/namespaces/shared/history?until={R}",
    ],
)
def test_a_namespace_made_again_keeps_the_past_of_the_first(
    served: RunningGateway, taken_over: dict[str, str], way: str
) -> None:
    def ask(whose: str, who: str) -> tuple[int, bytes]:
        token = taken_over[f"{whose} token"]
        time, revision = taken_over[f"{whose} time"], taken_over[f"{whose} revision"]
        path = way.format(maps=taken_over["maps"], T=time, R=revision, C=token, D=token.split(".")[0])
        status, _, body = served.request("GET", path, certificate=who)
        return status, body

    status, body = ask("first", "tenant")
    assert (status, json.loads(body)["reason"]) == (410, "Expired")
    assert b'"first"' not in body
    assert ask("first", "admin")[0] == ask("second", "tenant")[0] == 200


def test_what_a_namespace_made_again_tells_of_itself(served: RunningGateway, taken_over: dict[str, str]) -> None:
    """Where nobody names how far back: all that there is, from the making of the namespace on."""
    path = f"{taken_over['maps']}/a/history"
    mine, all_of_it = (json.loads(served.request("GET", path, certificate=who)[2]) for who in ("tenant", "admin"))
    assert [item["type"] for item in mine["items"]] == ["ADDED"]
    assert [item["type"] for item in all_of_it["items"]] == ["ADDED", "DELETED", "ADDED"]
    assert mine["items"][0] == all_of_it["items"][-1]
    assert int(mine["oldest"]["revision"]) > int(taken_over["first revision"])
    served.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}, "nodes", "")
    logs = "/raypod/v1/logs/shared/gone?container=main"
    assert served.request("GET", logs, certificate="tenant")[2] == b"of the second\n"
    assert served.request("GET", logs)[2] == b"of the first\nof the second\n"


def test_a_tenant_does_not_say_where_a_service_leads(served: RunningGateway) -> None:
    """Its proxies connect from the gateway and the nodes: to Ray's own ports, were the address of its choice."""
    served.kubectl("create", "service", "clusterip", "way", "--tcp=80", "-n", "team")
    slices = "/apis/discovery.k8s.io/v1/namespaces/team/endpointslices"
    for path in ("/api/v1/namespaces/team/endpoints", slices):
        assert code(served, "GET", path) == 200
        assert code(served, "POST", path, {"metadata": {"name": "way"}}) == 403
        for method in ("PUT", "PATCH", "DELETE"):
            assert code(served, method, f"{path}/way", {}) == 403
    for path in ("pods/p/status", "services/way/status"):
        assert code(served, "PUT", f"/api/v1/namespaces/team/{path}", {}) == 403


# --- a Ray user, an administrator ------------------------------------------------------------------------------------


def test_what_goes_past_the_gateway_is_in_the_log_of_revisions(served: RunningGateway) -> None:
    before = len(audited(served))
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "past"}}
    served.act(Create(resource="configmaps", namespace="team", object=obj))
    assert len(audited(served)) == before
    _, _, text = served.request("GET", "/apis/raypod.io/v1/log")
    assert b'"past"' in text


def test_the_administrators_files_are_roots_alone(served: RunningGateway) -> None:
    assert (served.home / "pki").stat().st_mode & 0o777 == 0o700
    keys = [
        path
        for path in (served.home / "pki").rglob("*.key")
        if path.stem in ("ca", "server", "admin") or path.parent.name == "service-account"
    ]
    for path in (*keys, served.home / "kubeconfig", served.home / "audit.log"):
        assert path.stat().st_mode & 0o777 == 0o600, path
