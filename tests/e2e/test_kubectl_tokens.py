"""Tokens as users meet them: `kubectl create token`, kubectl and the official client with it over TLS, hostile headers."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gateway_server import RunningGateway, pod
from kubernetes import client

from actors.gateway import pki
from actors.gateway.auth import jwt
from actors.gateway.config import AuthenticationConfig


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("tokens")
    (home / "tokens.csv").write_text('st4tic,ci,,"builders"\n')
    running = RunningGateway(home, authentication=AuthenticationConfig(token_file=str(home / "tokens.csv")))
    while running.kubectl("get", "clusterrolebindings", "-o", "name").out.count("\n") < 40:
        time.sleep(0.05)
    running.kubectl("create", "serviceaccount", "robot")
    running.kubectl("create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
    while running.kubectl("auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:robot", "-q").code:
        time.sleep(0.05)
    yield running
    running.stop()
    assert running.gateway.app.failures == 0


def ask(
    served: RunningGateway, path: str, *headers: tuple[str, str], method: str = "GET", body: str = ""
) -> tuple[int, dict]:
    """Over TLS without a certificate; headers go out exactly as given."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", urlsplit(served.gateway.url).port, context=served.ssl_context(""), timeout=20
    )
    connection.putrequest(method, path)
    for name, value in headers:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body.encode() if body else None)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text) if text[:1] == b"{" else {}


def bearer(token: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token}"


PODS = "/api/v1/namespaces/default/pods"


def test_create_token_and_use_it(served: RunningGateway) -> None:
    token = served.kubectl("create", "token", "robot", "--duration=20m").out.strip()
    claims = jwt.parse(token).claims
    assert claims["sub"] == "system:serviceaccount:default:robot"
    assert claims["exp"] - claims["iat"] == 1200
    (served.home / "robot.kubeconfig").write_text(
        f"apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{served.gateway.url}', "
        f"certificate-authority: '{pki.pki_at(served.home).ca.certificate}'}}}}]\n"
        f"users: [{{name: u, user: {{token: {token}}}}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
    )
    robot = ["--kubeconfig", str(served.home / "robot.kubeconfig")]
    assert served.kubectl(*robot, "get", "pods").err == "No resources found in default namespace.\n"
    refused = served.kubectl(*robot, "create", "configmap", "x", fails=True)
    assert 'User "system:serviceaccount:default:robot" cannot create resource "configmaps"' in refused.err
    who = served.kubectl(*robot, "auth", "whoami", "-o", "json").json["status"]["userInfo"]
    assert who["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert who["uid"] == served.kubectl("get", "sa", "robot", "-o", "json").json["metadata"]["uid"]


def test_the_official_client_with_a_token(served: RunningGateway) -> None:
    settings = client.Configuration(host=served.gateway.url)
    settings.ssl_ca_cert = str(pki.pki_at(served.home).ca.certificate)
    settings.api_key = {"authorization": f"Bearer {served.kubectl('create', 'token', 'robot').out.strip()}"}
    with client.ApiClient(settings) as api:
        core = client.CoreV1Api(api)
        assert core.list_namespaced_pod("default").items == []
        with pytest.raises(client.ApiException) as refused:
            core.list_node()
        assert refused.value.status == 403
        review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token="x"))
        with pytest.raises(client.ApiException):
            client.AuthenticationV1Api(api).create_token_review(review)


def test_a_token_bound_to_a_pod_dies_with_it(served: RunningGateway) -> None:
    spec = pod("holder")
    spec["spec"]["serviceAccountName"] = "robot"
    served.kubectl("create", "-f", "-", stdin=json.dumps(spec))
    words = ["create", "token", "robot", "--bound-object-kind=Pod", "--bound-object-name=holder"]
    token = served.kubectl(*words).out.strip()
    assert ask(served, PODS, bearer(token))[0] == 200
    other = served.kubectl("create", "token", "default", *words[3:], fails=True)
    assert "cannot bind token" in other.err
    assert "UID" in served.kubectl(*words, "--bound-object-uid=other", fails=True).err
    served.kubectl("delete", "pod", "holder", "--now")
    deadline = time.monotonic() + 10
    while ask(served, PODS, bearer(token))[0] == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert ask(served, PODS, bearer(token))[0] == 401
    assert "not found" in served.kubectl(*words, fails=True).err


def test_a_token_review_tells_who_and_for_what(served: RunningGateway) -> None:
    token = served.kubectl("create", "token", "robot", "--audience=vault").out.strip()
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    for audiences, found in ((["vault", "x"], True), ([], False), (["x"], False)):
        body = json.dumps({**review, "spec": {"token": token, "audiences": audiences}}).encode()
        code, _, text = served.request("POST", path, body)
        status = json.loads(text)["status"]
        assert (code, status.get("authenticated", False)) == (201, found)
        assert token not in json.dumps(status)
    assert ask(served, PODS, bearer(token))[0] == 401  # it is not for us


def test_a_review_that_asks_for_no_audience_names_the_apis_own(served: RunningGateway) -> None:
    token = served.kubectl("create", "token", "robot").out.strip()
    body = json.dumps({"spec": {"token": token}}).encode()
    code, _, text = served.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    status = json.loads(text)["status"]
    assert (code, status["authenticated"]) == (201, True)
    assert status["audiences"] == ["https://kubernetes.default.svc.cluster.local"]


def test_bad_token_requests_are_told_all_at_once(served: RunningGateway) -> None:
    body = {"spec": {"expirationSeconds": 10, "boundObjectRef": {"kind": "Elf", "apiVersion": "v1"}}}
    path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
    code, _, text = served.request("POST", path, json.dumps(body).encode())
    fields = [cause["field"] for cause in json.loads(text)["details"]["causes"]]
    assert (code, fields) == (
        422,
        ["spec.expirationSeconds", "spec.boundObjectRef.kind", "spec.boundObjectRef.name"],
    )
    assert served.request("POST", path.replace("robot", "nobody"), b"{}")[0] == 404
    assert served.request("GET", path)[0] == 405


def test_keys_are_published_to_those_who_may_check_tokens(served: RunningGateway) -> None:
    token = served.kubectl("create", "token", "robot").out.strip()
    code, configuration = ask(served, "/.well-known/openid-configuration", bearer(token))
    assert code == 200
    assert configuration["issuer"] == jwt.parse(token).claims["iss"]
    code, keys = ask(served, urlsplit(configuration["jwks_uri"]).path, bearer(token))
    assert jwt.verify(jwt.parse(token), jwt.parse_jwks(json.dumps(keys).encode()))["jti"]
    assert ask(served, "/openid/v1/jwks")[0] == 401
    assert "d" not in keys["keys"][0]


def test_static_and_bootstrap_tokens(served: RunningGateway) -> None:
    code, whoami = ask(
        served, "/apis/authentication.k8s.io/v1/selfsubjectreviews", bearer("st4tic"), method="POST", body="{}"
    )
    assert (code, whoami["status"]["userInfo"]["groups"]) == (201, ["builders", "system:authenticated"])
    literals = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    words = [f"--from-literal={name}={value}" for name, value in literals.items()]
    kind = "--type=bootstrap.kubernetes.io/token"
    served.kubectl("create", "secret", "generic", "bootstrap-token-abcdef", "-n", "kube-system", kind, *words)
    assert ask(served, "/api", bearer("abcdef.0123456789abcdef"))[0] == 200
    assert ask(served, "/api", bearer("abcdef.0123456789abcdee"))[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer " + "a" * 40_000)],
        [("Authorization", "Bearer a.b.c")],
        [("Authorization", "Basic YTpi")],
        [("Authorization", "bearer st4tic"), ("Authorization", "Bearer st4tic")],
        [("Authorization", "Bearer " + base64.b64encode(bytes(range(256))).decode())],
        [("X-Remote-User", "kubernetes-admin"), ("X-Remote-Group", "system:masters")],
        [("Impersonate-User", "kubernetes-admin"), ("Impersonate-Group", "system:masters")],
    ],
)
def test_hostile_credentials_are_nobodys(served: RunningGateway, headers: list[tuple[str, str]]) -> None:
    code, status = ask(served, PODS, *headers)
    assert (code, status.get("message")) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Impersonate-User", "kubernetes-admin")], 403),
        ([("impersonate-group", "system:masters")], 400),
        ([("IMPERSONATE-USER", "robot"), ("Impersonate-User", "kubernetes-admin")], 400),
        ([("Impersonate-User", ""), ("Impersonate-Group", "system:masters")], 400),
        ([("Impersonate-Extra-a", "b")], 400),
        ([("Impersonate_User", "kubernetes-admin")], 200),
        ([("Impersonate-User", "system:serviceaccount:kube-system:default")], 403),
    ],
)
def test_impersonation_is_not_smuggled_past_rbac(
    served: RunningGateway, headers: list[tuple[str, str]], code: int
) -> None:
    token = served.kubectl("create", "token", "robot").out.strip()
    assert ask(served, PODS, bearer(token), *headers)[0] == code
    assert ask(served, "/api/v1/nodes", bearer(token), *headers)[0] in (400, 403)


def test_the_keys_survive_a_restart_and_nobody_else_reads_them(served: RunningGateway) -> None:
    folder: Path = served.home / "pki" / "service-account"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
